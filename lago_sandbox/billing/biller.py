"""The hourly biller: what ends, what starts and what is renewed at the beginning of a day, seen at ten past the hour."""

from datetime import datetime
from typing import Any

from lago_sandbox.billing import bills, invoicing, lifecycle, schedule
from lago_sandbox.models import Subscription


def run(_payload: dict[str, Any], now: datetime) -> None:
    """End, start and renew all that is due."""
    for row in _subscriptions("active", ending_at__isnull=False):
        if (ends := schedule.ends_at(row)) is not None and ends <= now:
            lifecycle.terminate(
                row, credit_note=row.on_termination_credit_note, invoice=row.on_termination_invoice, now=now
            )
    for row in _subscriptions("pending", previous=None, subscription_at__lte=now):
        lifecycle.activate(row, now=now)
    for row in _subscriptions("active", next_billing_at__lte=now):
        planned = row.following.filter(status="pending").select_related("plan", "customer").first()
        lifecycle.switch(row, planned, now=now) if planned else _renew(row, now=now)
    schedule.plan_next(now)


def _subscriptions(status: str, **conditions: Any) -> list[Subscription]:
    rows = Subscription.objects.filter(status=status, **conditions)
    return list(rows.select_related("plan", "customer", "previous").order_by("created_at"))


def _renew(row: Subscription, *, now: datetime) -> None:
    bill = bills.renewal(row)
    row.next_billing_at = bills.next_period(row).next_begins_at
    row.save(update_fields=["next_billing_at"])
    invoicing.invoice_bills([bill], now=now)

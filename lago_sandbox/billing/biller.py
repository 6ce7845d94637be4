"""Lago's clocks over subscriptions: what ends, what starts, whose trial is over, what is renewed."""

from datetime import datetime
from typing import Any

from lago_sandbox.billing import bills, invoicing, lifecycle, schedule, trials
from lago_sandbox.models import Subscription
from lago_sandbox.webhooks.emit import emit


def end(_payload: dict[str, Any], now: datetime) -> None:
    """End what was to end on this day: five minutes past the hour, before the renewals of that day are billed."""
    for row in _subscriptions("active", ending_at__isnull=False):
        if (ends := schedule.ends_at(row)) is not None and ends <= now:
            lifecycle.terminate(
                row, credit_note=row.on_termination_credit_note, invoice=row.on_termination_invoice, now=now
            )
    schedule.plan_next(now)


def alert(payload: dict[str, Any], now: datetime) -> None:
    """Tell that a subscription is going to end."""
    row = Subscription.objects.filter(pk=payload["subscription"], status="active").first()
    if row is not None and row.ending_at is not None:
        emit("subscription.termination_alert", about=row, now=now)


def activate(_payload: dict[str, Any], now: datetime) -> None:
    """Start what was planned for now."""
    for row in _subscriptions("pending", previous=None, subscription_at__lte=now):
        lifecycle.activate(row, now=now)
    schedule.plan_next(now)


def end_trials(_payload: dict[str, Any], now: datetime) -> None:
    """Tell of trials that are over, and bill the days that are left of a period paid in advance."""
    for row in _subscriptions("active", trial_ended_at=None):
        ends = trials.ends_at(row)
        if ends is None or ends > now:
            continue
        row.trial_ended_at = ends
        row.save(update_fields=["trial_ended_at"])
        emit("subscription.trial_ended", about=row, now=now)
        if row.plan.pay_in_advance:
            invoicing.invoice_bills([bills.bill_after_trial(row, ends)], now=now)
    schedule.plan_next(now)


def run(_payload: dict[str, Any], now: datetime) -> None:
    """Renew all that is due."""
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

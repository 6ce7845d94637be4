"""Looking at alerts: with a licence, at every refresh of the ongoing balances."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from lago_sandbox.billing import charges, terms
from lago_sandbox.models import Alert, Customer, Subscription
from lago_sandbox.shapes.alerts import triggered
from lago_sandbox.webhooks.emit import emit


def look(now: datetime) -> None:
    """Tell of each threshold that was passed since the last look."""
    for row in Alert.objects.filter(deleted_at=None).select_related("wallet__customer"):
        found = _wallet_value(row) if row.wallet else _usage_value(row, now)
        if found is None:
            continue
        subscription, customer, value = found
        if crossed := _crossed(row, value):
            told = triggered(row, subscription=subscription, customer=customer, value=value, crossed=crossed)
            emit("alert.triggered", about=row, now=now, extra=told)
        row.previous_value, row.last_processed_at = value, now
        row.save(update_fields=["previous_value", "last_processed_at"])


def _wallet_value(row: Alert) -> tuple[None, Customer, Decimal] | None:
    wallet = row.wallet
    if wallet is None or wallet.status != "active":
        return None
    cents = wallet.balance_cents
    if "ongoing" in row.alert_type:
        cents -= wallet.ongoing_usage_cents
    value = wallet.credits(cents) if "credits" in row.alert_type else Decimal(cents)
    return None, wallet.customer, value


def _usage_value(row: Alert, now: datetime) -> tuple[Subscription, Customer, Decimal] | None:
    subscription = (
        Subscription.objects.filter(external_id=row.external_subscription_id, status="active")
        .select_related("plan", "customer")
        .first()
    )
    if subscription is None:
        return None
    begins, ends = terms.charges_range(subscription, terms.period(subscription, now.date()))
    if row.alert_type == "lifetime_usage_amount" and subscription.started_at is not None:
        begins = subscription.started_at
    used = charges.usage(subscription, begins=begins, ends=ends, visible_at=now)
    if row.billable_metric_code:
        used = [one for one in used if one.charge.metric.code == row.billable_metric_code]
    is_units = row.alert_type.endswith("_units")
    value = sum((one.units if is_units else Decimal(one.cents) for one in used), Decimal(0))
    return subscription, subscription.customer, value


def _crossed(row: Alert, value: Decimal) -> list[dict[str, Any]]:
    """Return the thresholds between the last value and this one; a recurring one repeats above itself."""
    before, found = row.previous_value, []
    for one in row.thresholds:
        limit = Decimal(one["value"])
        if row.is_decreasing:
            is_crossed = value <= limit and (before > limit or row.last_processed_at is None)
        elif one["recurring"] and limit:
            is_crossed = value // limit > before // limit
        else:
            is_crossed = before < limit <= value
        if is_crossed:
            found.append(one)
    return found

"""What Lago notices about events only later: the hourly report of errors, and the ongoing balance."""

from datetime import datetime, timedelta
from typing import Any

from lago_sandbox import jobs, switches
from lago_sandbox.billing import charges, consumption, watching
from lago_sandbox.models import BillableMetric, Event, Job, Wallet
from lago_sandbox.webhooks.emit import emit


def plan_report(now: datetime) -> None:
    """Have the hour's events looked at, five minutes after the hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    key = f"events_errors:{hour:%Y%m%d%H}"
    if not Job.objects.filter(key=key).exists():
        due_at = hour + timedelta(hours=1, minutes=5)
        jobs.once("events_errors", key=key, due_at=due_at, hour=hour.isoformat())


def tell_errors(payload: dict[str, Any], now: datetime) -> None:
    """Tell of events created in an hour whose code or property is wrong; of unknown subscriptions Lago says nothing."""
    begins = datetime.fromisoformat(payload["hour"])
    rows = Event.objects.filter(created_at__gte=begins, created_at__lt=begins + timedelta(hours=1))
    metrics = {one.code: one for one in BillableMetric.objects.filter(deleted_at=None)}
    unknown, missing = [], []
    for transaction_id, code, properties in rows.values_list("transaction_id", "code", "properties"):
        metric = metrics.get(code)
        if metric is None:
            unknown.append(transaction_id)
        elif metric.field_name and not charges.is_summable(properties.get(metric.field_name)):
            missing.append(transaction_id)
    if unknown or missing:
        extra = {
            "invalid_code": unknown,
            "missing_aggregation_property": missing,
            "missing_group_key": None,
            "invalid_filter_values": [],
        }
        emit("events.errors", about=None, now=now, extra=extra)


def refresh_all(_payload: dict[str, Any], now: datetime) -> None:
    """Refresh every ongoing balance; only a licensed Lago does, every five minutes."""
    if not switches.read("licence"):
        return
    for wallet in Wallet.objects.filter(status="active"):
        consumption.refresh_ongoing(wallet, now=now)
    watching.look(now)
    jobs.once("refresh_ongoing", key="refresh_ongoing", due_at=now + timedelta(minutes=5))

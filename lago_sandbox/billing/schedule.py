"""When each clock is to run next, so that a clock moved by a year does not run it 8,760 times."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from lago_sandbox import jobs
from lago_sandbox.billing import periods, trials
from lago_sandbox.models import Job, Subscription

ALERT_DAYS: Final = (45, 15)  # before a planned end


def plan_next(now: datetime) -> None:
    """Have each clock run when something next falls due: ends at five past an hour, renewals at ten past, starts every 5 minutes."""
    rows = list(Subscription.objects.filter(status__in=["active", "pending"]).select_related("plan"))
    active = [row for row in rows if row.status == "active"]
    waiting = [row for row in rows if row.status == "pending" and row.previous_id is None]
    _plan("end_subscriptions", (ends_at(row) for row in active), now, past=5)
    _plan("activate", (row.subscription_at for row in waiting), now, past=0, every=5)
    _plan("end_trials", (trials.ends_at(row) for row in active if trials.is_open(row)), now, past=10)
    _plan("biller", (row.next_billing_at for row in active), now, past=10)


def ends_at(row: Subscription) -> datetime | None:
    """Return when a planned end takes effect: at the beginning of its day."""
    return None if row.ending_at is None else periods.midnight(row.ending_at.date())


def plan_alerts(row: Subscription, now: datetime) -> None:
    """Have a planned end told of 45 and 15 days before."""
    ends = ends_at(row)
    for days in ALERT_DAYS:
        key = f"ending:{row.id}:{days}"
        Job.objects.filter(key=key).delete()
        if ends is not None and (due_at := ends - timedelta(days=days)) > now:
            jobs.once("termination_alert", key=key, due_at=due_at, subscription=row.id)


def _plan(
    kind: str, moments: Iterable[datetime | None], now: datetime, *, past: int, every: int = 60
) -> None:
    """Plan a clock that runs some minutes `past` each hour, or every few minutes."""
    known = [moment for moment in moments if moment is not None]
    if known:
        jobs.once(kind, key=kind, due_at=_tick(max(min(known), now), past, every))
    else:
        Job.objects.filter(key=kind).delete()


def _tick(moment: datetime, past: int, every: int) -> datetime:
    """Return the clock's first tick that is not before a moment."""
    tick = moment.replace(minute=past, second=0, microsecond=0)
    while tick < moment:
        tick += timedelta(minutes=every)
    return tick

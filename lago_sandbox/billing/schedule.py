"""When the biller is to run next, so that a clock moved by a year does not run it 8,760 times."""

from datetime import datetime, timedelta

from lago_sandbox import jobs
from lago_sandbox.billing import periods
from lago_sandbox.models import Job, Subscription


def plan_next(now: datetime) -> None:
    """Have the biller run in the hour in which something next falls due."""
    moments = [_falls_due_at(row) for row in Subscription.objects.filter(status__in=["active", "pending"])]
    known = [moment for moment in moments if moment is not None]
    if known:
        jobs.once("biller", key="biller", due_at=_ten_past(max(min(known), now)))
    else:
        Job.objects.filter(key="biller").delete()


def ends_at(row: Subscription) -> datetime | None:
    """Return when a planned end takes effect: at the beginning of its day."""
    return None if row.ending_at is None else periods.midnight(row.ending_at.date())


def _falls_due_at(row: Subscription) -> datetime | None:
    if row.status == "pending":
        return row.subscription_at if row.previous_id is None else None
    moments = [moment for moment in (row.next_billing_at, ends_at(row)) if moment is not None]
    return min(moments, default=None)


def _ten_past(moment: datetime) -> datetime:
    hour = moment.replace(minute=10, second=0, microsecond=0)
    return hour if hour >= moment else hour + timedelta(hours=1)

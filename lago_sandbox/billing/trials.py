"""Free days at the beginning: counted from the first start that its id ever had, whatever plan it has now (B31)."""

from datetime import datetime, timedelta

from lago_sandbox.models import Subscription


def ends_at(row: Subscription) -> datetime | None:
    """Return when the plan's trial ends, None for a plan without one."""
    if not row.plan.trial_period or row.started_at is None:
        return None
    first = (
        Subscription.objects.filter(
            external_id=row.external_id, customer_id=row.customer_id, started_at__isnull=False
        )
        .order_by("started_at")
        .values_list("started_at", flat=True)
        .first()
    )
    return (first or row.started_at) + timedelta(days=row.plan.trial_period)


def is_running(row: Subscription, now: datetime) -> bool:
    """Say whether nothing is to be paid yet."""
    ends = ends_at(row)
    return ends is not None and ends > now


def is_open(row: Subscription) -> bool:
    """Say whether a trial was begun whose end nobody was told of."""
    return row.trial_ended_at is None and ends_at(row) is not None

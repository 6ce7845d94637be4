"""How a subscription and its billing periods belong together."""

from datetime import date, datetime

from lago_sandbox import clock
from lago_sandbox.billing import periods
from lago_sandbox.models import Subscription


def period(subscription: Subscription, day: date) -> periods.Period:
    """Return the period of the plan in which a day lies; the days count from `subscription_at`, also after an upgrade."""
    return periods.containing(
        interval=subscription.plan.interval,
        billing_time=subscription.billing_time,
        anchor=subscription.subscription_at.date(),
        day=day,
    )


def current_period(subscription: Subscription) -> tuple[datetime, datetime] | None:
    """Return the bounds shown as current: the first period begins on the day of the start."""
    if subscription.status != "active" or subscription.started_at is None:
        return None
    found = period(subscription, max(clock.now(), subscription.started_at).date())
    return max(found.begins_at, periods.midnight(subscription.started_at.date())), found.ends_at


def downgrade_day(subscription: Subscription) -> date | None:
    """Return the day on which a planned downgrade takes effect."""
    if subscription.next_billing_at is None:
        return None
    return subscription.next_billing_at.date()


def charges_range(
    subscription: Subscription, found: periods.Period, until: datetime | None = None
) -> tuple[datetime, datetime]:
    """Return from when to when usage counts in a period: not before the start, not after the end."""
    begins = found.begins_at
    if subscription.started_at is not None:
        begins = max(begins, subscription.started_at)
    return begins, min(found.ends_at, until) if until else found.ends_at

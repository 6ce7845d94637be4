"""The plan of an organization in words for a page. Prices and invoices are not known here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orgs import subscriptions
from orgs.models import Organization, Subscription

UNLIMITED: Final = "unlimited"


@dataclass(frozen=True)
class PlanFacts:
    """Which limits hold now; `status` and `period_end` only where there is a subscription."""

    name: str
    status: str
    period_end: datetime | None
    daily_calls: str
    monthly_calls: str
    is_past_due: bool


def plan_facts(*, organization: Organization) -> PlanFacts:
    """Return the facts of the live subscription, or of having none."""
    subscription = subscriptions.live(organization=organization)
    plan = subscription.plan if subscription else subscriptions.plan_of(organization=organization)
    return PlanFacts(
        name=plan.name,
        status=subscription.get_status_display() if subscription else "",
        period_end=subscription.current_period_end if subscription else None,
        daily_calls=_calls(plan.daily_calls),
        monthly_calls=_calls(plan.monthly_calls),
        is_past_due=bool(subscription and subscription.status == Subscription.Status.PAST_DUE),
    )


def _calls(limit: int | None) -> str:
    return UNLIMITED if limit is None else f"{limit:,}"

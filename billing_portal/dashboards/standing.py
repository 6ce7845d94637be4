"""The plan of an organization in words for a page, and how many of its calls are used. Prices are not known here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from credits.reports import figures
from orgs import subscriptions
from orgs.models import Organization, Subscription

UNLIMITED: Final = "unlimited"


@dataclass(frozen=True)
class PlanFacts:
    """Which limits hold now; `status` and `period_end` only where there is a subscription."""

    name: str
    status: str
    period_end: datetime | None
    calls_today: str
    calls_this_month: str
    is_past_due: bool


def plan_facts(*, organization: Organization) -> PlanFacts:
    """Return the facts of the live subscription, or of having none."""
    subscription = subscriptions.live(organization=organization)
    plan = subscription.plan if subscription else subscriptions.plan_of(organization=organization)
    calls = {
        period: f"{quota.used:,} of {quota.limit:,}"
        for period, quota in (figures.quota(organization=organization) or {}).items()
    }
    return PlanFacts(
        name=plan.name,
        status=subscription.get_status_display() if subscription else "",
        period_end=subscription.current_period_end if subscription else None,
        calls_today=calls.get("day", UNLIMITED),
        calls_this_month=calls.get("month", UNLIMITED),
        is_past_due=bool(subscription and subscription.status == Subscription.Status.PAST_DUE),
    )

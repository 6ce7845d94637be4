"""Totals over all organizations: how many there are, on which plans, and their money per currency."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q, Sum

from credits.amounts import ZERO
from credits.reports import liability
from lago_sync import money
from lago_sync.models import LagoSubscription, Purchase
from orgs.models import Organization, Subscription
from orgs.models.plans import NO_PLAN

SALES_DAYS: Final = 30
_MONTHS: Final = {"monthly": Decimal(1), "yearly": Decimal(12)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many organizations and live subscriptions there are."""

    organizations: int
    teams: int
    personal: int
    suspended: int
    subscriptions: int
    past_due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyLine:
    """One currency, in its minor units; currencies are never added up.

    `owed` is the credit liability: what was paid for `owed_credits`, which are not used yet.
    """

    currency: str
    sold_recently: int
    sold_ever: int
    waiting: int
    recurring: int
    owed: int
    owed_credits: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCount:
    """How many organizations are on a plan."""

    code: str
    name: str
    organizations: int


def counts() -> Counts:
    """Return them; archived organizations do not count."""
    organizations = Organization.objects.exclude(status=Organization.Status.ARCHIVED).aggregate(
        all=Count("pk"),
        teams=Count("pk", filter=Q(kind=Organization.Kind.TEAM)),
        suspended=Count("pk", filter=Q(status=Organization.Status.SUSPENDED)),
    )
    subscriptions = Subscription.objects.filter(ended_at__isnull=True).aggregate(
        all=Count("pk"), past_due=Count("pk", filter=Q(status=Subscription.Status.PAST_DUE))
    )
    return Counts(
        organizations=organizations["all"],
        teams=organizations["teams"],
        personal=organizations["all"] - organizations["teams"],
        suspended=organizations["suspended"],
        subscriptions=subscriptions["all"],
        past_due=subscriptions["past_due"],
    )


def money_lines(*, since: datetime) -> list[MoneyLine]:
    """Return what was sold, what waits for payment, what recurs each month and what is owed in credits, by currency."""
    completed = Q(status=Purchase.Status.COMPLETED)
    sales = Purchase.objects.values("currency").annotate(
        ever=Sum("amount_cents", filter=completed),
        recent=Sum("amount_cents", filter=completed & Q(completed_at__gte=since)),
        waiting=Sum("amount_cents", filter=Q(status__in=Purchase.OPEN)),
    )
    sold: dict[str, dict[str, Any]] = {row["currency"]: dict(row) for row in sales.order_by()}
    a_month = recurring()
    owed = {one.currency: one for one in liability.figures()}
    return [
        MoneyLine(
            currency=currency,
            sold_recently=sold.get(currency, {}).get("recent") or 0,
            sold_ever=sold.get(currency, {}).get("ever") or 0,
            waiting=sold.get(currency, {}).get("waiting") or 0,
            recurring=a_month.get(currency, 0),
            owed=owed[currency].cents if currency in owed else 0,
            owed_credits=owed[currency].credits if currency in owed else ZERO,
        )
        for currency in sorted({*sold, *a_month, *owed})
    ]


def recurring() -> dict[str, int]:
    """Return what live subscriptions bring a month, by currency; a year is twelve months.

    Active and past due ones count: a trial's week does not recur, a canceled plan ends, a paused one is not used.
    """
    counted = Subscription.objects.filter(
        ended_at=None, status__in=[Subscription.Status.ACTIVE, Subscription.Status.PAST_DUE]
    )
    live = LagoSubscription.objects.filter(
        status="active",
        ended_at__isnull=True,
        interval__in=_MONTHS,
        organization__in=counted.values("organization"),
    ).values("currency", "interval")
    found: dict[str, int] = {}
    for row in live.annotate(cents=Sum("amount_cents")).order_by():
        cents = money.share(row["cents"], Decimal(1), _MONTHS[row["interval"]])
        found[row["currency"]] = found.get(row["currency"], 0) + cents
    return found


def plans() -> list[PlanCount]:
    """Return how many organizations are on each plan, most first; those without one are on the plan *none*."""
    live = Subscription.objects.filter(ended_at__isnull=True).exclude(
        organization__status=Organization.Status.ARCHIVED
    )
    rows: Any = live.values("plan__code", "plan__name").annotate(organizations=Count("pk"))
    found = [
        PlanCount(code=row["plan__code"], name=row["plan__name"], organizations=row["organizations"])
        for row in rows.order_by("-organizations", "plan__code")
    ]
    without = Organization.objects.exclude(status=Organization.Status.ARCHIVED).count()
    without -= sum(one.organizations for one in found)
    return [*found, PlanCount(code=NO_PLAN, name="No plan", organizations=without)]

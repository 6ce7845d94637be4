"""Figures of all organizations together, for system admins: pools now, and use by day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from credits.amounts import ZERO, CreditsField
from credits.models import Allocation, CreditPool, DailyUsage, Grant
from credits.reports.usage import DailySeries, Series
from orgs.models import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFigures:
    """Credits of every organization: what came in, and where it is. Apart, as everywhere (product.md §3)."""

    granted: Decimal
    available: Decimal
    held: Decimal
    reserved: Decimal
    allocated: Decimal
    used: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationFigures:
    """One organization in a list: what its pools have free, and what it used in a period."""

    available: Decimal = ZERO
    used: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """An organization that used credits."""

    organization: Organization
    credits: Decimal


def figures() -> SystemFigures:
    """Return the sums over all organizations; three queries however many there are."""
    pools = CreditPool.objects.aggregate(
        free=_sum(F("available")), holds=_sum(F("held")), ever=_sum(F("spent"))
    )
    shares = Allocation.objects.aggregate(
        reserved=_sum(F("remaining")),
        holds=_sum(F("held")),
        ever=_sum(F("spent")),
        allocated=_sum(F("used") + F("held") + F("remaining"), filter=Q(closed_at__isnull=True)),
    )
    return SystemFigures(
        granted=Grant.objects.aggregate(sum=_sum(F("credits")))["sum"],
        available=pools["free"],
        held=pools["holds"] + shares["holds"],
        reserved=shares["reserved"],
        allocated=shares["allocated"],
        used=pools["ever"] + shares["ever"],
    )


def daily_use(*, since: date, until: date, top: int = 4) -> DailySeries:
    """Return use by day, each in its organization's calendar, by organization; beyond the `top` ones it is "Other"."""
    days = [since + timedelta(days=offset) for offset in range((until - since).days + 1)]
    at = {day: index for index, day in enumerate(days)}
    values: dict[int, list[Decimal]] = {}
    rows = DailyUsage.objects.filter(day__range=(since, until)).values_list("organization", "day")
    for organization, day, credits in rows.annotate(sum=Sum("credits")).order_by():
        values.setdefault(organization, [ZERO] * len(days))[at[day]] += credits
    ranked = sorted(values, key=lambda one: (-sum(values[one], ZERO), one))
    shown, rest = (ranked, []) if len(ranked) <= top + 1 else (ranked[:top], ranked[top:])
    found = Organization.objects.in_bulk(shown)
    series = [_series(found[one].public_id, found[one].name, values[one]) for one in shown]
    if rest:
        others = [sum(day, ZERO) for day in zip(*(values[one] for one in rest), strict=True)]
        series.append(_series("other", "Other", others))
    return DailySeries(days=days, series=series, total=sum((one.total for one in series), ZERO))


def top_spenders(*, since: date, until: date, limit: int = 5) -> list[Spender]:
    """Return the organizations that used most, most first."""
    used = _used(since, until).order_by("-sum", "organization")[:limit]
    found = Organization.objects.in_bulk([row["organization"] for row in used])
    return [Spender(organization=found[row["organization"]], credits=row["sum"]) for row in used]


def of_organizations(
    *, organizations: Collection[Organization], since: date, until: date
) -> Mapping[int, OrganizationFigures]:
    """Return what each organization's pools have free and what it used in the period, by primary key; two queries."""
    pools = CreditPool.objects.filter(organization__in=organizations).values("organization").order_by()
    free = {row["organization"]: row["sum"] for row in pools.annotate(sum=_sum(F("available")))}
    rows = _used(since, until).filter(organization__in=organizations).order_by()
    used = {row["organization"]: row["sum"] for row in rows}
    return {
        one.pk: OrganizationFigures(available=free.get(one.pk, ZERO), used=used.get(one.pk, ZERO))
        for one in organizations
    }


def _used(since: date, until: date) -> Any:
    rows = DailyUsage.objects.filter(day__range=(since, until)).values("organization")
    return rows.annotate(sum=_sum(F("credits")))


def _sum(expression: Any, **kwargs: Any) -> Coalesce:
    return Coalesce(Sum(expression, **kwargs), ZERO, output_field=CreditsField())


def _series(key: str, label: str, values: list[Decimal]) -> Series:
    return Series(key=key, label=label, values=values, total=sum(values, ZERO))

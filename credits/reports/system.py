"""Figures of all organizations together, for system admins: pools now, and use by day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import BigIntegerField, Case, Count, F, Max, Q, Sum, Value, When
from django.db.models.functions import Coalesce

from credits.amounts import ZERO, CreditsField
from credits.models import Allocation, CreditPool, DailyUsage, Grant, UnpricedUse
from credits.reports.series import DailySeries, Series
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Something without a price that was asked for: how often it was refused or charged flat, by how many organizations."""

    kind: str
    name: str
    refused: int
    charged: int
    organizations: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendDay:
    """Use of one day by all organizations."""

    day: date
    credits: Decimal
    requests: int


def unpriced(*, since: datetime, limit: int = 10) -> list[Unpriced]:
    """Return what has no price and was asked for lately, most asked for first."""
    rows: Any = UnpricedUse.objects.filter(last_at__gte=since).values("kind", "name")
    found = rows.annotate(
        all_refused=Sum("refused"),
        all_charged=Sum("charged"),
        organizations=Count("organization"),
        latest=Max("last_at"),
    ).order_by(-(F("all_refused") + F("all_charged")), "name")[:limit]
    return [
        Unpriced(
            kind=row["kind"],
            name=row["name"],
            refused=row["all_refused"],
            charged=row["all_charged"],
            organizations=row["organizations"],
            last_at=row["latest"],
        )
        for row in found
    ]


def trend(*, since: date, until: date) -> list[TrendDay]:
    """Return use of each day, days without any included."""
    rows: Any = DailyUsage.objects.filter(day__range=(since, until)).values("day")
    found = {row["day"]: row for row in rows.annotate(c=Sum("credits"), n=Sum("requests")).order_by()}
    days = [since + timedelta(days=offset) for offset in range((until - since).days + 1)]
    return [
        TrendDay(
            day=day,
            credits=found[day]["c"] if day in found else ZERO,
            requests=found[day]["n"] if day in found else 0,
        )
        for day in days
    ]


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
    """Return use by day, each in its organization's calendar, by organization; beyond the `top` ones it is "Other".

    The largest are asked for first, so that thousands of organizations read a few lines.
    """
    days = [since + timedelta(days=offset) for offset in range((until - since).days + 1)]
    at = {day: index for index, day in enumerate(days)}
    ranked = [row["organization"] for row in _used(since, until).order_by("-sum", "organization")[: top + 2]]
    shown = ranked if len(ranked) <= top + 1 else ranked[:top]
    values: dict[int | None, list[Decimal]] = {group: [ZERO] * len(days) for group in [*shown, None]}
    named = [When(organization=group, then=Value(group)) for group in shown]
    group: Any = Case(*named, default=Value(None), output_field=BigIntegerField(null=True))
    rows: Any = DailyUsage.objects.filter(day__range=(since, until)).annotate(group=group)
    for one, day, credits in rows.values_list("group", "day").annotate(sum=Sum("credits")).order_by():
        values[one][at[day]] += credits
    found = Organization.objects.in_bulk(shown)
    lines = [_series(found[one].public_id, found[one].name, values[one]) for one in shown]
    if len(ranked) > len(shown):
        lines.append(_series("other", "Other", values[None]))
    return DailySeries(days=days, series=lines, total=sum((one.total for one in lines), ZERO))


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

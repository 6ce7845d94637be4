"""What `/billing/` shows: a person's credits in every organization, and what they used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from billing_portal.dashboards import charts, own, periods
from billing_portal.dashboards.own import OwnPart
from billing_portal.dashboards.switcher import Entry
from credits import amounts
from credits.reports import series
from orgs.models import User

DAYS: Final = 30
_NAMED: Final = charts.MOST_SERIES - 1
_PAYERS: Final = {"allocation": "Your allocation", "pool": "The pool", "nobody": "Nobody"}


@dataclass(frozen=True)
class OrganizationCard:
    """One organization as one person sees it."""

    entry: Entry
    part: OwnPart
    payer: str
    used_in_period: Decimal
    spark: charts.Sparkline | None


@dataclass(frozen=True)
class OwnUse:
    """A person's own use in one organization, day by day."""

    label: str
    values: Sequence[Decimal]

    @property
    def total(self) -> Decimal:
        """Return the sum of its days."""
        return sum(self.values, Decimal(0))


@dataclass(frozen=True)
class MinePage:
    cards: Sequence[OrganizationCard]
    chart: charts.StackedBars | None
    chart_sub: str
    paying_sentence: str
    has_team: bool


def build(*, user: User, entries: Sequence[Entry], now: datetime) -> MinePage:
    """Return the page; three questions an organization, however long its history."""
    today = max(periods.today_in(entry.organization.time_zone, now=now) for entry in entries)
    period = periods.last_days(DAYS, today=today)
    uses = [_own_use(user, entry, period) for entry in entries]
    total = sum((use.total for use in uses), Decimal(0))
    return MinePage(
        cards=[_card(user, entry, use) for entry, use in zip(entries, uses, strict=True)],
        chart=_chart(uses, period, total) if any(value for use in uses for value in use.values) else None,
        chart_sub=f"{amounts.display(total)} credits, by organization",
        paying_sentence=_paying_sentence(entries),
        has_team=any(not entry.is_personal for entry in entries),
    )


def _own_use(user: User, entry: Entry, period: periods.Period) -> OwnUse:
    found = series.daily(
        organization=entry.organization,
        since=period.since,
        until=period.until,
        split_by="service",
        user=user,
        top=1,
    )
    days = range(period.days)
    values = [sum((one.values[day] for one in found.series), Decimal(0)) for day in days]
    return OwnUse(label=entry.organization.name, values=values)


def _card(user: User, entry: Entry, use: OwnUse) -> OrganizationCard:
    part = own.part(organization=entry.organization, user=user)
    return OrganizationCard(
        entry=entry,
        part=part,
        payer="Your own credits" if entry.is_personal else _PAYERS[part.pays],
        used_in_period=use.total,
        spark=charts.sparkline(use.values, label=f"Your use in {entry.organization.name}, day by day"),
    )


def _chart(uses: Sequence[OwnUse], period: periods.Period, total: Decimal) -> charts.StackedBars:
    return charts.stacked_bars(
        title="Credits you used a day, by organization",
        days=period.dates,
        series=_largest(uses),
        total=total,
        today=period.until,
    )


def _largest(uses: Sequence[OwnUse]) -> list[OwnUse]:
    """Return the largest first, and what does not fit a chart as one."""
    ordered = sorted((use for use in uses if any(use.values)), key=lambda use: -use.total)
    if len(ordered) <= charts.MOST_SERIES:
        return ordered
    rest = ordered[_NAMED:]
    days = zip(*(use.values for use in rest), strict=True)
    return [*ordered[:_NAMED], OwnUse(label="Other", values=[sum(day, Decimal(0)) for day in days])]


def _paying_sentence(entries: Sequence[Entry]) -> str:
    active = next(entry for entry in entries if entry.is_active)
    if active.is_personal:
        return "Your personal organization pays for your next call."
    return f"{active.organization.name} pays for your next call."

"""What the usage page shows of what was asked for: tiles, chart, breakdown, top spenders, records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.utils.formats import date_format

from credits import amounts
from credits.models import UsageRecord
from credits.reports import buckets, forecast, movements, series, usage
from credits.reports.forecast import Outlook, State
from credits.reports.series import DailySeries
from credits.reports.usage import Filters, Names, UsageReport, UsageRow
from credits.views import asking
from credits.views.asking import Asked
from credits.views.sight import Sight

ROWS: Final = 50
RECORDS: Final = 25
SPENDERS: Final = 5
EXPORTED: Final = 10_000
_COLUMNS: Final = 92
"""Bars of a chart: a longer period is drawn by week or month."""
_IN_TIME: Final = "model"
_UNITS: Final = {"day": "a day", "week": "a week", "month": "a month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a figure lies to that of the days before; `percentage` is None where there was nothing to compare with."""

    percentage: Decimal | None
    direction: str

    @property
    def words(self) -> str:
        """Return it as the end of a sentence."""
        if self.percentage is None:
            return "nothing before to compare with"
        return f"{self.percentage}% {self.direction}" if self.percentage else "as much"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the breakdown; `query` narrows the page to it."""

    row: UsageRow
    label: str
    change: Change
    query: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    asked: Asked
    report: UsageReport
    lines: Sequence[Line]
    credits: Change
    requests: Change
    tokens: Change
    chart: DailySeries | None
    chart_title: str
    unit: str
    spenders: Sequence[UsageRow]
    records: Sequence[UsageRecord]
    older: str
    names: Names
    outlook: Outlook | None

    @property
    def a_request(self) -> str:
        """Return what a request cost on average, or a dash where there was none."""
        if not self.report.total_requests:
            return "\N{EN DASH}"
        mean = amounts.portion(self.report.total_credits, 1, self.report.total_requests)
        return amounts.display_short(mean)


def build(*, asked: Asked, sight: Sight, now: datetime, before: UUID | None) -> Page:
    """Return the page; every figure is a sum of rollups, and only a page of records is read."""
    counted = asking.filters(asked, sight=sight)
    report = usage.breakdown(
        organization=sight.organization,
        since=asked.since,
        until=asked.until,
        group_by=asked.group_by,
        filters=counted,
        limit=ROWS,
    )
    unit = _unit(asked)
    split = _IN_TIME if asked.group_by in buckets.UNITS else asked.group_by
    found = _records(asked, sight, counted, before)
    return Page(
        asked=asked,
        report=report,
        lines=[_line(row, asked) for row in (*report.rows, *report.gone)],
        credits=change(report.total_credits, report.previous_credits),
        requests=change(Decimal(report.total_requests), Decimal(report.previous_requests)),
        tokens=change(Decimal(report.total_tokens), Decimal(report.previous_tokens)),
        chart=_chart(asked, sight, counted, split, unit)
        if report.total_requests or report.total_credits
        else None,
        chart_title=f"Credits {_UNITS[unit]}, by {asking.GROUPINGS[split].lower()}",
        unit=unit,
        spenders=_spenders(asked, sight, counted),
        records=found[:RECORDS],
        older=str(found[RECORDS - 1].pk) if len(found) > RECORDS else "",
        names=usage.names(
            organization=sight.organization, since=asked.since, until=asked.until, filters=sight.filters()
        ),
        outlook=_outlook(asked, sight, now),
    )


def change(now: Decimal, before: Decimal) -> Change:
    """Return how much more or less it is; no change is invented where there was nothing."""
    if before <= 0:
        return Change(percentage=None, direction="")
    return Change(
        percentage=abs(amounts.percentage(now - before, before)), direction="less" if now < before else "more"
    )


def exported(*, asked: Asked, sight: Sight) -> Sequence[UsageRecord]:
    """Return the records of a CSV file, the newest ones."""
    counted = asking.filters(asked, sight=sight)
    rows = movements.record_rows(
        organization=sight.organization, filters=counted, since=asked.since, until=asked.until
    )
    return list(rows[:EXPORTED])


def report_of(*, asked: Asked, sight: Sight) -> UsageReport:
    """Return the whole breakdown, for a CSV file."""
    return usage.breakdown(
        organization=sight.organization,
        since=asked.since,
        until=asked.until,
        group_by=asked.group_by,
        filters=asking.filters(asked, sight=sight),
    )


def expected(outlook: Outlook | None) -> str:
    """Return the forecast as a figure: not applicable and not known yet are said, and differ from 0."""
    if outlook is None:
        return "\N{EN DASH}"
    if outlook.forecast.state is State.NOT_KNOWN_YET or outlook.forecast.expected is None:
        return "not known yet"
    return amounts.display_short(outlook.forecast.expected)


def _unit(asked: Asked) -> str:
    if asked.group_by in buckets.UNITS and asked.group_by != "day":
        return asked.group_by
    return buckets.fitting(asked.since, asked.until, _COLUMNS)


def _chart(asked: Asked, sight: Sight, counted: Filters, split: str, unit: str) -> DailySeries:
    return series.daily(
        organization=sight.organization,
        since=asked.since,
        until=asked.until,
        split_by=split,
        filters=counted,
        unit=unit,
    )


def _spenders(asked: Asked, sight: Sight, counted: Filters) -> list[UsageRow]:
    """Return who used most; nobody where one member is chosen, or the breakdown says it already."""
    if sight.is_own or asked.member is not None or asked.group_by == "user":
        return []
    return usage.top_spenders(
        organization=sight.organization,
        since=asked.since,
        until=asked.until,
        filters=counted,
        limit=SPENDERS,
    )


def _records(asked: Asked, sight: Sight, counted: Filters, before: UUID | None) -> list[UsageRecord]:
    rows = movements.record_rows(
        organization=sight.organization,
        filters=counted,
        since=asked.since,
        until=asked.until,
        before=before,
    )
    return list(rows[: RECORDS + 1])


def _outlook(asked: Asked, sight: Sight, now: datetime) -> Outlook | None:
    """Return the forecast of what is in sight, where the page is not narrowed to a part of it."""
    if asked.is_narrow or not (sight.is_whole or sight.is_own):
        return None
    if sight.is_whole:
        return forecast.of_organization(organization=sight.organization, now=now)
    return forecast.of_member(organization=sight.organization, user=sight.user, now=now)


def _line(row: UsageRow, asked: Asked) -> Line:
    return Line(
        row=row,
        label=_label(row, asked.group_by),
        change=change(row.credits, row.previous_credits),
        query=_narrowing(row, asked),
    )


def _label(row: UsageRow, group_by: str) -> str:
    if group_by not in buckets.UNITS:
        return row.label
    day = buckets.day_of(row.key)
    if group_by == "month":
        return date_format(day, "F Y")
    return f"Week of {date_format(day, 'j F')}" if group_by == "week" else date_format(day, "D j F")


def _narrowing(row: UsageRow, asked: Asked) -> dict[str, str]:
    """Return what to ask for to see this row alone; nothing for use that nobody is named for."""
    if asked.group_by in buckets.UNITS:
        one = buckets.within(buckets.day_of(row.key), asked.group_by, asked.since, asked.until)
        return {"start": one.first.isoformat(), "end": one.last.isoformat(), "by": "model"}
    name = "member" if asked.group_by == "user" else asked.group_by
    if not row.key:
        return {}
    return {name: row.key, "by": "model" if asked.group_by != "model" else "service"}

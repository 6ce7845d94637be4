"""What `/orgs/<slug>/` shows: the whole organization to those who may see it, their own part to everybody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.core.paginator import Page, Paginator

from billing_portal.dashboards import charts, periods
from billing_portal.dashboards.bands import Band, band
from billing_portal.dashboards.movements import Movement, latest
from billing_portal.dashboards.standing import PlanFacts, plan_facts
from credits import amounts
from credits.reports import figures, usage
from credits.reports.figures import AllocationFigures, MemberFigures, PoolFigures
from credits.reports.usage import UsageReport
from orgs.models import Organization, User

ALLOCATIONS_A_PAGE: Final = 10


@dataclass(frozen=True)
class UsagePart:
    """What was used in a period: chart, breakdown and the sentence above them, all of the same sum."""

    period: periods.Period
    grouping: periods.Grouping
    usage: UsageReport
    chart: charts.StackedBars | None
    spark: charts.Sparkline | None
    chart_title: str
    chart_sub: str
    breakdown_title: str


@dataclass(frozen=True)
class AllocationRow:
    name: str
    email: str
    department: str
    allocated: Decimal
    used: Decimal
    held: Decimal
    remaining: Decimal
    percentage: Decimal
    band: Band
    bar_label: str


@dataclass(frozen=True)
class OwnPart:
    """A member's own figures."""

    own: MemberFigures
    own_percentage: Decimal
    own_band: Band
    own_bar_label: str


@dataclass(frozen=True)
class PoolPart:
    """The whole organization's figures; the four of a pool stay apart."""

    pool: PoolFigures
    granted_bar: charts.ShareBar
    allocated_bar: charts.ShareBar
    page: Page[AllocationRow]
    allocations_sub: str
    movements: Sequence[Movement]


def usage_part(
    *, organization: Organization, query: Mapping[str, str], now: datetime, user: User | None
) -> UsagePart:
    """Return what was used in the asked period, by what was asked; `user` narrows it to one person's own use."""
    today = periods.today_in(organization.time_zone, now=now)
    period = periods.last_days(periods.asked_days(query), today=today)
    grouping = periods.asked_grouping(query) if user is None else "model"
    report = usage.breakdown(
        organization=organization, since=period.since, until=period.until, group_by=grouping, user=user
    )
    daily = usage.daily_series(
        organization=organization, since=period.since, until=period.until, split_by=grouping, user=user, top=4
    )
    by = periods.GROUPINGS[grouping].lower()
    chart = charts.stacked_bars(
        title=f"Credits used a day, by {by}",
        days=daily.days,
        series=daily.series,
        total=daily.total,
        today=today,
    )
    is_used = bool(report.total_requests or report.total_credits)
    return UsagePart(
        period=period,
        grouping=grouping,
        usage=report,
        chart=chart if is_used else None,
        spark=charts.sparkline([column.total for column in chart.columns], label="Credits used a day")
        if is_used
        else None,
        chart_title=f"Your usage by {by}" if user else f"Usage by {by}",
        chart_sub=_usage_sentence(report, period) if is_used else "",
        breakdown_title=f"By {by}",
    )


def own_part(*, organization: Organization, user: User) -> OwnPart:
    """Return what a member may know of their own credits here."""
    own = figures.member_figures(organization=organization, user=user)
    percentage = amounts.percentage(own.used, own.allocated or Decimal(0))
    return OwnPart(
        own=own,
        own_percentage=percentage,
        own_band=band(percentage=percentage, remaining=own.remaining or Decimal(0)),
        own_bar_label=f"{percentage}% of your allocation is used",
    )


def pool_part(*, organization: Organization, page_number: str) -> PoolPart:
    """Return the whole organization's figures, a page of its allocations and its latest movements."""
    pool = figures.organization_figures(organization=organization)
    page = _allocations_page(organization, page_number)
    return PoolPart(
        pool=pool,
        granted_bar=_granted_bar(pool),
        allocated_bar=_allocated_bar(pool),
        page=page,
        allocations_sub=_allocations_sentence(page.paginator.count, pool),
        movements=latest(organization=organization),
    )


def _granted_bar(pool: PoolFigures) -> charts.ShareBar:
    parts = [("sA", pool.available), ("sB", pool.reserved), ("sC", pool.held)]
    words = f"{amounts.display(pool.available)} available, {amounts.display(pool.reserved)} reserved, {amounts.display(pool.held)} held"
    return charts.share_bar(
        parts, whole=pool.granted, label=f"Of {amounts.display(pool.granted)} granted: {words}"
    )


def _allocated_bar(pool: PoolFigures) -> charts.ShareBar:
    taken = pool.allocated - pool.reserved
    label = f"Of {amounts.display(pool.allocated)} allocated: {amounts.display(taken)} used or held, {amounts.display(pool.reserved)} left"
    return charts.share_bar([("sA", taken), ("sB", pool.reserved)], whole=pool.allocated, label=label)


def _usage_sentence(report: UsageReport, period: periods.Period) -> str:
    parts = [f"{amounts.display(report.total_credits)} credits", f"{report.total_requests:,} requests"]
    if report.previous_credits > 0:  # nothing to compare with is no change of 100 %
        change = amounts.percentage(report.total_credits - report.previous_credits, report.previous_credits)
        parts.append(
            f"{abs(change)}% {'less' if change < 0 else 'more'} than in the {period.days} days before"
        )
    return " · ".join(parts)


def _allocations_sentence(count: int, pool: PoolFigures) -> str:
    members = "1 member has" if count == 1 else f"{count:,} members have"
    return f"{members} {amounts.display(pool.allocated)} credits set apart"

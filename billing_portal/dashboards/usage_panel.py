"""What was used in a period: a chart, a breakdown and the sentence above them, all of the same sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from billing_portal.dashboards import charts, periods
from credits import amounts
from credits.reports import series, usage
from credits.reports.usage import UsageReport
from orgs.models import Organization, User


@dataclass(frozen=True)
class UsagePart:
    """`chart` is None where nothing was used."""

    period: periods.Period
    grouping: periods.Grouping
    usage: UsageReport
    chart: charts.StackedBars | None
    spark: charts.Sparkline | None
    chart_title: str
    chart_sub: str
    breakdown_title: str


def part(
    *, organization: Organization, query: Mapping[str, str], now: datetime, user: User | None = None
) -> UsagePart:
    """Return what was used in the asked period, by what was asked; `user` narrows it to one person's own use, by model."""
    today = periods.today_in(organization.time_zone, now=now)
    period = periods.last_days(periods.asked_days(query), today=today)
    grouping = periods.asked_grouping(query) if user is None else "model"
    report = usage.breakdown(
        organization=organization, since=period.since, until=period.until, group_by=grouping, user=user
    )
    is_used = bool(report.total_requests or report.total_credits)
    by = periods.GROUPINGS[grouping].lower()
    chart = _chart(organization, period, grouping, user) if is_used else None
    return UsagePart(
        period=period,
        grouping=grouping,
        usage=report,
        chart=chart,
        spark=charts.sparkline([column.total for column in chart.columns], label="Credits used a day")
        if chart
        else None,
        chart_title=f"Your usage by {by}" if user else f"Usage by {by}",
        chart_sub=_sentence(report, period) if is_used else "",
        breakdown_title=f"By {by}",
    )


def _chart(
    organization: Organization, period: periods.Period, grouping: periods.Grouping, user: User | None
) -> charts.StackedBars:
    daily = series.daily(
        organization=organization,
        since=period.since,
        until=period.until,
        split_by=grouping,
        user=user,
        top=charts.MOST_SERIES - 1,
    )
    return charts.stacked_bars(
        title=f"Credits used a day, by {periods.GROUPINGS[grouping].lower()}",
        days=daily.days,
        series=daily.series,
        total=daily.total,
        today=period.until,
    )


def _sentence(report: UsageReport, period: periods.Period) -> str:
    requests = "1 request" if report.total_requests == 1 else f"{report.total_requests:,} requests"
    parts = [f"{amounts.display(report.total_credits)} credits", requests]
    if report.previous_credits > 0:  # where there is nothing to compare with, no change is invented
        change = amounts.percentage(report.total_credits - report.previous_credits, report.previous_credits)
        parts.append(
            f"{abs(change)}% {'less' if change < 0 else 'more'} than in the {period.days} days before"
        )
    return " · ".join(parts)

"""What `/system/` shows to system admins: all organizations, credits, money per currency, and whether Lago is in step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from billing_portal.dashboards import books_panel, charts, directory, lago_panel, periods, totals
from billing_portal.dashboards.books_panel import BooksPanel
from billing_portal.dashboards.directory import Directory
from billing_portal.dashboards.lago_panel import LagoPanel
from billing_portal.dashboards.totals import Counts, MoneyLine, PlanCount
from credits import amounts
from credits.reports import system as reports
from credits.reports.system import Spender, SystemFigures, Unpriced
from orgs.audit import proofs
from orgs.audit.proofs import Proof

TREND_DAYS: Final = 7
UNPRICED_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The one sentence on top; `tone` is of a notice."""

    tone: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPage:
    counts: Counts
    plans: Sequence[PlanCount]
    totals: SystemFigures
    money_lines: Sequence[MoneyLine]
    chart: charts.StackedBars | None
    chart_sub: str
    spark: charts.Sparkline | None
    top: Sequence[tuple[Spender, Decimal]]
    directory: Directory
    lago: LagoPanel
    books: BooksPanel
    audit: Proof | None
    unpriced: Sequence[Unpriced]
    alarm: Alarm | None


def build(*, query: Mapping[str, str], now: datetime) -> SystemPage:
    """Return the page; its cost does not grow with how many organizations there are."""
    today = now.astimezone(UTC).date()
    period = periods.last_days(TREND_DAYS, today=today)
    daily = reports.daily_use(since=period.since, until=period.until, top=charts.MOST_SERIES - 1)
    chart = (
        charts.stacked_bars(
            title="Credits used a day, by organization",
            days=daily.days,
            series=daily.series,
            total=daily.total,
            today=today,
        )
        if daily.series
        else None
    )
    lago, books, audit = lago_panel.build(now=now), books_panel.build(now=now), proofs.last()
    spenders = reports.top_spenders(since=period.since, until=period.until)
    return SystemPage(
        counts=totals.counts(),
        totals=reports.figures(),
        plans=totals.plans(),
        money_lines=totals.money_lines(since=now - timedelta(days=totals.SALES_DAYS)),
        chart=chart,
        chart_sub=f"{amounts.display(daily.total)} credits in {TREND_DAYS} days, by organization",
        spark=charts.sparkline([column.total for column in chart.columns], label="Credits used a day")
        if chart
        else None,
        top=[(one, amounts.percentage(one.credits, daily.total)) for one in spenders],
        directory=directory.build(query=query, today=today),
        lago=lago,
        books=books,
        audit=audit,
        unpriced=reports.unpriced(since=now - timedelta(days=UNPRICED_DAYS)),
        alarm=_tampering(audit) or _alarm(lago, books),
    )


def _tampering(audit: Proof | None) -> Alarm | None:
    if audit is None or not audit.broken:
        return None
    sentence = "Somebody changed or removed events in the database. See which below."
    return Alarm(tone="bad", title="The audit log is broken.", sentence=sentence)


def _alarm(lago: LagoPanel, books: BooksPanel) -> Alarm | None:
    """Return what somebody must look at first."""
    check = lago.check
    if books.violations:
        return Alarm(tone="bad", title="Laws of the ledger are broken.", sentence="See the violations below.")
    if check is not None and check.stops_purchases:
        sentence = "Something at Lago would bill credits twice. See what to do below."
        return Alarm(tone="bad", title="Purchases are stopped.", sentence=sentence)
    if check is not None and check.status == "unreachable":
        sentence = "Credits are spent as usual; purchases and events wait until it answers."
        return Alarm(tone="bad", title="Lago does not answer.", sentence=sentence)
    if lago.differing or lago.drifted:
        return Alarm(
            tone="bad", title="Books differ from Lago.", sentence="See the comparison on the page of Lago."
        )
    if lago.dead or lago.flagged:
        sentence = "They wait until somebody looks at them."
        return Alarm(tone="warn", title="There are dead letters or purchases to check.", sentence=sentence)
    if books.is_stale:
        sentence = "The job that proves the books each hour has not run. See below."
        return Alarm(tone="warn", title="The books were not verified lately.", sentence=sentence)
    if lago.is_stale or (check is not None and check.problems):
        return Alarm(tone="warn", title="Lago needs attention.", sentence="See what to do below.")
    return None

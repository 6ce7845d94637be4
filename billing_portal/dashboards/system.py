"""What `/system/` shows to system admins: all organizations, credits, money per currency, and whether Lago is in step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q, Sum

from billing_portal.dashboards import charts, directory, lago_panel, periods
from billing_portal.dashboards.directory import Directory
from billing_portal.dashboards.lago_panel import LagoPanel
from credits import amounts
from credits.reports import system as reports
from credits.reports.system import Spender, SystemFigures
from lago_sync import money
from lago_sync.models import LagoSubscription, Purchase
from orgs.models import Organization, Subscription

TREND_DAYS: Final = 7
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
    """One currency, in its minor units; currencies are never added up."""

    currency: str
    sold_recently: int
    sold_ever: int
    waiting: int
    recurring: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The one sentence on top; `tone` is of a notice."""

    tone: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPage:
    counts: Counts
    totals: SystemFigures
    money_lines: Sequence[MoneyLine]
    chart: charts.StackedBars | None
    chart_sub: str
    spark: charts.Sparkline | None
    top: Sequence[tuple[Spender, Decimal]]
    directory: Directory
    lago: LagoPanel
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
    lago = lago_panel.build(now=now)
    spenders = reports.top_spenders(since=period.since, until=period.until)
    return SystemPage(
        counts=_counts(),
        totals=reports.figures(),
        money_lines=_money(now - timedelta(days=SALES_DAYS)),
        chart=chart,
        chart_sub=f"{amounts.display(daily.total)} credits in {TREND_DAYS} days, by organization",
        spark=charts.sparkline([column.total for column in chart.columns], label="Credits used a day")
        if chart
        else None,
        top=[(one, amounts.percentage(one.credits, daily.total)) for one in spenders],
        directory=directory.build(query=query, today=today),
        lago=lago,
        alarm=_alarm(lago),
    )


def _counts() -> Counts:
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


def _money(since: datetime) -> list[MoneyLine]:
    """Return what was sold, what waits for payment and what recurs each month, by currency."""
    completed = Q(status=Purchase.Status.COMPLETED)
    sales = Purchase.objects.values("currency").annotate(
        ever=Sum("amount_cents", filter=completed),
        recent=Sum("amount_cents", filter=completed & Q(completed_at__gte=since)),
        waiting=Sum("amount_cents", filter=Q(status__in=Purchase.OPEN)),
    )
    sold: dict[str, dict[str, Any]] = {row["currency"]: dict(row) for row in sales.order_by()}
    recurring = _recurring()
    return [
        MoneyLine(
            currency=currency,
            sold_recently=sold.get(currency, {}).get("recent") or 0,
            sold_ever=sold.get(currency, {}).get("ever") or 0,
            waiting=sold.get(currency, {}).get("waiting") or 0,
            recurring=recurring.get(currency, 0),
        )
        for currency in sorted({*sold, *recurring})
    ]


def _recurring() -> dict[str, int]:
    """Return what live subscriptions bring a month, by currency; a year is twelve months, a trial's week recurs not."""
    live = LagoSubscription.objects.filter(
        status="active", ended_at__isnull=True, interval__in=_MONTHS
    ).values("currency", "interval")
    found: dict[str, int] = {}
    for row in live.annotate(cents=Sum("amount_cents")).order_by():
        a_month = money.share(row["cents"], Decimal(1), _MONTHS[row["interval"]])
        found[row["currency"]] = found.get(row["currency"], 0) + a_month
    return found


def _alarm(lago: LagoPanel) -> Alarm | None:
    """Return what somebody must look at first."""
    check = lago.check
    if check is not None and check.stops_purchases:
        sentence = "Something at Lago would bill credits twice. See what to do below."
        return Alarm(tone="bad", title="Purchases are stopped.", sentence=sentence)
    if check is not None and check.status == "unreachable":
        sentence = "Credits are spent as usual; purchases and events wait until it answers."
        return Alarm(tone="bad", title="Lago does not answer.", sentence=sentence)
    if lago.differing:
        return Alarm(tone="bad", title="Books differ from Lago.", sentence="See the comparison below.")
    if lago.dead or lago.flagged:
        sentence = "They wait until somebody looks at them."
        return Alarm(tone="warn", title="There are dead letters or purchases to check.", sentence=sentence)
    if lago.is_stale or (check is not None and check.problems):
        return Alarm(tone="warn", title="Lago needs attention.", sentence="See what to do below.")
    return None

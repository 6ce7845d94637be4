"""The monthly report: what a month began and ended with, what came, what it was used on, the month before beside it.

Of the organization, or of one department: the part that its managers are told. Every figure counts when it was booked, so
that the report of a month that is over says the same for ever; only the chart is by the day of the call.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Min, Q, Sum

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import reconcile
from credits.models import CreditPool, Grant, UsageRecord
from credits.reports import calendars, series, statements, usage
from credits.reports.months import Month
from credits.reports.series import DailySeries
from credits.reports.statements import SIGNED, Statement
from credits.reports.usage import Filters
from orgs.models import Department, Organization

_ALWAYS: Final = ("opening", "used", "closing")
_GRANTS: Final = {
    Grant.Source.PURCHASE: "Bought",
    Grant.Source.PLAN: "Of the plan",
    Grant.Source.PROMOTION: "Promotion",
    Grant.Source.GOODWILL: "Goodwill",
    Grant.Source.ADJUSTMENT: "Adjustment",
    Grant.Source.MIGRATION: "Migration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a statement; what leaves stands below 0, so that opening and all between come to the closing."""

    key: str
    label: str
    credits: Decimal
    before: Decimal

    @property
    def is_sum(self) -> bool:
        """Whether it is a balance, not a movement."""
        return self.key in ("opening", "closing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one department, member or model used; `before` is the month before."""

    key: str
    label: str
    credits: Decimal
    requests: int
    share: Decimal
    before: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPart:
    """One pool with the allocations from it, in the list of an organization's pools."""

    name: str
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyReport:
    """`statement` is None for a department that was never funded; `late` is what calls of earlier months cost."""

    organization: Organization
    department: Department | None
    month: Month
    is_over: bool
    made_at: datetime
    statement: Statement | None
    before: Statement | None
    lines: list[Line]
    pools: list[PoolPart]
    departments: list[Used]
    members: list[Used]
    models: list[Used]
    used: Decimal
    used_before: Decimal
    requests: int
    late: Decimal
    chart: DailySeries | None

    @property
    def of(self) -> str:
        """Return whose report it is."""
        return self.department.name if self.department is not None else self.organization.name


@dataclass(frozen=True, slots=True)
class _Row:
    department: int | None
    user: UUID | None
    model: str
    is_now: bool
    credits: Decimal
    requests: int
    late: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the reports of one organization and month are made of, read at one moment."""

    organization: Organization
    month: Month
    made_at: datetime
    pools: list[CreditPool]
    now: Mapping[int, Statement]
    before: Mapping[int, Statement]
    rows: list[_Row]


def build(
    *, organization: Organization, month: Month, now: datetime, department: Department | None = None
) -> MonthlyReport:
    """Return the report of a month, or of what there is of it so far."""
    figures = read(organization=organization, month=month, now=now)
    return report(figures, department=department)


def read(*, organization: Organization, month: Month, now: datetime) -> Figures:
    """Read what all reports of that month need, once, on one snapshot; opens a transaction of its own."""
    since, until = month.bounds(organization)
    before, _ = month.previous.bounds(organization)
    with reconcile.snapshot():
        return Figures(
            organization=organization,
            month=month,
            made_at=now,
            pools=list(CreditPool.objects.filter(organization=organization).select_related("department")),
            now=statements.read(organization=organization, since=since, until=until),
            before=statements.read(organization=organization, since=before, until=since),
            rows=_rows(organization, month, before, since, until),
        )


def report(figures: Figures, *, department: Department | None = None) -> MonthlyReport:
    """Return the organization's report, or a department's."""
    key = department.pk if department is not None else None
    pools = [one for one in figures.pools if department is None or one.department_id == key]
    rows = [one for one in figures.rows if department is None or one.department == key]
    statement = statements.together(figures.now[one.pk] for one in pools) if pools else None
    before = statements.together(figures.before[one.pk] for one in pools) if pools else None
    _, until = figures.month.bounds(figures.organization)
    return MonthlyReport(
        organization=figures.organization,
        department=department,
        month=figures.month,
        is_over=until <= figures.made_at,
        made_at=figures.made_at,
        statement=statement,
        before=before,
        lines=_lines(statement, before) if statement is not None and before is not None else [],
        pools=_parts(figures) if department is None else [],
        departments=_used(rows, "department") if department is None else [],
        members=_used(rows, "user"),
        models=_used(rows, "model"),
        used=sum((one.credits for one in rows if one.is_now), ZERO),
        used_before=sum((one.credits for one in rows if not one.is_now), ZERO),
        requests=sum(one.requests for one in rows if one.is_now),
        late=sum((one.late for one in rows if one.is_now), ZERO),
        chart=_chart(figures, key),
    )


def months(*, organization: Organization, now: datetime, most: int = 24) -> list[Month]:
    """Return the months there is a report of, the present one first."""
    found = [Month.of(organization=organization, now=now)]
    first = Month.of(organization=organization, now=_begins(organization))
    while found[-1] > first and len(found) < most:
        found.append(found[-1].previous)
    return found


def exists(*, organization: Organization, month: Month, now: datetime) -> bool:
    """Tell whether there can be a report: not of the future, nor of before the organization."""
    first = Month.of(organization=organization, now=_begins(organization))
    return first <= month <= Month.of(organization=organization, now=now)


def _begins(organization: Organization) -> datetime:
    """Return when the books of an organization begin: credits that it brought along may be older than it."""
    first = Grant.objects.filter(organization=organization).aggregate(at=Min("created_at"))["at"]
    return min(organization.created_at, first or organization.created_at)


def _rows(
    organization: Organization, month: Month, before: datetime, since: datetime, until: datetime
) -> list[_Row]:
    records: Any = UsageRecord.objects.filter(
        organization=organization, created_at__gte=before, created_at__lt=until
    )
    found = (
        records.annotate(is_now=Q(created_at__gte=since))
        .values_list("department_id", "user_id", "model", "is_now")
        .annotate(
            sum=Sum(SIGNED),
            calls=Count("pk", filter=Q(kind=UsageRecord.Kind.CHARGE)),
            late=Sum(SIGNED, filter=Q(day__lt=month.first)),
        )
        .order_by()
    )
    return [
        _Row(department, user, model, is_now, credits, calls, late or ZERO)
        for department, user, model, is_now, credits, calls, late in found
    ]


def _lines(now: Statement, before: Statement) -> list[Line]:
    """Return the lines of a statement: the balances and use always, anything else where there was some."""
    pairs: list[tuple[str, str, Decimal, Decimal]] = [
        ("opening", "Opening balance", now.opening, before.opening)
    ]
    pairs += [
        (f"granted_{source}", label, now.grants.get(source, ZERO), before.grants.get(source, ZERO))
        for source, label in _GRANTS.items()
    ]
    pairs += [
        ("transferred_in", "Funded by the organization", now.transferred_in, before.transferred_in),
        ("transferred_out", "Returned to the organization", -now.transferred_out, -before.transferred_out),
        ("moved", "Given back after members moved", now.moved, before.moved),
        ("used", "Used", -now.used, -before.used),
        ("expired", "Expired", -now.expired, -before.expired),
        ("withdrawn", "Withdrawn after refunds", -now.withdrawn, -before.withdrawn),
        ("closing", "Closing balance", now.closing, before.closing),
    ]
    return [
        Line(key=key, label=label, credits=credits, before=then)
        for key, label, credits, then in pairs
        if credits or then or key in _ALWAYS
    ]


def _parts(figures: Figures) -> list[PoolPart]:
    """Return the pools beside each other, the organization's own first; none where there is only that one."""
    parts = sorted(
        (
            (pool.department is not None, pool.department.name if pool.department else "", pool)
            for pool in figures.pools
            if not figures.now[pool.pk].is_empty
        ),
        key=lambda row: row[:2],
    )
    if len(parts) < 2:
        return []
    return [
        PoolPart(name=name or figures.organization.name, statement=figures.now[pool.pk])
        for _, name, pool in parts
    ]


def _used(rows: Collection[_Row], by: str) -> list[Used]:
    """Return who used what, most first; what was used in the month before and no more stands last."""
    now: dict[Any, Decimal] = defaultdict(lambda: ZERO)
    before: dict[Any, Decimal] = defaultdict(lambda: ZERO)
    requests: dict[Any, int] = defaultdict(int)
    for row in rows:
        key = getattr(row, by)
        (now if row.is_now else before)[key] += row.credits
        requests[key] += row.requests if row.is_now else 0
    keys = [key for key in {*now, *before} if now[key] or before[key] or requests[key]]
    labels = usage.labels_of(by, keys)
    total = sum(now.values(), ZERO)
    found = [
        Used(
            key=labels[key][0],
            label=labels[key][1],
            credits=now[key],
            requests=requests[key],
            share=amounts.percentage(now[key], total),
            before=before[key],
        )
        for key in keys
    ]
    return sorted(found, key=lambda one: (-one.credits, -one.before, one.label))


def _chart(figures: Figures, department: int | None) -> DailySeries | None:
    """Return use by day: by department, or a department's by model; None where there was none."""
    today = calendars.today(organization=figures.organization, now=figures.made_at)
    found = series.daily(
        organization=figures.organization,
        since=figures.month.first,
        until=max(min(figures.month.last, today), figures.month.first),
        split_by="department" if department is None else "model",
        filters=Filters() if department is None else Filters(departments=(department,)),
    )
    return found if found.total else None

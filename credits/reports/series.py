"""Use over time as the lines of a chart, from the daily rollup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Case, F, QuerySet, Sum, Value, When

from credits.amounts import ZERO
from credits.models import DailyUsage
from credits.reports import buckets
from credits.reports.usage import COLUMNS, EVERYTHING, Filters, labels_of
from orgs.models import Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart, a value a column; `days` of a DailySeries says of which."""

    key: str
    label: str
    values: list[Decimal]
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySeries:
    """Use by day (or by week or month: `days` are their first days), split into a few series.

    What is beyond the largest of them is "Other", last.
    """

    days: list[date]
    series: list[Series]
    total: Decimal


def daily(
    *,
    organization: Organization,
    since: date,
    until: date,
    split_by: str = "model",
    user: User | None = None,
    top: int = 4,
    filters: Filters = EVERYTHING,
    unit: str = "day",
) -> DailySeries:
    """Return use by day, week or month, split by user, department, service, provider or model.

    Asks for the largest groups first, so that an organization of thousands of members reads a few lines and "Other".
    """
    asked = replace(filters, users=(user.pk,)) if user is not None else filters
    column = COLUMNS.get(split_by, split_by)
    rows = DailyUsage.objects.filter(asked.condition(), organization=organization, day__range=(since, until))
    ranked = list(
        rows.values_list(column)
        .annotate(sum=Sum("credits"))
        .order_by("-sum", column)
        .values_list(column, flat=True)[: top + 2]
    )
    shown = ranked if len(ranked) <= top + 1 else ranked[:top]
    columns = buckets.columns(since, until, unit)
    at = {one.first: index for index, one in enumerate(columns)}
    values: dict[Any, list[Decimal]] = {group: [ZERO] * len(columns) for group in [*shown, None]}
    for group, day, credits in _split(rows, column, shown):
        values[group][at[buckets.start(day, unit, since)]] += credits
    labels = labels_of(split_by, shown)
    series = [_series(*labels[group], values[group]) for group in shown]
    if len(ranked) > len(shown):
        series.append(_series("other", "Other", values[None]))
    return DailySeries(
        days=[one.first for one in columns],
        series=series,
        total=sum((one.total for one in series), ZERO),
    )


def _split(
    rows: QuerySet[DailyUsage], column: str, shown: Sequence[Any]
) -> Iterable[tuple[Any, date, Decimal]]:
    """Return credits by group and day; None is every group that is not shown."""
    if not shown:
        by_day = rows.values_list("day").annotate(sum=Sum("credits")).order_by()
        return [(None, day, credits) for day, credits in by_day]
    named = [When(**{column: group}, then=F(column)) for group in shown]
    group: Any = Case(*named, default=Value(None))
    found: Any = (
        rows.annotate(group=group).values_list("group", "day").annotate(sum=Sum("credits")).order_by()
    )
    return found  # type: ignore[no-any-return]


def _series(key: str, label: str, values: list[Decimal]) -> Series:
    return Series(key=key, label=label, values=values, total=sum(values, ZERO))

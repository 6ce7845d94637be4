"""Usage reports, read from the daily rollup: their cost does not grow with history."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Trunc

from credits import amounts
from credits.amounts import ZERO
from credits.models import DailyUsage
from orgs.models import Department, Organization, User

GROUPINGS: Final = ("day", "week", "month", "user", "department", "service", "provider", "model")
_COLUMNS: Final = {"user": "user_id", "department": "department_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One group: `key` is a date, a public id or a name; `share` its percentage of the total's credits."""

    key: str
    label: str
    credits: Decimal
    requests: int
    tokens: int
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Use from `since` to `until`, both included; `previous_credits` is the same number of days before."""

    total_credits: Decimal
    total_requests: int
    total_tokens: int
    previous_credits: Decimal
    rows: list[UsageRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart, a value a day."""

    key: str
    label: str
    values: list[Decimal]
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySeries:
    """Use by day, split into a few series; what is beyond `top` of them is "Other", last."""

    days: list[date]
    series: list[Series]
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to count; everything that is None or empty counts."""

    users: tuple[UUID, ...] | None = None
    departments: tuple[int, ...] | None = None
    service: str = ""
    provider: str = ""
    model: str = ""


EVERYTHING: Final = Filters()


def breakdown(
    *,
    organization: Organization,
    since: date,
    until: date,
    group_by: str = "day",
    user: User | None = None,
    filters: Filters = EVERYTHING,
) -> UsageReport:
    """Return use in the organization's calendar, grouped by one of GROUPINGS: time in order, anything else by credits."""
    rows = _rows(organization, since, until, user, filters)
    days = (until - since).days + 1
    before = _rows(organization, since - timedelta(days=days), since - timedelta(days=1), user, filters)
    groups = list(_grouped(rows, group_by))
    total = sum((group["sum_credits"] for group in groups), ZERO)
    labels = _labels(group_by, [group["group"] for group in groups])
    return UsageReport(
        total_credits=total,
        total_requests=sum(group["sum_requests"] for group in groups),
        total_tokens=sum(group["sum_tokens"] for group in groups),
        previous_credits=before.aggregate(sum=Sum("credits"))["sum"] or ZERO,
        rows=[_row(group, labels, total) for group in groups],
    )


def daily_series(
    *,
    organization: Organization,
    since: date,
    until: date,
    split_by: str = "model",
    user: User | None = None,
    top: int = 4,
    filters: Filters = EVERYTHING,
) -> DailySeries:
    """Return use by day, split by user, department, service, provider or model."""
    column = _COLUMNS.get(split_by, split_by)
    rows = _rows(organization, since, until, user, filters)
    days = [since + timedelta(days=offset) for offset in range((until - since).days + 1)]
    at = {day: index for index, day in enumerate(days)}
    values: dict[Any, list[Decimal]] = {}
    for group, day, credits in rows.values_list(column, "day").annotate(sum=Sum("credits")).order_by():
        values.setdefault(group, [ZERO] * len(days))[at[day]] += credits
    ranked = sorted(values, key=lambda group: (-sum(values[group], ZERO), str(group)))
    shown, rest = (ranked, []) if len(ranked) <= top + 1 else (ranked[:top], ranked[top:])
    labels = _labels(split_by, shown)
    series = [_series(*labels[group], values[group]) for group in shown]
    if rest:
        series.append(
            _series(
                "other", "Other", [sum(day, ZERO) for day in zip(*(values[g] for g in rest), strict=True)]
            )
        )
    return DailySeries(days=days, series=series, total=sum((one.total for one in series), ZERO))


def _rows(
    organization: Organization, since: date, until: date, user: User | None, filters: Filters
) -> QuerySet[DailyUsage]:
    rows = DailyUsage.objects.filter(organization=organization, day__range=(since, until))
    if user is not None:
        rows = rows.filter(user_id=user.pk)
    if filters.users is not None:
        rows = rows.filter(user_id__in=filters.users)
    if filters.departments is not None:
        rows = rows.filter(department_id__in=filters.departments)
    named = {name: getattr(filters, name) for name in ("service", "provider", "model")}
    return rows.filter(**{name: value for name, value in named.items() if value})


def _grouped(rows: QuerySet[DailyUsage], group_by: str) -> "QuerySet[DailyUsage, dict[str, Any]]":
    """Return sums by group, with what stays "none" as a group of its own: it is use as well."""
    by_time = group_by in ("day", "week", "month")
    group = Trunc("day", group_by) if by_time else F(_COLUMNS.get(group_by, group_by))
    sums = {"sum_credits": Sum("credits"), "sum_requests": Sum("requests"), "sum_tokens": Sum("tokens")}
    grouped: Any = rows.annotate(group=group).values("group").annotate(**sums)
    result: QuerySet[DailyUsage, dict[str, Any]] = grouped.order_by(
        *(["group"] if by_time else ["-sum_credits", "group"])
    )
    return result


def _labels(group_by: str, groups: list[Any]) -> dict[Any, tuple[str, str]]:
    """Return the key and label of each group: public ids and names, never a primary key."""
    if group_by == "user":
        people = {
            user.pk: (user.public_id, user.name or str(user)) for user in User.objects.filter(pk__in=groups)
        }
        return {group: people.get(group, ("", "The organization")) for group in groups}
    if group_by == "department":
        found = {one.pk: (one.public_id, one.name) for one in Department.objects.filter(pk__in=groups)}
        return {group: found.get(group, ("", "No department")) for group in groups}
    if group_by in ("day", "week", "month"):
        return {group: (group.isoformat(), group.isoformat()) for group in groups}
    return {group: (group, group or "Not named") for group in groups}


def _row(group: dict[str, Any], labels: dict[Any, tuple[str, str]], total: Decimal) -> UsageRow:
    key, label = labels[group["group"]]
    return UsageRow(
        key=key,
        label=label,
        credits=group["sum_credits"],
        requests=group["sum_requests"],
        tokens=group["sum_tokens"],
        share=amounts.percentage(group["sum_credits"], total),
    )


def _series(key: str, label: str, values: list[Decimal]) -> Series:
    return Series(key=key, label=label, values=values, total=sum(values, ZERO))

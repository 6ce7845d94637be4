"""Usage reports, read from the daily rollup: their cost does not grow with history."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from credits import amounts
from credits.amounts import ZERO, CreditsField
from credits.models import DailyUsage
from credits.reports import buckets
from orgs.models import Department, Organization, User

GROUPINGS: Final = ("day", "week", "month", "user", "department", "service", "provider", "model")
COLUMNS: Final = {"user": "user_id", "department": "department_id"}
_FIGURES: Final = ("credits", "requests", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Credits, requests and tokens of some use."""

    credits: Decimal = ZERO
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One group: `key` is a date, a public id or a name; `share` its percentage of the total's credits.

    `previous_credits` is what the group used in as many days just before.
    """

    key: str
    label: str
    credits: Decimal
    requests: int
    tokens: int
    share: Decimal
    previous_credits: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Use from `since` to `until`, both included; `previous` is the same number of days before.

    `rows` is use of these days; `gone` are groups that were used in the days before and no more. Where `rows` is cut,
    `rest` is what the others come to, and `groups` how many there are in all.
    """

    total_credits: Decimal
    total_requests: int
    total_tokens: int
    previous_credits: Decimal
    previous_requests: int
    previous_tokens: int
    rows: list[UsageRow]
    gone: list[UsageRow]
    groups: int
    rest: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to count; everything that is None or empty counts.

    Where `departments` narrows, `own` still counts: a manager's own use in whichever department it was.
    """

    users: tuple[UUID, ...] | None = None
    departments: tuple[int, ...] | None = None
    own: UUID | None = None
    service: str = ""
    provider: str = ""
    model: str = ""

    def condition(self) -> Q:
        """Return what a usage record or a row of the rollup must fulfil."""
        wanted = Q(
            **{name: value for name in ("service", "provider", "model") if (value := getattr(self, name))}
        )
        if self.users is not None:
            wanted &= Q(user_id__in=self.users)
        if self.departments is not None:
            within = Q(department_id__in=self.departments)
            wanted &= within if self.own is None else within | Q(user_id=self.own)
        return wanted


EVERYTHING: Final = Filters()


def breakdown(
    *,
    organization: Organization,
    since: date,
    until: date,
    group_by: str = "day",
    user: User | None = None,
    filters: Filters = EVERYTHING,
    limit: int | None = None,
) -> UsageReport:
    """Return use in the organization's calendar, grouped by one of GROUPINGS: time in order, anything else by credits.

    Each group is compared with as many days just before: a day with the day before, the first ten days of a month with
    the ten before them, a model with itself. `limit` cuts the rows (not those of time) to the largest.
    """
    asked = replace(filters, users=(user.pk,)) if user is not None else filters
    rows = DailyUsage.objects.filter(asked.condition(), organization=organization)
    if group_by in buckets.UNITS:
        return _by_time(rows, since, until, group_by)
    return _by_name(rows, since, until, group_by, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The services, providers and models that were used, by name."""

    services: list[str]
    providers: list[str]
    models: list[str]


def names(
    *, organization: Organization, since: date, until: date, filters: Filters = EVERYTHING, most: int = 200
) -> Names:
    """Return what there is to filter by: at most so many of each, in one reading of the rollup."""
    rows = DailyUsage.objects.filter(
        filters.condition(), organization=organization, day__range=(since, until)
    )
    found = list(rows.values_list("service", "provider", "model").distinct().order_by())
    columns = [sorted({one[at] for one in found if one[at]})[:most] for at in range(3)]
    return Names(services=columns[0], providers=columns[1], models=columns[2])


def top_spenders(
    *, organization: Organization, since: date, until: date, filters: Filters = EVERYTHING, limit: int = 5
) -> list[UsageRow]:
    """Return the members who used most, most first; use that no member is named for is "The organization"."""
    report = breakdown(
        organization=organization, since=since, until=until, group_by="user", filters=filters, limit=limit
    )
    return report.rows


def _by_time(rows: QuerySet[DailyUsage], since: date, until: date, unit: str) -> UsageReport:
    """Return use by day, week or month: the days are read once and added up here, each to its group."""
    columns = buckets.columns(since, until, unit)
    days = (until - since).days + 1
    before = min([since - timedelta(days=days), *(one.before for one in columns)])
    by_day = _by_day(rows.filter(day__range=(before, until)))
    total = _added(by_day, since, until)
    shown = [
        _row(
            _added(by_day, one.first, one.last),
            _added(by_day, one.before, one.first - timedelta(days=1)).credits,
            (one.start.isoformat(), one.start.isoformat()),
            total.credits,
        )
        for one in columns
    ]
    used = [row for row in shown if row.requests or row.credits]
    previous = _added(by_day, since - timedelta(days=days), since - timedelta(days=1))
    return _report(total, previous, used, gone=[], groups=len(used))


def _by_name(
    rows: QuerySet[DailyUsage], since: date, until: date, group_by: str, limit: int | None
) -> UsageReport:
    """Return use by name: this period and the one before in one reading of the rollup."""
    days = (until - since).days + 1
    both = rows.filter(day__range=(since - timedelta(days=days), until))
    column = COLUMNS.get(group_by, group_by)
    sums: Any = both.values(group=F(column)).annotate(**_both(since))
    grouped = sums.order_by("-now_credits", "group")
    found: list[dict[str, Any]] = list(grouped if limit is None else grouped[: limit + 1])
    groups = len(found)
    if limit is not None and groups > limit:
        whole = both.aggregate(**_both(since))
        groups = both.filter(day__gte=since).values(column).distinct().count()
        found = found[:limit]
    else:
        whole = (
            {name: sum(one[name] for one in found) for name in found[0] if name != "group"} if found else {}
        )
    total, previous = _sums(whole, "now"), _sums(whole, "then")
    labels = labels_of(group_by, [one["group"] for one in found])
    shown = [
        _row(_sums(one, "now"), one["then_credits"], labels[one["group"]], total.credits) for one in found
    ]
    used = [row for row in shown if row.requests or row.credits]
    return _report(
        total,
        previous,
        used,
        gone=[row for row in shown if row not in used and row.previous_credits],
        groups=groups if limit is not None and groups > limit else len(used),
    )


def _report(
    total: Sums, previous: Sums, rows: list[UsageRow], *, gone: list[UsageRow], groups: int
) -> UsageReport:
    return UsageReport(
        total_credits=total.credits,
        total_requests=total.requests,
        total_tokens=total.tokens,
        previous_credits=previous.credits,
        previous_requests=previous.requests,
        previous_tokens=previous.tokens,
        rows=rows,
        gone=gone,
        groups=groups,
        rest=Sums(
            credits=total.credits - sum((row.credits for row in rows), ZERO),
            requests=total.requests - sum(row.requests for row in rows),
            tokens=total.tokens - sum(row.tokens for row in rows),
        ),
    )


def _both(since: date) -> dict[str, Any]:
    """Return the sums of the period and of the days before it."""
    periods = {"now": Q(day__gte=since), "then": Q(day__lt=since)}
    fields = {"credits": CreditsField(), "requests": None, "tokens": None}
    return {
        f"{period}_{name}": Coalesce(
            Sum(name, filter=when), ZERO if fields[name] else 0, output_field=fields[name]
        )
        for period, when in periods.items()
        for name in _FIGURES
    }


def _sums(row: dict[str, Any], period: str) -> Sums:
    return Sums(**{name: row.get(f"{period}_{name}", ZERO if name == "credits" else 0) for name in _FIGURES})


def _by_day(rows: QuerySet[DailyUsage]) -> dict[date, Sums]:
    sums = {f"sum_{name}": Sum(name) for name in _FIGURES}
    found: Any = rows.values("day").annotate(**sums).order_by()
    return {row["day"]: Sums(**{name: row[f"sum_{name}"] for name in _FIGURES}) for row in found}


def _added(by_day: dict[date, Sums], first: date, last: date) -> Sums:
    within = [sums for day, sums in by_day.items() if first <= day <= last]
    return Sums(
        credits=sum((one.credits for one in within), ZERO),
        requests=sum(one.requests for one in within),
        tokens=sum(one.tokens for one in within),
    )


def labels_of(group_by: str, groups: list[Any]) -> dict[Any, tuple[str, str]]:
    """Return the key and label of each group: public ids and names, never a primary key."""
    if group_by == "user":
        people = {
            user.pk: (user.public_id, user.name or str(user)) for user in User.objects.filter(pk__in=groups)
        }
        return {group: people.get(group, ("", "The organization")) for group in groups}
    if group_by == "department":
        found = {one.pk: (one.public_id, one.name) for one in Department.objects.filter(pk__in=groups)}
        return {group: found.get(group, ("", "No department")) for group in groups}
    return {group: (group, group or "Not named") for group in groups}


def _row(used: Sums, previous: Decimal, name: tuple[str, str], total: Decimal) -> UsageRow:
    return UsageRow(
        key=name[0],
        label=name[1],
        credits=used.credits,
        requests=used.requests,
        tokens=used.tokens,
        share=amounts.percentage(used.credits, total),
        previous_credits=previous,
    )

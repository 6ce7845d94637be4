"""Unusual spending: a member's or model's day that lies far above their usual ones, with the reason in a sentence.

The measure is robust: how far a day lies above the median of the 28 days before, in units of their median absolute
deviation (×1.4826, which for a normal distribution is the standard deviation; Iglewicz and Hoaglin 1993). One wild day
among the 28 moves neither. Where most days are without use, those with use are what a day is compared with. Who is quiet does not alarm on little: the unit is at least a tenth of the median, and at
least a fifth of a floor, which is 10 credits or 2 % of the organization's usual day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Min, Sum
from django.urls import reverse
from django.utils.formats import date_format

from credits import amounts
from credits.amounts import ZERO
from credits.models import DailyUsage
from credits.reports import calendars
from credits.reports.usage import EVERYTHING, Filters
from kit import transactions
from orgs.models import Department, Membership, Organization, User
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

DAYS: Final = 28
"""What a day is compared with."""
LEAST_DAYS: Final = 7
"""Days since first use before anything is said."""
LEAST_ACTIVE: Final = 3
"""Days with use, to be compared with alone."""
UNITS: Final = 5
"""How many units above the median is unusual."""
TIMES: Final = 3
"""And at least so many times the median."""
_NORMAL: Final = Decimal("1.4826")
_COLUMNS: Final = {"member": "user_id", "model": "model"}
_LEAST_FLOOR: Final = Decimal(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A day that is unusual: what was spent, the median of the days it is compared with, how many, and which."""

    spent: Decimal
    usual: Decimal
    days: int
    only_active: bool

    @property
    def times(self) -> Decimal | None:
        """How many times the usual it is, with one place; None where the usual is nothing."""
        return amounts.percentage(self.spent, self.usual * 100) if self.usual else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """One member's or model's unusual day; `subject` is a public id or a model."""

    kind: str
    subject: str
    label: str
    department: Department | None
    day: date
    judgement: Judgement

    @property
    def query(self) -> str:
        """Return what the usage page is asked for to see this day."""
        narrowed = {self.kind: self.subject, "start": self.day, "end": self.day}
        by = {"by": "model" if self.kind == "member" else "user"}
        return urlencode(narrowed | by)

    @property
    def sentence(self) -> str:
        """Say what was unusual."""
        spent, usual = (amounts.display_short(one) for one in (self.judgement.spent, self.judgement.usual))
        what = f"{self.label} spent" if self.kind == "member" else f"The model {self.label} cost"
        times = self.judgement.times
        days = f"median of {self.judgement.days} days{' with use' if self.judgement.only_active else ''}"
        compared = f"{usual} ({days}): {times} times as much" if times is not None else f"nothing ({days})"
        return f"{what} {spent} credits on {date_format(self.day, 'l, j F')}, usual is {compared}."


def judge(*, history: Sequence[Decimal], spent: Decimal, floor: Decimal) -> Judgement | None:
    """Return why a day is unusual beside those before it, None where it is not; pure.

    `history` are the credits of each day before, 0 where there was no use; `floor` what nobody is alarmed about.
    """
    if len(history) < LEAST_DAYS:
        return None
    active = [one for one in history if one > ZERO]
    compared = active if len(active) >= LEAST_ACTIVE and median(history) <= ZERO else history
    usual = max(median(compared), ZERO)
    spread = median(abs(one - usual) for one in compared) * _NORMAL
    unit = max(spread, usual / 10, floor / UNITS)
    if spent - usual < UNITS * unit or spent < TIMES * usual:
        return None
    return Judgement(spent=spent, usual=usual, days=len(compared), only_active=compared is active)


def find(
    *, organization: Organization, now: datetime, days: int = 2, filters: Filters = EVERYTHING
) -> list[Unusual]:
    """Return what was unusual today and on the days before it, newest and largest first.

    Today counts with what it has so far. Only who spent more than the floor is looked up, so that the cost does not grow
    with the number of members.
    """
    today = calendars.today(organization=organization, now=now)
    since = today - timedelta(days=DAYS + days - 1)
    rows = DailyUsage.objects.filter(filters.condition(), organization=organization)
    floor = _floor(organization, since, today)
    found = [one for kind in _COLUMNS for one in _find(organization, rows, kind, since, today, days, floor)]
    return sorted(found, key=lambda one: (-one.day.toordinal(), -one.judgement.spent, one.label))


def tell_due(*, now: datetime) -> int:
    """Tell who may share out credits of what is unusual, once per subject and day; returns how many people.

    Runs every hour: today is told as soon as it is unusual, yesterday is looked at once more when it is whole. A
    transaction per organization.
    """
    spending = DailyUsage.objects.filter(day__gte=now.date() - timedelta(days=2), credits__gt=0)
    found = Organization.objects.filter(pk__in=spending.values("organization").distinct())
    return sum(_tell(organization, now) for organization in found.order_by("pk").iterator())


def _tell(organization: Organization, now: datetime) -> int:
    found = find(organization=organization, now=now)
    if not found or organization.kind == Organization.Kind.PERSONAL:
        return 0
    with transactions.durable():
        return sum(_once(organization, one) for one in found)


def _once(organization: Organization, one: Unusual) -> int:
    return notices.once(
        kind=Kind.UNUSUAL_SPENDING,
        subject=f"{organization.public_id} {one.kind} {one.subject}"[:160],
        crossing=one.day.isoformat(),
        to=audience.allocators(organization, one.department),
        organization=organization,
        title=f"Unusual spending: {one.label}",
        lines=[one.sentence, "If this is not meant, lower or revoke the allocation, or set a budget."],
        action="See what it was",
        path=f"{reverse('credits:usage', args=[organization.slug])}?{one.query}",
        level="warning",
    )


def _find(
    organization: Organization, rows: Any, kind: str, since: date, today: date, days: int, floor: Decimal
) -> Iterable[Unusual]:
    column = _COLUMNS[kind]
    recent = rows.filter(day__gt=today - timedelta(days=days), day__lte=today).values_list(column, "day")
    high = {key for key, _, _ in recent.annotate(sum=Sum("credits")).filter(sum__gte=floor).order_by()}
    high -= {"", UUID(int=0)}
    by_day: dict[Any, dict[date, Decimal]] = defaultdict(dict)
    read = rows.filter(**{f"{column}__in": high}, day__range=(since, today)).values_list(column, "day")
    for key, day, credits in read.annotate(sum=Sum("credits")).order_by():
        by_day[key][day] = credits
    first = dict(
        rows.filter(**{f"{column}__in": high}).values_list(column).annotate(first=Min("day")).order_by()
    )
    judged = [
        (key, day, judgement)
        for key, used in by_day.items()
        for day in (today - timedelta(days=back) for back in range(days))
        if (judgement := _judged(used, first[key], day, floor)) is not None
    ]
    labels = _labels(kind, organization, {key for key, _, _ in judged})
    for key, day, judgement in judged:
        subject, label, department = labels[key]
        yield Unusual(
            kind=kind, subject=subject, label=label, department=department, day=day, judgement=judgement
        )


def _judged(used: Mapping[date, Decimal], first: date, day: date, floor: Decimal) -> Judgement | None:
    """Compare a day with the 28 before it, or with those since the first use."""
    before = [day - timedelta(days=back) for back in range(1, DAYS + 1)]
    return judge(
        history=[used.get(one, ZERO) for one in before if one >= first],
        spent=used.get(day, ZERO),
        floor=floor,
    )


def _floor(organization: Organization, since: date, today: date) -> Decimal:
    rows = DailyUsage.objects.filter(organization=organization, day__range=(since, today - timedelta(days=1)))
    by_day = dict(rows.values_list("day").annotate(sum=Sum("credits")).order_by())
    usual: Decimal = median([*by_day.values(), *[ZERO] * ((today - since).days - len(by_day))])
    return max(_LEAST_FLOOR, usual / 50)


def _labels(
    kind: str, organization: Organization, keys: set[Any]
) -> dict[Any, tuple[str, str, Department | None]]:
    if kind == "model":
        return {key: (key, key, None) for key in keys}
    members = Membership.objects.filter(organization=organization, user__in=keys).select_related("department")
    departments = {one.user_id: one.department for one in members}
    return {
        user.pk: (user.public_id, user.name or str(user), departments.get(user.pk))
        for user in User.objects.filter(pk__in=keys)
    }

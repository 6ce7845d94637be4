"""How long credits last at the present pace, and what a period will have used at its end (product.md §12).

The pace is the mean use of a day over the last 14 whole days; today is not over and does not count. Once there are four
weeks, each day of the week has the part of it that it had in those weeks. Three answers differ: *0* (nothing is left),
*not applicable* (nothing is used, or nothing is theirs to run out) and *not known yet* (too few days to tell).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Min, Q, Sum

from credits import amounts
from credits.amounts import ZERO
from credits.models import Allocation, CreditPool, DailyUsage
from credits.reports import buckets, calendars
from orgs.models import Department, Membership, Organization, Subscription, User

MEAN_DAYS: Final = 14
WEEKDAY_DAYS: Final = 28
LEAST_DAYS: Final = 3
"""Whole days with a history before anything is said."""
LONGEST: Final = 3650
"""Days beyond which no date is named."""


class State(StrEnum):
    """What kind of answer it is."""

    KNOWN = "known"
    NOT_APPLICABLE = "not_applicable"
    NOT_KNOWN_YET = "not_known_yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Credits a day: on average, and by weekday from Monday on."""

    a_day: Decimal
    by_weekday: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """Whole days that `left` lasts, and the last day it does; `days` is None unless the state is *known*."""

    state: State
    days: int | None = None
    until: date | None = None
    left: Decimal = ZERO
    a_day: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a period (both days included) has used, and is expected to have used at its end."""

    state: State
    since: date
    until: date
    used: Decimal
    expected: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Runway and forecast of one subject."""

    runway: Runway
    forecast: Forecast


def of_organization(*, organization: Organization, now: datetime) -> Outlook:
    """Return the outlook of all pools and allocations of an organization together."""
    return _outlook(organization, Q(), _left(CreditPool.objects.filter(organization=organization)), now)


def of_pool(*, pool: CreditPool, now: datetime) -> Outlook:
    """Return the outlook of a pool with its allocations.

    A department's pool is spent by the department; the organization's by all whose department has no pool of its own.
    """
    organization = pool.organization
    others = CreditPool.objects.filter(organization=organization, department__isnull=False)
    used = (
        Q(department_id=pool.department_id)
        if pool.department_id is not None
        else ~Q(department_id__in=list(others.values_list("department_id", flat=True)))
    )
    return _outlook(organization, used, _left(CreditPool.objects.filter(pk=pool.pk)), now)


def of_department(*, department: Department, now: datetime) -> Outlook:
    """Return the outlook of a department; not applicable while it has no pool of its own."""
    pool = CreditPool.objects.filter(department=department).select_related("organization").first()
    if pool is not None:
        return of_pool(pool=pool, now=now)
    return _outlook(department.organization, Q(department_id=department.pk), None, now)


def of_departments(
    *, organization: Organization, lefts: Mapping[int, Decimal], now: datetime
) -> dict[int, Runway]:
    """Return the runway of each funded department, by primary key, from what each has left; two queries in all."""
    today = calendars.today(organization=organization, now=now)
    first = _first_day(organization)
    rows = DailyUsage.objects.filter(
        organization=organization,
        department_id__in=list(lefts),
        day__range=(today - timedelta(days=WEEKDAY_DAYS), today),
    )
    used: dict[int, dict[date, Decimal]] = {key: {} for key in lefts}
    for department, day, credits in rows.values_list("department_id", "day").annotate(sum=Sum("credits")):
        used[department][day] = credits
    known = (today - first).days if first else 0
    return {
        key: _lasting(
            left, pace(by_day=used[key], today=today, known_days=known), today, is_used=first is not None
        )
        for key, left in lefts.items()
    }


def of_member(*, organization: Organization, user: User, now: datetime) -> Outlook:
    """Return the outlook of a member's allocation; not applicable for whom a pool pays."""
    allocation = Allocation.objects.filter(organization=organization, user=user, is_limited=True).first()
    membership = Membership.objects.filter(organization=organization, user=user).first()
    joined = membership.joined_at.astimezone(_zone(organization)).date() if membership else None
    left = allocation.remaining if allocation is not None else None
    return _outlook(organization, Q(user_id=user.pk), left, now, joined=joined)


def pace(*, by_day: Mapping[date, Decimal], today: date, known_days: int) -> Pace | None:
    """Return the pace of the last whole days; None while fewer than `LEAST_DAYS` are known. Never below 0."""
    if known_days < LEAST_DAYS:
        return None
    days = min(known_days, MEAN_DAYS)
    a_day = max(amounts.portion(_sum(by_day, today, days), 1, days), ZERO)
    if known_days < WEEKDAY_DAYS:
        return Pace(a_day=a_day, by_weekday=(a_day,) * 7)
    used = [ZERO] * 7
    for offset in range(1, WEEKDAY_DAYS + 1):
        day = today - timedelta(days=offset)
        used[day.weekday()] += by_day.get(day, ZERO)
    whole = sum((max(one, ZERO) for one in used), ZERO)
    if whole <= 0:
        return Pace(a_day=a_day, by_weekday=(a_day,) * 7)
    return Pace(
        a_day=a_day,
        by_weekday=tuple(amounts.portion(a_day * 7, max(one, ZERO), whole) for one in used),
    )


def runway(*, left: Decimal, pace: Pace | None, today: date) -> Runway:
    """Return how many whole days from tomorrow on `left` lasts."""
    if left <= 0:
        return Runway(state=State.KNOWN, days=0, until=today, left=left, a_day=pace.a_day if pace else None)
    if pace is None:
        return Runway(state=State.NOT_KNOWN_YET, left=left)
    a_week = sum(pace.by_weekday, ZERO)
    if a_week <= 0:
        return Runway(state=State.NOT_APPLICABLE, left=left, a_day=pace.a_day)
    weeks = int(left // a_week)
    days, rest = weeks * 7, left - weeks * a_week
    while (needed := pace.by_weekday[(today.weekday() + days + 1) % 7]) <= rest and days < weeks * 7 + 7:
        rest -= needed
        days += 1
    until = today + timedelta(days=days) if days <= LONGEST else None
    return Runway(state=State.KNOWN, days=days, until=until, left=left, a_day=pace.a_day)


def forecast(
    *, by_day: Mapping[date, Decimal], pace: Pace | None, since: date, until: date, today: date, used: Decimal
) -> Forecast:
    """Return what the period will have used: what it has, what today still lacks of its pace, and the days to come."""
    if pace is None:
        return Forecast(state=State.NOT_KNOWN_YET, since=since, until=until, used=used, expected=None)
    still_today = max(pace.by_weekday[today.weekday()] - by_day.get(today, ZERO), ZERO)
    weeks, rest = divmod(max((until - today).days, 0), 7)
    to_come = weeks * sum(pace.by_weekday, ZERO)
    to_come += sum((pace.by_weekday[(today.weekday() + 1 + one) % 7] for one in range(rest)), ZERO)
    expected = used + to_come + (still_today if today <= until else ZERO)
    return Forecast(state=State.KNOWN, since=since, until=until, used=used, expected=expected)


def _outlook(
    organization: Organization, used: Q, left: Decimal | None, now: datetime, joined: date | None = None
) -> Outlook:
    today = calendars.today(organization=organization, now=now)
    rows = DailyUsage.objects.filter(used, organization=organization)
    recent = rows.filter(day__range=(today - timedelta(days=WEEKDAY_DAYS), today))
    by_day: dict[date, Decimal] = dict(recent.values_list("day").annotate(sum=Sum("credits")).order_by())
    first = _first_day(organization)
    began = max((one for one in (first, joined) if one is not None), default=today)
    at_pace = pace(by_day=by_day, today=today, known_days=(today - began).days if first else 0)
    since, until = _period(organization, today, now)
    period = rows.filter(day__range=(since, today)).aggregate(sum=Sum("credits"))["sum"] or ZERO
    return Outlook(
        runway=_lasting(left, at_pace, today, is_used=first is not None),
        forecast=forecast(by_day=by_day, pace=at_pace, since=since, until=until, today=today, used=period),
    )


def _lasting(left: Decimal | None, at_pace: Pace | None, today: date, *, is_used: bool) -> Runway:
    """Return the runway; who has nothing set apart has none, and nobody's first day is a runway of 0."""
    if left is None:
        return Runway(state=State.NOT_APPLICABLE, a_day=at_pace.a_day if at_pace else None)
    if left <= 0 and not is_used:
        return Runway(state=State.NOT_KNOWN_YET, left=left)
    return runway(left=left, pace=at_pace, today=today)


def _period(organization: Organization, today: date, now: datetime) -> tuple[date, date]:
    """Return the present period of the plan, or the calendar month where there is none."""
    live = Subscription.objects.filter(organization=organization, ended_at__isnull=True).first()
    if live is not None and live.current_period_start <= now < live.current_period_end:
        zone = _zone(organization)
        last = (live.current_period_end - timedelta(microseconds=1)).astimezone(zone).date()
        return live.current_period_start.astimezone(zone).date(), last
    month = buckets.month_of(today)
    return month.first, month.last


def _left(pools: Any) -> Decimal:
    free = pools.aggregate(sum=Sum("available"))["sum"] or ZERO
    return free + (Allocation.objects.filter(pool__in=pools).aggregate(sum=Sum("remaining"))["sum"] or ZERO)


def _sum(by_day: Mapping[date, Decimal], today: date, days: int) -> Decimal:
    return sum((by_day.get(today - timedelta(days=one), ZERO) for one in range(1, days + 1)), ZERO)


def _first_day(organization: Organization) -> date | None:
    """Return the first day of any use; the index is in the order of days, so it is its first entry."""
    first: date | None = DailyUsage.objects.filter(organization=organization).aggregate(day=Min("day"))["day"]
    return first


def _zone(organization: Organization) -> ZoneInfo:
    return ZoneInfo(organization.time_zone)

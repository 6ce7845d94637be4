"""What the pages of departments show: pools, use of 30 days, how long credits last, members and who manages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Count, QuerySet, Sum

from credits.amounts import ZERO
from credits.models import Allocation, DailyUsage
from credits.reports import calendars, figures, forecast, usage
from credits.reports.figures import AllocationFigures, PoolFigures
from credits.reports.forecast import Runway, State
from credits.reports.usage import Filters, UsageReport
from orgs.models import Department, DepartmentManager, Membership, Organization, User

DAYS: Final = 30
MEMBERS_A_PAGE: Final = 25
_LARGEST: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One department of the list; `pool` is None while it was never funded."""

    department: Department
    pool: PoolFigures | None
    members: int
    managers: Sequence[User]
    used: Decimal
    runway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLine:
    """A member of a department: their allocation, from whichever pool, and what they used there in 30 days."""

    user: User
    allocation: AllocationFigures | None
    used: Decimal
    is_manager: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What archiving gives back to the organization's pool: of the department's pool, and of its members' allocations.

    What is `held` follows as far as it is not spent, when its requests end.
    """

    pool: Decimal
    allocations: Decimal
    held: Decimal
    members: int

    @property
    def credits(self) -> Decimal:
        """All that comes back at once."""
        return self.pool + self.allocations


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentPage:
    line: Line
    by_member: UsageReport
    by_model: UsageReport
    members: Sequence[MemberLine]
    page: Page[Any]
    returns: Return


def lines(*, organization: Organization, departments: Collection[Department], now: datetime) -> list[Line]:
    """Return what the list shows; as many queries however many departments there are."""
    shown = list(departments)
    pools = figures.department_figures(departments=shown)
    used = figures.departments(organization=organization, departments=shown)
    lefts = {key: pool.available + pool.reserved for key, pool in pools.items()}
    runways = forecast.of_departments(organization=organization, lefts=lefts, now=now)
    sizes, managers = _sizes(shown), _managers(shown)
    return [
        Line(
            department=one,
            pool=pools.get(one.pk),
            members=sizes.get(one.pk, 0),
            managers=managers[one.pk],
            used=used[one.pk].used,
            runway=runway_words(runways.get(one.pk)),
        )
        for one in shown
    ]


def build(*, department: Department, now: datetime, page_number: str) -> DepartmentPage:
    """Return what the page of one department shows."""
    organization = department.organization
    [line] = lines(organization=organization, departments=[department], now=now)
    today = calendars.today(organization=organization, now=now)
    rows = members_of(department).order_by("user__name", "pk")
    page = Paginator(rows, MEMBERS_A_PAGE).get_page(page_number)
    return DepartmentPage(
        line=line,
        by_member=_used(department, today, "user"),
        by_model=_used(department, today, "model"),
        members=_member_lines(department, list(page), line.managers, today),
        page=page,
        returns=_returns(department, line),
    )


def members_of(department: Department) -> QuerySet[Membership]:
    """Return the members who are in the department now."""
    return Membership.objects.live().filter(department=department).select_related("user", "department")


def runway_words(runway: Runway | None) -> str:
    """Return the days as a figure: 0, not applicable and not known yet are three different outputs."""
    if runway is None or runway.state is State.NOT_APPLICABLE:
        return "\N{EN DASH}"
    if runway.days is None:
        return "not known yet"
    return "1 day" if runway.days == 1 else f"{runway.days:,} days"


def _sizes(departments: Sequence[Department]) -> dict[int | None, int]:
    live = Membership.objects.live().filter(department__in=departments)
    return dict(live.values_list("department").annotate(Count("pk")))


def _managers(departments: Sequence[Department]) -> dict[int, list[User]]:
    found: dict[int, list[User]] = {one.pk: [] for one in departments}
    rows = DepartmentManager.objects.filter(
        department__in=departments, membership__ended_at__isnull=True
    ).select_related("membership__user")
    for one in rows.order_by("membership__user__name", "pk"):
        found[one.department_id].append(one.membership.user)
    return found


def _used(department: Department, today: date, group_by: str) -> UsageReport:
    return usage.breakdown(
        organization=department.organization,
        since=today - timedelta(days=DAYS - 1),
        until=today,
        group_by=group_by,
        filters=Filters(departments=(department.pk,)),
        limit=_LARGEST,
    )


def _member_lines(
    department: Department, members: Sequence[Membership], managers: Sequence[User], today: date
) -> list[MemberLine]:
    users = [one.user_id for one in members]
    shares = _allocations(department.organization, users)
    rows = DailyUsage.objects.filter(
        organization=department.organization,
        department_id=department.pk,
        user_id__in=users,
        day__gt=today - timedelta(days=DAYS),
    )
    used = dict(rows.values_list("user_id").annotate(sum=Sum("credits")).order_by())
    return [
        MemberLine(
            user=one.user,
            allocation=shares.get(one.user_id),
            used=used.get(one.user_id, ZERO),
            is_manager=one.user in managers,
        )
        for one in members
    ]


def _allocations(organization: Organization, users: Sequence[Any]) -> Mapping[Any, AllocationFigures]:
    rows = figures.allocation_rows(organization=organization).filter(user_id__in=users)
    return {row.user_id: figures.allocation(row) for row in rows}


def _returns(department: Department, line: Line) -> Return:
    users = members_of(department).values("user")
    rows = Allocation.objects.filter(
        organization=department.organization, user__in=users, closed_at__isnull=True
    )
    sums = rows.aggregate(left=Sum("remaining"), held=Sum("held"))
    pool = line.pool
    held = sums["held"] or ZERO
    return Return(
        pool=pool.available if pool is not None else ZERO,
        allocations=sums["left"] or ZERO,
        held=max(held, pool.held) if pool is not None else held,
        members=line.members,
    )

"""Figures of pools and allocations as pages and API show them: kept apart, each from its own rows (product.md §3)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import shortfalls, standing
from credits.ledger.commands import Quota
from credits.ledger.standing import Asked
from credits.limits import quotas
from credits.models import Allocation, CreditPool, DailyUsage, GrantBalance, LedgerEntry
from credits.reports import statuses
from credits.reports.statuses import AllocationStatus
from orgs.models import Department, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """An organization's figures, or a department's; all amounts are credits.

    `available` is signed and free to spend or allocate; `reserved` is what allocations have left; `allocated` is what
    they were given in their present periods; `used` is what charges took, from pools and allocations alike.
    """

    available: Decimal
    held: Decimal
    reserved: Decimal
    allocated: Decimal
    used: Decimal
    granted: Decimal
    expired: Decimal
    withdrawn: Decimal
    shortfall_open: Decimal
    overdraft_limit: Decimal

    @property
    def usage_percentage(self) -> Decimal:
        """What of the credits that ever came and did not expire is used."""
        return amounts.percentage(self.used, self.granted - self.expired - self.withdrawn)

    @property
    def allocation_percentage(self) -> Decimal:
        """What of the credits to share out, that is free ones and those of present periods, is allocated."""
        return amounts.percentage(self.allocated, self.allocated + max(self.available, ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How many credits expire next, as of the last burn, and when."""

    at: datetime
    credits: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentFigures:
    """A department in a list: what its pool has free and held (None where it was never funded), and 30 days of use."""

    available: Decimal | None
    held: Decimal | None
    used: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFigures:
    """What one member has: an allocation, or a pool that pays, or neither. None is "not applicable"."""

    payer: str
    allocated: Decimal | None
    used: Decimal | None
    held: Decimal | None
    remaining: Decimal | None
    available: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationFigures:
    """One line of the list of allocations."""

    user_id: str
    email: str | None
    name: str
    department_id: str | None
    department_name: str | None
    source: str
    allocated: Decimal
    used: Decimal
    held: Decimal
    remaining: Decimal
    usage_percentage: Decimal
    is_active: bool
    is_limited: bool
    reset_period: str
    resets_at: datetime | None
    expires_at: datetime | None
    status: AllocationStatus


def organization_figures(*, organization: Organization) -> PoolFigures:
    """Return the figures of the whole organization: its pool and its departments'; as many queries however large it is."""
    own = _sums(
        CreditPool.objects.filter(organization=organization), "available", "held", "spent", "overdraft_limit"
    )
    given = Allocation.objects.filter(organization=organization).aggregate(**_SHARES)
    balances = GrantBalance.objects.filter(organization=organization)
    moved = _sums(balances, "credits", "expired", "withdrawn")
    return PoolFigures(
        available=own["available"],
        held=own["held"] + given["holds"],
        reserved=given["reserved"],
        allocated=given["present"],
        used=own["spent"] + given["ever"],
        granted=moved["credits"],
        expired=moved["expired"],
        withdrawn=moved["withdrawn"],
        shortfall_open=shortfalls.open_amount(organization_id=organization.pk),
        overdraft_limit=own["overdraft_limit"],
    )


def own_pool(*, organization: Organization) -> Decimal:
    """Return what the organization's own pool has free, its departments' pools left out; signed."""
    pool = CreditPool.objects.filter(organization=organization, department=None).first()
    return pool.available if pool is not None else ZERO


def department_figures(*, departments: Collection[Department]) -> dict[int, PoolFigures]:
    """Return the figures of each department that was ever funded, by primary key; a few queries however many there are.

    What was transferred to a department, less what went back, counts as `granted` to it.
    """
    pools = list(CreditPool.objects.filter(department__in=departments))
    if not pools:
        return {}
    shares, moved = _shares_by_pool(pools), _moved_by_pool(pools)
    return {
        pool.department_id: _department_figures(pool, shares.get(pool.pk, {}), moved[pool.pk])
        for pool in pools
        if pool.department_id is not None
    }


def departments(*, organization: Organization, departments: list[Department]) -> dict[int, DepartmentFigures]:
    """Return what each department's pool has free and what its members used in the last 30 days, by primary key."""
    pools = CreditPool.objects.filter(department__in=departments)
    funded = {pool.department_id: pool for pool in pools}
    today = timezone.now().astimezone(ZoneInfo(organization.time_zone)).date()
    rows = DailyUsage.objects.filter(organization=organization, day__gt=today - timedelta(days=30))
    used = dict(rows.values_list("department_id").annotate(sum=Sum("credits")).order_by())
    return {one.pk: _department(funded.get(one.pk), used.get(one.pk, ZERO)) for one in departments}


def _department(pool: CreditPool | None, used: Decimal) -> DepartmentFigures:
    if pool is None:
        return DepartmentFigures(available=None, held=None, used=used)
    return DepartmentFigures(available=pool.available, held=pool.held, used=used)


def member_figures(*, organization: Organization, user: User) -> MemberFigures:
    """Return who pays for this member and what they have left."""
    allocation = Allocation.objects.filter(organization=organization, user=user, is_limited=True).first()
    [stands] = standing.read([Asked(organization.pk, user.pk, None)])
    candidates = stands.payers() if stands is not None else []
    pool = CreditPool.objects.filter(organization=organization, department=None).first()
    if allocation is not None:
        return MemberFigures(
            payer="allocation",
            allocated=allocation.allocated,
            used=allocation.used,
            held=allocation.held,
            remaining=allocation.remaining,
            available=pool.available if pool is not None else ZERO,
        )
    payer = CreditPool.objects.filter(pk=candidates[0][1]).first() if candidates else None
    return MemberFigures(
        payer="pool" if payer is not None else "none",
        allocated=None,
        used=None,
        held=None,
        remaining=None,
        available=payer.available if payer is not None else pool.available if pool is not None else ZERO,
    )


def quota(*, organization: Organization) -> dict[str, Quota] | None:
    """Return the calls of today and this month against the plan; None for an unlimited plan."""
    [stands] = standing.read([Asked(organization.pk, None, None)])
    return quotas.state(stands, quotas.Counters()) if stands is not None else None


def allocation_rows(*, organization: Organization, search: str = "") -> QuerySet[Allocation]:
    """Return the rows of the list, most used first, with what a line of it shows."""
    rows = Allocation.objects.filter(organization=organization).select_related("user", "pool__department")
    if search:
        rows = rows.filter(Q(user__name__icontains=search) | Q(user__email__icontains=search))
    return rows.order_by("-used", "pk")


def allocation(row: Allocation) -> AllocationFigures:
    """Return one line."""
    department = row.pool.department
    return AllocationFigures(
        user_id=row.user.public_id,
        email=row.user.email,
        name=row.user.name,
        department_id=department.public_id if department is not None else None,
        department_name=department.name if department is not None else None,
        source="department" if department is not None else "organization",
        allocated=row.allocated,
        used=row.used,
        held=row.held,
        remaining=row.remaining,
        usage_percentage=amounts.percentage(row.used + row.held, row.allocated),
        is_active=row.closed_at is None,
        is_limited=row.is_limited,
        reset_period=row.reset_period,
        resets_at=row.resets_at,
        expires_at=row.expires_at,
        status=statuses.of(row, now=timezone.now()),
    )


def next_expiry(*, organization: Organization) -> Expiry | None:
    """Return when credits expire next, and how many; None where none that are left ever do."""
    left = GrantBalance.objects.filter(
        organization=organization,
        expires_at__isnull=False,
        credits__gt=F("consumed") + F("expired") + F("withdrawn"),
    )
    first = left.order_by("expires_at").values_list("expires_at", flat=True).first()
    if first is None:
        return None
    rows = left.filter(expires_at=first)
    credits = _sums(rows, "credits", "consumed", "expired", "withdrawn")
    gone = credits["consumed"] + credits["expired"] + credits["withdrawn"]
    return Expiry(at=first, credits=credits["credits"] - gone)


def _department_figures(
    pool: CreditPool, shares: Mapping[str, Decimal], moved: Mapping[str, Decimal]
) -> PoolFigures:
    return PoolFigures(
        available=pool.available,
        held=pool.held + shares.get("holds", ZERO),
        reserved=shares.get("reserved", ZERO),
        allocated=shares.get("present", ZERO),
        used=pool.spent + shares.get("ever", ZERO),
        granted=moved.get("in", ZERO) - moved.get("out", ZERO),
        expired=moved.get(LedgerEntry.Kind.EXPIRE, ZERO),
        withdrawn=moved.get(LedgerEntry.Kind.WITHDRAW, ZERO),
        shortfall_open=ZERO,
        overdraft_limit=pool.overdraft_limit,
    )


def _shares_by_pool(pools: Collection[CreditPool]) -> dict[int, dict[str, Decimal]]:
    rows: Any = Allocation.objects.filter(pool__in=pools).values("pool").order_by().annotate(**_SHARES)
    return {row["pool"]: dict(row) for row in rows}


def _moved_by_pool(pools: Collection[CreditPool]) -> dict[int, dict[str, Decimal]]:
    """Return what came into each pool by transfers, what went back, and what left it or its allocations for good."""
    entries = LedgerEntry.objects.order_by()
    leaving = entries.filter(kind__in=[LedgerEntry.Kind.EXPIRE, LedgerEntry.Kind.WITHDRAW])
    moved: dict[int, dict[str, Decimal]] = {pool.pk: {} for pool in pools}
    for name, rows, column in (
        ("in", entries.filter(kind=LedgerEntry.Kind.TRANSFER, target_pool__in=pools), "target_pool"),
        ("out", entries.filter(kind=LedgerEntry.Kind.TRANSFER, source_pool__in=pools), "source_pool"),
        ("", leaving.filter(source_pool__in=pools), "source_pool"),
        ("", leaving.filter(source_allocation__pool__in=pools), "source_allocation__pool"),
    ):
        for pool, kind, amount in rows.values_list(column, "kind").annotate(sum=Sum("amount")):
            which = name or kind
            moved[pool][which] = moved[pool].get(which, ZERO) + amount
    return moved


def _sum(what: Any, **options: Any) -> Coalesce:
    return Coalesce(Sum(what, **options), ZERO, output_field=amounts.CreditsField())


_SHARES: Final = {
    "reserved": _sum(F("remaining")),
    "holds": _sum(F("held")),
    "ever": _sum(F("spent")),
    "present": _sum(F("used") + F("held") + F("remaining"), filter=Q(closed_at__isnull=True)),
}


def _sums(rows: QuerySet[Any], *names: str) -> dict[str, Decimal]:
    return rows.aggregate(**{f"{name}": _sum(F(name)) for name in names})

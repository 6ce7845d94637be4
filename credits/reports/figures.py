"""Figures of pools and allocations as pages and API show them: kept apart, each from its own rows (product.md §3)."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
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
from credits.models import Allocation, CreditPool, DailyUsage, LedgerEntry
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


def organization_figures(*, organization: Organization) -> PoolFigures:
    """Return the figures of the whole organization: its pool and its departments'."""
    return _figures(organization, CreditPool.objects.filter(organization=organization))


def own_pool(*, organization: Organization) -> Decimal:
    """Return what the organization's own pool has free, its departments' pools left out; signed."""
    pool = CreditPool.objects.filter(organization=organization, department=None).first()
    return pool.available if pool is not None else ZERO


def department_figures(*, department: Department) -> PoolFigures | None:
    """Return the figures of a department's own pool; None where it was never funded."""
    pools = CreditPool.objects.filter(department=department)
    return _figures(department.organization, pools) if pools.exists() else None


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
    )


def _figures(organization: Organization, pools: QuerySet[CreditPool]) -> PoolFigures:
    own = _sums(pools, "available", "held", "spent", "overdraft_limit")
    shares = Allocation.objects.filter(pool__in=pools)
    given = _sums(shares, "remaining", "held", "used", "spent")
    open_ones = _sums(shares.filter(closed_at__isnull=True), "remaining", "held", "used")
    moved = dict.fromkeys(LedgerEntry.Kind.values, ZERO)
    entries = LedgerEntry.objects.filter(
        Q(target_pool__in=pools) | Q(source_pool__in=pools) | Q(source_allocation__in=shares)
    )
    moved |= dict(entries.values_list("kind").annotate(sum=Sum("amount")).order_by())
    return PoolFigures(
        available=own["available"],
        held=own["held"] + given["held"],
        reserved=given["remaining"],
        allocated=sum(open_ones.values(), ZERO),
        used=own["spent"] + given["spent"],
        granted=moved[LedgerEntry.Kind.GRANT],
        expired=moved[LedgerEntry.Kind.EXPIRE],
        withdrawn=moved[LedgerEntry.Kind.WITHDRAW],
        shortfall_open=shortfalls.open_amount(organization_id=organization.pk),
        overdraft_limit=own["overdraft_limit"],
    )


def _sums(rows: QuerySet[Any], *names: str) -> dict[str, Decimal]:
    return rows.aggregate(
        **{f"{name}": Coalesce(Sum(F(name)), ZERO, output_field=amounts.CreditsField()) for name in names}
    )

"""The pools that a visitor gives from, with their figures kept apart (product.md §3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from credits.amounts import ZERO, CreditsField
from credits.models import Allocation, CreditPool
from credits.sharing.reach import Reach
from orgs.models import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSums:
    """Credits of one pool or of several: free, held, left in allocations, allocated in present periods, ever used."""

    available: Decimal = ZERO
    held: Decimal = ZERO
    reserved: Decimal = ZERO
    allocated: Decimal = ZERO
    used: Decimal = ZERO

    def __add__(self, other: "PoolSums") -> "PoolSums":
        return PoolSums(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def taken(self) -> Decimal:
        """What of the allocated is used or held."""
        return self.allocated - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """One pool of the list."""

    name: str
    sums: PoolSums


def lines(*, reach: Reach) -> list[PoolLine]:
    """Return every pool within reach; two queries however many there are."""
    given = {row["pool"]: row for row in _given(reach)}
    return [
        PoolLine(name=name_of(pool, reach=reach), sums=_sums(pool, given.get(pool.pk)))
        for pool in reach.pools()
    ]


def total(found: Sequence[PoolLine]) -> PoolSums:
    """Return the sums of all of them."""
    return sum((line.sums for line in found), PoolSums())


def name_of(pool: CreditPool, *, reach: Reach) -> str:
    """Return what a person calls the pool."""
    owner = pool.department.name if pool.department is not None else reach.organization.name
    return pool_of(owner)


def pool_of(owner: str) -> str:
    """Return the name of the pool of an organization or a department of this name."""
    return f"{owner}\N{RIGHT SINGLE QUOTATION MARK}s pool"


def _given(reach: Reach) -> Iterable[Mapping[str, Any]]:
    is_open = Q(closed_at__isnull=True)
    rows = Allocation.objects.filter(pool__in=reach.pools().order_by()).values("pool").order_by()
    return rows.annotate(
        reserved=_sum(F("remaining")),
        holds=_sum(F("held")),
        ever=_sum(F("spent")),
        present=_sum(F("used") + F("held") + F("remaining"), filter=is_open),
    )


def _sum(expression: Any, **kwargs: Any) -> Coalesce:
    return Coalesce(Sum(expression, **kwargs), ZERO, output_field=CreditsField())


def _sums(pool: CreditPool, given: Mapping[str, Any] | None) -> PoolSums:
    if given is None:
        return PoolSums(available=pool.available, held=pool.held, used=pool.spent)
    return PoolSums(
        available=pool.available,
        held=pool.held + given["holds"],
        reserved=given["reserved"],
        allocated=given["present"],
        used=pool.spent + given["ever"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The pool that one member's credits come from."""

    name: str
    available: Decimal


def source_of(pool: CreditPool, *, reach: Reach) -> Source:
    """Return the pool as a source."""
    return Source(name=name_of(pool, reach=reach), available=pool.available)


def source_for(membership: Membership, *, reach: Reach) -> Source:
    """Return where a member's credits would come from: their department's pool if it is funded, else the organization's."""
    pools = CreditPool.objects.filter(organization=reach.organization).select_related("department")
    funded = pools.filter(department=membership.department).first() if membership.department else None
    own = funded or pools.filter(department=None).first()
    return (
        source_of(own, reach=reach) if own else Source(name=pool_of(reach.organization.name), available=ZERO)
    )

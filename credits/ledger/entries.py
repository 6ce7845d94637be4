"""Ledger entries: every movement between pools and allocations changes both rows and leaves one entry.

The rows must be locked by the caller (`payers.lock`). Nothing else changes balances outside `charging`.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final

from credits.ledger import statements
from credits.models import Allocation, AllocationReset, CreditPool, Grant, LedgerEntry

_POOLS: Final = """
UPDATE credits_creditpool AS p SET available = v.a, held = v.h, spent = v.s
FROM json_to_recordset(%s::json) AS v(i bigint, a numeric, h numeric, s numeric) WHERE p.id = v.i
"""
_ALLOCATIONS: Final = """
UPDATE credits_allocation AS a SET remaining = v.r, held = v.h, used = v.u, spent = v.s
FROM json_to_recordset(%s::json) AS v(i bigint, r numeric, h numeric, u numeric, s numeric) WHERE a.id = v.i
"""
_COLUMNS: Final = {
    "id": "uuid",
    "organization_id": "int8",
    "kind": "text",
    "amount": "numeric",
    "source_pool_id": "int8",
    "source_allocation_id": "int8",
    "target_pool_id": "int8",
    "target_allocation_id": "int8",
    "grant_id": "uuid",
    "reset_id": "uuid",
    "reason": "text",
    "made_by": "text",
    "created_at": "timestamptz",
}
_VALUES: Final = attrgetter(*_COLUMNS)


def grant(*, pool: CreditPool, grant: Grant, made_by: str) -> LedgerEntry:
    """Let granted credits enter the pool."""
    pool.available += grant.credits
    return _entry(
        "grant",
        grant.credits,
        pool.organization_id,
        made_by,
        target_pool=pool,
        grant=grant,
        reason=grant.reason,
    )


def transfer(
    *, source: CreditPool, target: CreditPool, amount: Decimal, made_by: str, reason: str = ""
) -> LedgerEntry:
    """Move credits from one pool of an organization to another."""
    source.available -= amount
    target.available += amount
    return _entry(
        "transfer",
        amount,
        source.organization_id,
        made_by,
        source_pool=source,
        target_pool=target,
        reason=reason,
    )


def allocate(
    *, pool: CreditPool, allocation: Allocation, amount: Decimal, made_by: str, reason: str = ""
) -> LedgerEntry:
    """Move credits from the pool into the allocation."""
    pool.available -= amount
    allocation.remaining += amount
    return _entry(
        "allocate",
        amount,
        pool.organization_id,
        made_by,
        source_pool=pool,
        target_allocation=allocation,
        reason=reason,
    )


def deallocate(
    *, allocation: Allocation, pool: CreditPool, amount: Decimal, made_by: str, reason: str = ""
) -> LedgerEntry:
    """Move unspent credits from the allocation back to its pool."""
    allocation.remaining -= amount
    pool.available += amount
    return _entry(
        "deallocate",
        amount,
        pool.organization_id,
        made_by,
        source_allocation=allocation,
        target_pool=pool,
        reason=reason,
    )


def reset(*, pool: CreditPool, allocation: Allocation, reset: AllocationReset, made_by: str) -> LedgerEntry:
    """Move what a reset tops up from the pool into the allocation, or what it returns the other way; one of them is 0.

    The entry is dated as the reset is.
    """
    pool.available += reset.returned - reset.topped_up
    allocation.remaining += reset.topped_up - reset.returned
    gives = bool(reset.topped_up)
    entry = _entry(
        "reset",
        reset.topped_up or reset.returned,
        pool.organization_id,
        made_by,
        source_pool=pool if gives else None,
        target_allocation=allocation if gives else None,
        source_allocation=None if gives else allocation,
        target_pool=None if gives else pool,
        reset=reset,
    )
    entry.created_at = reset.created_at
    return entry


def leave(
    *, source: CreditPool | Allocation, amount: Decimal, kind: str, grant: Grant, made_by: str, reason: str
) -> LedgerEntry:
    """Let credits of a grant leave the organization from this row; kind is expire or withdraw."""
    if isinstance(source, CreditPool):
        source.available -= amount
        return _entry(
            kind,
            amount,
            source.organization_id,
            made_by,
            source_pool=source,
            grant=grant,
            reason=reason,
        )
    source.remaining -= amount
    return _entry(
        kind,
        amount,
        source.organization_id,
        made_by,
        source_allocation=source,
        grant=grant,
        reason=reason,
    )


def write_balances(pools: Sequence[CreditPool], allocations: Sequence[Allocation]) -> None:
    """Write balances of locked rows."""
    if pools:
        values = [{"i": p.pk, "a": str(p.available), "h": str(p.held), "s": str(p.spent)} for p in pools]
        statements.run(_POOLS, json.dumps(values))
    if allocations:
        values = [
            {"i": a.pk, "r": str(a.remaining), "h": str(a.held), "u": str(a.used), "s": str(a.spent)}
            for a in allocations
        ]
        statements.run(_ALLOCATIONS, json.dumps(values))


def write(*made: LedgerEntry) -> None:
    """Insert entries, dated by the ledger's clock, and the balances of every row that they name."""
    clock = statements.clock()
    pools: dict[int, CreditPool] = {}
    allocations: dict[int, Allocation] = {}
    for entry in made:
        entry.created_at = clock
        pools |= {pool.pk: pool for pool in (entry.source_pool, entry.target_pool) if pool is not None}
        allocations |= {a.pk: a for a in (entry.source_allocation, entry.target_allocation) if a is not None}
    write_balances(list(pools.values()), list(allocations.values()))
    insert(made)


def insert(made: Sequence[LedgerEntry]) -> None:
    """Insert dated entries; the caller writes the balances."""
    if made:
        statements.insert("credits_ledgerentry", _COLUMNS, map(_VALUES, made))


def _entry(  # noqa: PLR0913 - the columns of one row
    kind: str,
    amount: Decimal,
    organization_id: int,
    made_by: str,
    *,
    source_pool: CreditPool | None = None,
    source_allocation: Allocation | None = None,
    target_pool: CreditPool | None = None,
    target_allocation: Allocation | None = None,
    grant: Grant | None = None,
    reset: AllocationReset | None = None,
    reason: str = "",
) -> LedgerEntry:
    return LedgerEntry(
        kind=kind,
        amount=amount,
        organization_id=organization_id,
        made_by=made_by,
        source_pool=source_pool,
        source_allocation=source_allocation,
        target_pool=target_pool,
        target_allocation=target_allocation,
        grant=grant,
        reset=reset,
        reason=reason,
    )

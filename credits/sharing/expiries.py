"""Expiries of allocations: from `expires_at` on one is a limit of 0, and what is unspent returns to its pool."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import DatabaseError

from credits import amounts
from credits.ledger import corrections, entries, payers, statements
from credits.models import Allocation, LedgerEntry
from credits.sharing import terms
from kit import transactions
from orgs.audit import events
from orgs.audit.events import SYSTEM
from orgs.models import Organization, User

logger = logging.getLogger(__name__)

_TOGETHER: Final = 500
"""Allocations that end in one transaction, each with an audit event."""
_COLUMNS: Final = ["closed_at", "reset_period", "anchored_on", "resets_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An allocation that expired, as it was then."""

    user_id: UUID
    allocated: Decimal
    returned: Decimal
    expired_at: datetime | None


def run(*, pool_id: int) -> list[Ended]:
    """Close the allocations of a pool whose time is over, by the ledger's clock; returns those that it closed.

    What is held of them follows when its hold ends. At most 500 at once, in order of key.
    """
    transactions.require()
    locked = payers.lock([("pool", pool_id)])
    locked.rows |= payers.lock(over_refs([pool_id], at=statements.clock())).rows
    pool = locked.pool(pool_id)
    closed = close_locked(locked, now=statements.clock())
    if closed:
        corrections.settle_shortfalls(locked, pool.organization)
        tell(pool.organization, closed)
    return closed


def run_due() -> int:
    """Close all allocations whose time is over, a pool a transaction; returns how many. The job of each minute."""
    pools = Allocation.objects.filter(closed_at__isnull=True, expires_at__lte=statements.clock())
    return sum(_run_or_log(pk) for pk in sorted(set(pools.values_list("pool_id", flat=True))))


def over_refs(pool_ids: Iterable[int], *, at: datetime) -> list[payers.Ref]:
    """Return the allocations of these pools whose time is over, 500 at most, to lock them."""
    over = Allocation.objects.filter(pool_id__in=list(pool_ids), closed_at__isnull=True, expires_at__lte=at)
    return [("allocation", pk) for pk in over.order_by("pk").values_list("pk", flat=True)[:_TOGETHER]]


def close_locked(locked: payers.Locked, *, now: datetime) -> list[Ended]:
    """Close what has expired of the locked allocations, with its entries; their pools must be locked too.

    The caller settles debts from what came back, and tells the audit log last (`tell`).
    """
    over = [
        row for row in locked.rows.values() if isinstance(row, Allocation) and terms.has_expired(row, now=now)
    ]
    ended: list[Ended] = []
    made: list[LedgerEntry] = []
    for row in over:
        ended.append(
            Ended(
                user_id=row.user_id,
                allocated=row.allocated,
                returned=row.remaining,
                expired_at=row.expires_at,
            )
        )
        if row.remaining:
            made.append(
                entries.deallocate(
                    allocation=row,
                    pool=locked.pool(row.pool_id),
                    amount=row.remaining,
                    made_by=SYSTEM.public_id,
                    reason="expired",
                )
            )
        terms.close(row, now=now, by_expiry=True)
    if over:
        entries.write(*made)
        Allocation.objects.bulk_update(over, _COLUMNS)
    return ended


def tell(organization: Organization, ended: Sequence[Ended]) -> None:
    """Audit what expired, an event each: the last that a transaction does."""
    names = dict(User.objects.filter(pk__in=[one.user_id for one in ended]).values_list("pk", "public_id"))
    for one in ended:
        events.record(
            organization=organization.public_id,
            by=SYSTEM,
            action="allocation.expired",
            target=names[one.user_id],
            before={"allocated": amounts.text(one.allocated)},
            after={
                "allocated": amounts.text(one.allocated - one.returned),
                "returned": amounts.text(one.returned),
                "expired_at": one.expired_at,
            },
        )


def _run_or_log(pool_id: int) -> int:
    """Close what is over in a pool; one where that fails is tried again in a minute, and keeps no other one waiting."""
    closed = 0
    try:
        while True:
            with transactions.durable():
                some = len(run(pool_id=pool_id))
            closed += some
            if some < _TOGETHER:
                return closed
    except DatabaseError as error:
        level = logging.WARNING if transactions.is_busy(error) else logging.ERROR
        logger.log(level, "allocations of pool %s could not expire: %s", pool_id, error)
        return closed

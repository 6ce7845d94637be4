"""Resets: at the end of an allocation's period its amount is restored, and what lies above it returns to the pool.

Whoever meets a date that is past runs the reset first: a job each minute, a page that shows the allocation, a request
that would spend of it. A transaction resets all that is due of one pool, so a short pool serves in order of key.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import DatabaseError
from django.db.models import Q

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import corrections, entries, payers, statements
from credits.models import Allocation, AllocationReset, CreditPool, LedgerEntry
from credits.sharing import expiries, periods, terms
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.models import Organization, User
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

logger = logging.getLogger(__name__)

_TOGETHER: Final = 5_000
"""Allocations that are reset in one transaction, while their pool waits."""
_COLUMNS: Final = {
    "id": "uuid",
    "organization_id": "int8",
    "allocation_id": "int8",
    "due_at": "timestamptz",
    "began_at": "timestamptz",
    "amount": "numeric",
    "used": "numeric",
    "held": "numeric",
    "remaining": "numeric",
    "returned": "numeric",
    "topped_up": "numeric",
    "short": "numeric",
    "created_at": "timestamptz",
}
_VALUES: Final = attrgetter(*_COLUMNS)
_BEGIN: Final = """
UPDATE credits_allocation AS a SET remaining = v.r, used = 0, opened_at = v.o, resets_at = v.n
FROM json_to_recordset(%s::json) AS v(i bigint, r numeric, o timestamptz, n timestamptz) WHERE a.id = v.i
"""
_BEHIND: Final = """
WITH asked AS MATERIALIZED (SELECT portal_clock() AS at)
SELECT DISTINCT a.pool_id FROM asked CROSS JOIN credits_allocation a
WHERE {} AND (a.resets_at <= asked.at OR a.expires_at <= asked.at AND a.closed_at IS NULL) ORDER BY 1
"""
_OF_ORGANIZATION: Final = _BEHIND.format("a.organization_id = %s")
_OF_USER: Final = _BEHIND.format("a.user_id = %s")


def run(*, pool_id: int) -> list[AllocationReset]:
    """Reset what is due of a pool, by the ledger's clock read after its lock; returns the resets, in order of key.

    At most 5,000 at once: whoever gets as many calls it again.
    Each allocation's remaining + held + top-up becomes its `amount`; what lies above returns to the pool. Dates that
    were missed collapse into the last one. Where the pool has too little, those who may allocate from it are told.
    """
    transactions.require()
    locked = payers.lock([("pool", pool_id)])
    pool = locked.pool(pool_id)
    locked.rows |= payers.lock(due_refs([pool_id], at=statements.clock())).rows
    made = run_locked(locked, now=statements.clock())
    if any(one.returned for one in made):
        corrections.settle_shortfalls(locked, pool.organization)
    tell(pool, made)
    return made


def run_due() -> int:
    """Reset everything that is due, a pool a transaction; returns how many allocations. The job of each minute."""
    due = Allocation.objects.filter(resets_at__lte=statements.clock()).values_list("pool_id", flat=True)
    return sum(_run_or_log(pk) for pk in sorted(set(due)))


def refresh(organization: Organization) -> None:
    """Bring an organization's allocations up to date before they are looked at: what is due resets, what is over ends.

    Opens transactions of its own, and none where nothing is due. A pool that is busy is shown as it is.
    """
    _refresh(statements.rows(_OF_ORGANIZATION, organization.pk))


def refresh_of(user: User) -> None:
    """Bring a user's allocations up to date, in all their organizations; see `refresh`."""
    _refresh(statements.rows(_OF_USER, user.pk))


def catch_up(*, pool_id: int) -> None:
    """Bring one pool's allocations up to date: end what is over, then reset what is due, a transaction each.

    So a debt is paid from what an ended one returned before others are restored from it. Raises DatabaseError where the
    pool is busy.
    """
    if expiries.over_refs([pool_id], at=statements.clock()):
        with transactions.durable():
            expiries.run(pool_id=pool_id)
    if due_refs([pool_id], at=statements.clock()):
        _run_all(pool_id)


def due_refs(pool_ids: Iterable[int], *, at: datetime) -> list[payers.Ref]:
    """Return the allocations of these pools whose date is past and that have not expired, the first 5,000 by key."""
    lives = Q(expires_at__isnull=True) | Q(expires_at__gt=at)
    due = Allocation.objects.filter(lives, pool_id__in=list(pool_ids), resets_at__lte=at)
    return [("allocation", pk) for pk in due.order_by("pk").values_list("pk", flat=True)[:_TOGETHER]]


def run_locked(locked: payers.Locked, *, now: datetime) -> list[AllocationReset]:
    """Reset what is due of the locked allocations, in order of key, and write it; their pools must be locked too."""
    due = [row for row in locked.rows.values() if isinstance(row, Allocation) and terms.is_due(row, now=now)]
    made: list[AllocationReset] = []
    moved: list[LedgerEntry] = []
    for row in sorted(due, key=lambda row: row.pk):
        pool = locked.pool(row.pool_id)
        reset = _reset(row, pool, now=now)
        made.append(reset)
        if reset.topped_up or reset.returned:
            moved.append(entries.reset(pool=pool, allocation=row, reset=reset, made_by=SYSTEM.public_id))
    if made:
        _write(due, made, moved)
    return made


def by_pool(made: Sequence[AllocationReset]) -> dict[int, list[AllocationReset]]:
    """Return the resets by the key of the pool that they were made from, before an allocation moves to another."""
    pools = sorted({one.allocation.pool_id for one in made})
    return {pk: [one for one in made if one.allocation.pool_id == pk] for pk in pools}


def tell_all(locked: payers.Locked, made: Mapping[int, Sequence[AllocationReset]]) -> None:
    """Tell of resets of several pools, by their keys; see `tell`."""
    for pk, resets in made.items():
        tell(locked.pool(pk), resets)


def tell(pool: CreditPool, made: Sequence[AllocationReset]) -> None:
    """Tell those who may allocate from the pool that it had too little, once per pool and date."""
    short = [one for one in made if one.short]
    if not short:
        return
    organization = pool.organization
    zone = ZoneInfo(organization.time_zone)
    day = max(one.due_at for one in short).astimezone(zone).date()
    missing = sum((one.short for one in short), ZERO)
    whose = pool.department.name if pool.department is not None else organization.name
    left = amounts.display(max(pool.available, ZERO))
    notices.once(
        kind=Kind.RESET_SHORT,
        subject=pool.department.public_id if pool.department is not None else organization.public_id,
        crossing=day.isoformat(),
        to=audience.allocators(organization, pool.department),
        organization=organization,
        title=f"{whose}: the pool had too little to restore {_allocations(len(short))}",
        lines=[
            f"{amounts.display(missing)} credits were missing on {day.isoformat()}; the pool has {left} left.",
            f"Of {len(made)} that were due, the earlier ones were served first.",
            "The others are restored in full at their next reset if the pool can, or when their amount is set.",
        ],
        action="See the allocations",
        path=f"/orgs/{organization.slug}/allocations/",
        level="warning",
    )


def _reset(row: Allocation, pool: CreditPool, *, now: datetime) -> AllocationReset:
    """End the period of a locked row and begin the one that `now` lies in; what moves is in the reset, not yet moved.

    The new period begins at the bound, not now: nothing was charged between them, since whoever would have reset first.
    The bound is never before the date that was set, even where the organization's time zone has changed meanwhile.
    """
    zone = ZoneInfo(pool.organization.time_zone)
    assert row.anchored_on is not None  # noqa: S101 - constraint: what resets has an anchor and a date
    assert row.resets_at is not None  # noqa: S101
    start, end = periods.following(row.anchored_on, row.reset_period, zone, now)
    missing = row.amount - row.remaining - row.held
    topped_up = min(max(missing, ZERO), max(pool.available, ZERO))
    reset = AllocationReset(
        organization_id=row.organization_id,
        allocation=row,
        due_at=max(row.resets_at, start),
        began_at=row.opened_at,
        amount=row.amount,
        used=row.used,
        held=row.held,
        remaining=row.remaining,
        returned=min(max(-missing, ZERO), row.remaining),
        topped_up=topped_up,
        short=max(missing, ZERO) - topped_up,
        created_at=now,
    )
    row.used, row.opened_at, row.resets_at = ZERO, reset.due_at, end
    return reset


def _write(due: Sequence[Allocation], made: Sequence[AllocationReset], moved: Sequence[LedgerEntry]) -> None:
    """Write periods, balances, resets and entries, a statement per table however many there are."""
    values = [
        {
            "i": row.pk,
            "r": str(row.remaining),
            "o": row.opened_at.isoformat(),
            "n": row.resets_at.isoformat() if row.resets_at is not None else None,
        }
        for row in due
    ]
    pools = {
        pool.pk: pool for one in moved for pool in (one.source_pool, one.target_pool) if pool is not None
    }
    entries.write_balances(list(pools.values()), [])
    statements.run(_BEGIN, json.dumps(values))
    statements.insert("credits_allocationreset", _COLUMNS, map(_VALUES, made))
    entries.insert(moved)


def _refresh(behind: Iterable[tuple[Any, ...]]) -> None:
    for [pool_id] in behind:
        try:
            catch_up(pool_id=pool_id)
        except DatabaseError as error:
            if not transactions.is_busy(error):
                raise
            logger.warning("allocations of pool %s are shown as they were: %s", pool_id, error)


def _run_all(pool_id: int) -> int:
    """Reset all that is due of a pool; returns how many."""
    made = 0
    while True:
        with transactions.durable():
            some = len(run(pool_id=pool_id))
        made += some
        if some < _TOGETHER:
            return made


def _run_or_log(pool_id: int) -> int:
    """Reset a pool; one that cannot be reset now is tried again in a minute, and keeps no other one waiting."""
    try:
        return _run_all(pool_id)
    except DatabaseError as error:
        level = logging.WARNING if transactions.is_busy(error) else logging.ERROR
        logger.log(level, "allocations of pool %s could not be reset: %s", pool_id, error)
        return 0


def _allocations(count: int) -> str:
    return "one allocation" if count == 1 else f"{count} allocations"

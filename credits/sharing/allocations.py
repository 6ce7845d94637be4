"""Allocations: a member's share of a pool, moved out of its available credits when it is given."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import corrections, entries, payers, pools, statements
from credits.ledger.payers import InsufficientCredits, Locked
from credits.models import Allocation, CreditPool, LedgerEntry
from credits.sharing import expiries, grounds, resets, terms
from credits.sharing.grounds import Ground
from credits.sharing.terms import KEEP, Expiry
from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Act, Actor
from orgs.models import Department, Organization, User

_NO_TERMS: Final = ((None, None), ("never", "never"))
"""Before and after, where an allocation neither resets nor ends."""


_FACTS: Final = {
    "id": "bigint",
    "pool_id": "bigint",
    "remaining": "numeric",
    "used": "numeric",
    "amount": "numeric",
    "is_limited": "boolean",
    "notes": "text",
    "opened_at": "timestamptz",
    "closed_at": "timestamptz",
    "reset_period": "text",
    "anchored_on": "date",
    "resets_at": "timestamptz",
    "expires_at": "timestamptz",
}
_VALUES: Final = attrgetter(*_FACTS)
_UPDATE: Final = f"""
UPDATE credits_allocation AS a SET {", ".join(f"{name} = v.{name}" for name in _FACTS if name != "id")}
FROM json_to_recordset(%s::json) AS v({", ".join(f"{name} {kind}" for name, kind in _FACTS.items())}) WHERE a.id = v.id
"""  # noqa: S608 - the names stand above


class Mode(StrEnum):
    """Whether an amount replaces what the member has, or comes on top of it."""

    SET = "set"
    ADD = "add"


class AllocationInUse(Conflict):
    """An allocation cannot go below what is used and held of it."""

    code = "allocation_in_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one member shall have.

    `reset_period` is never, daily, weekly or monthly, counted from the day on which it is first given; `expires_at` lies
    ahead. What is not named (None, KEEP) stays as it is for an open allocation, and is never for a new one.
    """

    user: User
    credits: Decimal
    mode: Mode = Mode.SET
    notes: str = ""
    reset_period: str | None = None
    expires_at: Expiry = KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Shares whose members and payers are locked; nothing is given yet."""

    organization: Organization
    shares: Sequence[Share]
    ground: Ground

    @property
    def rows(self) -> list[Allocation]:
        """Return the members' locked allocations, in the order asked."""
        own = {row.user_id: row for row in self.ground.locked.rows.values() if isinstance(row, Allocation)}
        return [own[share.user.pk] for share in self.shares]


def assign(*, organization: Organization, share: Share, by: Actor) -> Allocation:
    """Set a member's amount, or add to it; see `assign_all`."""
    return assign_all(organization=organization, shares=[share], by=by)[0]


def assign_all(*, organization: Organization, shares: Sequence[Share], by: Actor) -> list[Allocation]:
    """Give every member their share, all or none; returns the allocations in the order asked.

    What is due of the pools concerned resets first, and what is over ends. Raises InsufficientCredits (402, kind pool)
    where a pool has too little, AllocationInUse (409) where an amount is below what is used and held, NotFound for
    somebody who is not a member, ValidationError for what is no amount, no period or no expiry that lies ahead.
    """
    return give(prepared=prepare(organization=organization, shares=shares), by=by)


def prepare(*, organization: Organization, shares: Sequence[Share], ground: Ground | None = None) -> Prepared:
    """Lock what giving these shares takes; raises what `assign_all` does for wrong amounts and members.

    Who takes other locks too takes them between this and `give`, which ends at the audit head. `ground` is what the
    caller has locked for these members already.
    """
    transactions.require()
    _refuse_malformed(shares)
    if ground is None:
        ground = grounds.lock(organization=organization, users=[share.user.pk for share in shares])
    return Prepared(organization=organization, shares=shares, ground=ground)


def give(*, prepared: Prepared, by: Actor) -> list[Allocation]:
    """Give what was prepared; see `assign_all`."""
    organization, shares, locked = prepared.organization, prepared.shares, prepared.ground.locked
    now = statements.clock()
    for share in shares:
        terms.refuse_wrong(reset_period=share.reset_period, expires_at=share.expires_at, now=now)
    expired = expiries.close_locked(locked, now=now)
    restored = resets.run_locked(locked, now=now)
    told = resets.by_pool(restored)
    given = prepared.rows
    before = [_terms(row) for row in given]
    made: list[LedgerEntry] = []
    for share, row in zip(shares, given, strict=True):
        made += _give(prepared.ground, row, share, now=now, by=by)
    _write(locked, made, given)
    corrections.settle_shortfalls(locked, organization)
    resets.tell_all(locked, told)
    expiries.tell(organization, expired)
    events.record_all(
        organization=organization.public_id,
        by=by,
        acts=[_act(row, share.user, was) for share, row, was in zip(shares, given, before, strict=True)],
    )
    return given


def revoke(*, organization: Organization, user: User, by: Actor, limited: bool = True) -> Allocation:
    """Close the allocation and return all that is unspent; what is held follows when its holds end.

    A closed allocation is a limit of 0. `limited=False` is the act *let spend from the pool*, which removes the limit.
    """
    transactions.require()
    seen = Allocation.objects.filter(organization=organization, user=user).first()
    if seen is None:
        raise NotFound("This member has no allocation.")
    [row], _ = _revoke(organization, [seen], by=by, limited=limited)
    return row


def revoke_all(
    *, organization: Organization, users: Collection[User], by: Actor, archived: Department | None = None
) -> Decimal:
    """Close what these members have open, all at once: one by one would wait for a pool while holding the audit head.

    Returns how many credits went back from their allocations, as the entries have it.
    `archived` names a department that is being archived: what its pool has left goes back to the organization's.
    """
    transactions.require()
    seen = Allocation.objects.filter(organization=organization, user__in=users, closed_at__isnull=True)
    _, returned = _revoke(organization, list(seen), by=by, limited=True, archived=archived)
    return returned


def _revoke(
    organization: Organization,
    seen: list[Allocation],
    *,
    by: Actor,
    limited: bool,
    archived: Department | None = None,
) -> tuple[list[Allocation], Decimal]:
    emptied = CreditPool.objects.filter(department=archived).first() if archived is not None else None
    own = pools.of_organization(organization) if emptied is not None else None
    refs: list[payers.Ref] = [("pool", pool.pk) for pool in (own, emptied) if pool is not None]
    for one in seen:
        refs += [("pool", one.pool_id), ("allocation", one.pk)]
    locked = payers.lock(refs)
    rows = [row for row in locked.rows.values() if isinstance(row, Allocation)]
    if any(("pool", row.pool_id) not in locked.rows for row in rows):
        raise Conflict("The allocation moved to another pool just now; try again.")
    before = {row.pk: {"allocated": amounts.text(row.allocated), "limited": row.is_limited} for row in rows}
    made: list[LedgerEntry] = []
    for row in rows:
        made += _close(row, locked.pool(row.pool_id), by=by)
        row.is_limited = limited
    returned = sum((one.amount for one in made), ZERO)
    if own is not None and emptied is not None and locked.pool(emptied.pk).available > ZERO:
        source = locked.pool(emptied.pk)
        made.append(
            entries.transfer(
                source=source, target=locked.pool(own.pk), amount=source.available, made_by=by.public_id
            )
        )
    _write(locked, made, rows)
    corrections.settle_shortfalls(locked, organization)
    names = dict(User.objects.filter(pk__in=[row.user_id for row in rows]).values_list("pk", "public_id"))
    for row in rows:
        events.record(
            organization=organization.public_id,
            by=by,
            action="allocation.revoked" if limited else "allocation.opened_to_pool",
            target=names[row.user_id],
            before=before[row.pk],
            after={"allocated": amounts.text(row.used + row.held), "limited": limited},
        )
    return rows, returned


def _refuse_malformed(shares: Sequence[Share]) -> None:
    if not shares:
        raise ValidationError(allocations="must name at least one member")
    if len({share.user.pk for share in shares}) != len(shares):
        raise ValidationError(user_id="names one member twice")
    if not all(amounts.is_movable(share.credits) for share in shares):
        raise ValidationError(credits="must be 0 or more, and at most 1,000,000,000")


def _give(
    ground: Ground, allocation: Allocation, share: Share, *, now: datetime, by: Actor
) -> list[LedgerEntry]:
    is_more = share.mode == Mode.ADD
    pool = ground.source(allocation.user_id)
    if is_more and not share.credits and allocation.closed_at is None:
        pool = ground.locked.pool(allocation.pool_id)  # terms alone move no credits
    made: list[LedgerEntry] = []
    if allocation.closed_at is not None or allocation.pool_id != pool.pk:
        made += _begin(allocation, ground.origin(allocation), pool, now=now, by=by)
    kept = sum((entry.amount for entry in made), ZERO)  # what is added to comes along from the other pool
    terms.change(
        allocation,
        reset_period=share.reset_period,
        expires_at=share.expires_at,
        zone=pool.organization.time_zone,
        now=now,
    )
    allocation.notes = share.notes or allocation.notes
    difference = share.credits + kept if is_more else share.credits - allocation.allocated
    allocation.amount = share.credits + (allocation.amount if is_more else ZERO)
    if difference > ZERO and difference > pool.available:
        raise InsufficientCredits(
            kind="pool", scope=_scope(pool), needed=difference, remaining=max(pool.available, ZERO)
        )
    if -difference > allocation.remaining:
        bound = allocation.used + allocation.held
        raise AllocationInUse(
            f"{amounts.text(bound)} credits of it are used or held; it cannot go below that.",
            used=amounts.text(allocation.used),
            held=amounts.text(allocation.held),
        )
    if difference > 0:
        made.append(
            entries.allocate(pool=pool, allocation=allocation, amount=difference, made_by=by.public_id)
        )
    elif difference < 0:
        made.append(
            entries.deallocate(allocation=allocation, pool=pool, amount=-difference, made_by=by.public_id)
        )
    return made


def _begin(
    allocation: Allocation, origin: CreditPool, pool: CreditPool, *, now: datetime, by: Actor
) -> list[LedgerEntry]:
    """Let it begin anew from a pool; another one, which it came from, gets back what it has and what is held of it.

    So all that is allocated is this pool's. What is held stays, and `remaining` is below zero until it is given.
    """
    back = allocation.remaining + (allocation.held if origin.pk != pool.pk else ZERO)
    allocation.amount = allocation.remaining + allocation.held
    if allocation.closed_at is not None:
        terms.reopen(allocation, now=now)
    allocation.opened_at, allocation.pool, allocation.used = now, pool, ZERO
    if not back:
        return []
    return [entries.deallocate(allocation=allocation, pool=origin, amount=back, made_by=by.public_id)]


def _close(allocation: Allocation, pool: CreditPool, *, by: Actor) -> list[LedgerEntry]:
    made = _return_rest(allocation, pool, by=by)
    terms.close(allocation, now=statements.clock())
    return made


def _return_rest(allocation: Allocation, pool: CreditPool, *, by: Actor) -> list[LedgerEntry]:
    if not allocation.remaining:
        return []
    return [
        entries.deallocate(
            allocation=allocation, pool=pool, amount=allocation.remaining, made_by=by.public_id
        )
    ]


def _write(locked: Locked, made: list[LedgerEntry], changed: list[Allocation]) -> None:
    """Write the facts of the allocations, then entries and balances."""
    for row in locked.rows.values():
        locked.touch(row)
    if changed:
        values = [dict(zip(_FACTS, map(_text, _VALUES(row)), strict=True)) for row in changed]
        statements.run(_UPDATE, json.dumps(values))
    payers.write(locked)
    entries.write(*made)


def _act(row: Allocation, user: User, before: dict[str, Any]) -> Act:
    """Return what was set before and after; terms only where there are some."""
    after = _terms(row)
    told = [name for name in after if name == "allocated" or (before[name], after[name]) not in _NO_TERMS]
    return Act(
        action="credits.allocated",
        target=user.public_id,
        before={name: before[name] for name in told},
        after={name: after[name] for name in told},
    )


def _text(value: Any) -> Any:
    """Return a column's value as JSON carries it."""
    return value if value is None or isinstance(value, bool | int) else str(value)


def _terms(row: Allocation) -> dict[str, Any]:
    return {
        "allocated": amounts.text(row.allocated if row.closed_at is None else ZERO),
        "reset_period": row.reset_period,
        "expires_at": row.expires_at if row.closed_at is None else None,
    }


def _scope(pool: CreditPool) -> str:
    return pool.department.public_id if pool.department is not None else pool.organization.public_id

"""Allocations: a member's share of a pool, moved out of its available credits when it is given."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import corrections, entries, payers, pools, statements
from credits.ledger.payers import InsufficientCredits, Locked
from credits.models import Allocation, CreditPool, LedgerEntry
from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department, Membership, Organization, User


class Mode(StrEnum):
    """Whether an amount replaces what the member has, or comes on top of it."""

    SET = "set"
    ADD = "add"


class AllocationInUse(Conflict):
    """An allocation cannot go below what is used and held of it."""

    code = "allocation_in_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one member shall have."""

    user: User
    credits: Decimal
    mode: Mode = Mode.SET
    notes: str = ""


def assign(*, organization: Organization, share: Share, by: Actor) -> Allocation:
    """Set a member's amount, or add to it; see `assign_all`."""
    return assign_all(organization=organization, shares=[share], by=by)[0]


def assign_all(*, organization: Organization, shares: Sequence[Share], by: Actor) -> list[Allocation]:
    """Give every member their share, all or none; returns the allocations in the order asked.

    Raises InsufficientCredits (402, kind pool) where a pool has too little, AllocationInUse (409) where an amount is
    below what is used and held, NotFound for somebody who is not a member.
    """
    transactions.require()
    _refuse_malformed(shares)
    members = _lock_members(organization, shares)
    sources = {share.user.pk: _source(organization, members[share.user.pk]) for share in shares}
    locked = _lock(organization, sources)
    made: list[LedgerEntry] = []
    given: list[Allocation] = []
    before: dict[int, Decimal] = {}
    for share in shares:
        allocation = _own(locked, share.user)
        pool = locked.pool(sources[share.user.pk].pk)
        amount = allocation.allocated if allocation.closed_at is None else ZERO
        made += _give(locked, allocation, pool, share, by=by)
        given.append(allocation)
        before[allocation.pk] = amount
    _write(locked, made, given)
    corrections.settle_shortfalls(locked, organization)
    for share, allocation in zip(shares, given, strict=True):
        _audit(organization, allocation, share.user, before[allocation.pk], by=by)
    return given


def revoke(*, organization: Organization, user: User, by: Actor, limited: bool = True) -> Allocation:
    """Close the allocation and return all that is unspent; what is held follows when its holds end.

    A closed allocation is a limit of 0. `limited=False` is the act *let spend from the pool*, which removes the limit.
    """
    transactions.require()
    seen = Allocation.objects.filter(organization=organization, user=user).first()
    if seen is None:
        raise NotFound("This member has no allocation.")
    return _revoke(organization, [seen], by=by, limited=limited)[0]


def revoke_all(
    *, organization: Organization, users: Collection[User], by: Actor, archived: Department | None = None
) -> None:
    """Close what these members have open, all at once: one by one would wait for a pool while holding the audit head.

    `archived` names a department that is being archived: what its pool has left goes back to the organization's.
    """
    transactions.require()
    seen = Allocation.objects.filter(organization=organization, user__in=users, closed_at__isnull=True)
    _revoke(organization, list(seen), by=by, limited=True, archived=archived)


def _revoke(
    organization: Organization,
    seen: list[Allocation],
    *,
    by: Actor,
    limited: bool,
    archived: Department | None = None,
) -> list[Allocation]:
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
    return rows


def _refuse_malformed(shares: Sequence[Share]) -> None:
    if not shares:
        raise ValidationError(allocations="must name at least one member")
    if len({share.user.pk for share in shares}) != len(shares):
        raise ValidationError(user_id="names one member twice")
    if not all(amounts.is_movable(share.credits) for share in shares):
        raise ValidationError(credits="must be 0 or more, and at most 1,000,000,000")


def _lock_members(organization: Organization, shares: Sequence[Share]) -> dict[UUID, Membership]:
    """Lock the memberships, so that nobody is given credits while they are being removed."""
    live = Membership.objects.live().select_for_update(no_key=True, of=("self",)).select_related("department")
    found = live.filter(organization=organization, user__in=[share.user for share in shares]).order_by("pk")
    members: dict[UUID, Membership] = {membership.user_id: membership for membership in found}
    if len(members) != len(shares):
        raise NotFound("There is no such member.")
    if organization.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has no allocations; its pool pays.")
    return members


def _source(organization: Organization, membership: Membership) -> CreditPool:
    """Return the pool that a member's credits come from: their department's if it is funded, else the organization's."""
    if membership.department is not None:
        funded = CreditPool.objects.filter(department=membership.department).first()
        if funded is not None:
            return funded
    return pools.of_organization(organization)


def _lock(organization: Organization, sources: dict[UUID, CreditPool]) -> Locked:
    """Lock the members' allocations, made where missing, the pools they come from and those they came from."""
    now = statements.clock()
    missing = [
        Allocation(organization=organization, user_id=user, pool=pool, opened_at=now, closed_at=now)
        for user, pool in sources.items()
    ]
    Allocation.objects.bulk_create(missing, ignore_conflicts=True)
    present = Allocation.objects.filter(organization=organization, user__in=list(sources))
    refs: list[payers.Ref] = [("pool", pool.pk) for pool in sources.values()]
    for pk, pool_id in present.values_list("pk", "pool_id"):
        refs += [("allocation", pk), ("pool", pool_id)]
    return payers.lock(refs)


def _own(locked: Locked, user: User) -> Allocation:
    for row in locked.rows.values():
        if isinstance(row, Allocation) and row.user_id == user.pk:
            return row
    raise NotFound("This member has no allocation.")


def _give(
    locked: Locked, allocation: Allocation, pool: CreditPool, share: Share, *, by: Actor
) -> list[LedgerEntry]:
    made: list[LedgerEntry] = []
    moves = allocation.closed_at is None and allocation.pool_id != pool.pk
    kept = allocation.remaining if moves else ZERO  # what is added to comes along from the other pool
    if moves:
        made += _close(allocation, locked.pool(allocation.pool_id), by=by)
    if allocation.closed_at is not None:
        allocation.opened_at, allocation.closed_at = statements.clock(), None
        allocation.pool, allocation.used, allocation.is_limited = pool, ZERO, True
    allocation.notes = share.notes or allocation.notes
    difference = share.credits + kept if share.mode == Mode.ADD else share.credits - allocation.allocated
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
    allocation.amount = allocation.allocated
    return made


def _close(allocation: Allocation, pool: CreditPool, *, by: Actor) -> list[LedgerEntry]:
    made = []
    if allocation.remaining:
        made = [
            entries.deallocate(
                allocation=allocation, pool=pool, amount=allocation.remaining, made_by=by.public_id
            )
        ]
    if allocation.closed_at is None:
        allocation.closed_at = statements.clock()
    return made


def _write(locked: Locked, made: list[LedgerEntry], changed: list[Allocation]) -> None:
    """Write the facts of the allocations, then entries and balances."""
    for row in locked.rows.values():
        locked.touch(row)
    for allocation in changed:
        allocation.save(
            update_fields=[
                "pool",
                "remaining",
                "used",
                "amount",
                "is_limited",
                "notes",
                "opened_at",
                "closed_at",
                "reset_period",
                "anchored_on",
                "resets_at",
                "expires_at",
            ]
        )
    payers.write(locked)
    entries.write(*made)


def _audit(
    organization: Organization, allocation: Allocation, user: User, before: Decimal, *, by: Actor
) -> None:
    events.record(
        organization=organization.public_id,
        by=by,
        action="credits.allocated",
        target=user.public_id,
        before={"allocated": amounts.text(before)},
        after={"allocated": amounts.text(allocation.allocated)},
    )


def _scope(pool: CreditPool) -> str:
    return pool.department.public_id if pool.department is not None else pool.organization.public_id

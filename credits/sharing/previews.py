"""What giving many members their shares would come to, before it is done, and doing exactly that or nothing.

A preview names each member's amount before and after, every fault by its line, and what each pool has free afterwards.
`apply` looks again under the locks: where a member's figures are no longer what was shown, nothing is given.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Lower

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import pools, statements
from credits.models import Allocation, CreditPool
from credits.sharing import allocations, grounds
from credits.sharing.allocations import Mode, Share
from credits.sharing.reach import Reach
from credits.sharing.sheets import Line
from kit import transactions
from kit.errors import Conflict
from orgs.audit.events import Actor
from orgs.models import Department, Membership, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line: whose amount it changes and how. `before` is None for who has no open allocation."""

    line: Line
    user: User | None = None
    before: Decimal | None = None
    after: Decimal = ZERO
    moves: Mapping[int, Decimal] = field(default_factory=dict)
    """Credits that come to a pool (above 0) or leave it, by its primary key."""
    terms_before: tuple[str, datetime | None] = ("never", None)
    faults: Sequence[str] = ()

    @property
    def frees(self) -> bool:
        """Whether it takes nothing from any pool."""
        return all(amount >= ZERO for amount in self.moves.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAfter:
    """What a pool has free now, and what it would have."""

    pool: CreditPool
    free: Decimal
    after: Decimal

    @property
    def needed(self) -> Decimal:
        """What the lines take from it in all."""
        return self.free - self.after

    @property
    def is_short(self) -> bool:
        """Whether it has too little."""
        return self.after < ZERO and self.after < self.free


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    changes: Sequence[Change]
    pools: Sequence[PoolAfter]

    @property
    def faulty(self) -> int:
        """How many lines cannot be as they stand."""
        return sum(1 for one in self.changes if one.faults)

    @property
    def is_clean(self) -> bool:
        """Whether it may be applied."""
        return not self.faulty and not any(one.is_short for one in self.pools)

    @property
    def digest(self) -> str:
        """What must be the same when it is applied: everybody's figures and terms before, and what they come to."""
        facts = [
            [
                one.user.public_id if one.user is not None else "",
                None if one.before is None else amounts.text(one.before),
                amounts.text(one.after),
                {str(pool): amounts.text(amount) for pool, amount in one.moves.items()},
                [str(term) for term in one.terms_before],
                [one.line.reset_period, str(one.line.expires_at), one.line.notes],
            ]
            for one in self.changes
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class PreviewChanged(Conflict):
    """Figures changed since the preview was shown; nothing was given. `preview` is how it stands now."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("Figures changed since the preview; nothing was given. Look at it again.")
        self.preview = preview


def preview(*, reach: Reach, lines: Sequence[Line]) -> Preview:
    """Return what the lines would come to; a few queries however many there are, and nothing is written.

    Members beyond the reach do not exist here.
    """
    found = _members(reach, lines)
    users = {one.user_id for one in found.values()}
    rows = Allocation.objects.select_related("pool__department").filter(organization=reach.organization)
    open_ones = {row.user_id: row for row in rows.filter(user__in=users)}
    own = pools.of_organization(reach.organization)
    now = statements.clock()
    changes: list[Change] = []
    seen: dict[UUID, int] = {}
    for line in lines:
        membership = found.get(_named(line))
        change = _change(line, membership, open_ones, own, now) if membership else _nobody(line)
        if membership is not None:
            first = seen.setdefault(membership.user_id, line.number)
            if first != line.number:
                change = replace(change, faults=[*change.faults, f"Line {first} names the same member."])
        changes.append(change)
    return Preview(changes=changes, pools=_pools(changes))


def apply(*, reach: Reach, lines: Sequence[Line], digest: str, by: Actor) -> Preview:
    """Give everybody what the preview with this digest showed, in one transaction; returns it.

    Raises PreviewChanged (409) where a member's figures changed meanwhile or a pool has too little now.
    """
    transactions.require()
    organization = reach.organization
    users = {one.user_id for one in _members(reach, lines).values()}
    live = Membership.objects.live().filter(organization=organization, user__in=users).order_by("pk")
    present = list(live.select_for_update(no_key=True, of=("self",)).values_list("user_id", flat=True))
    ground = grounds.lock(organization=organization, users=present)
    seen = preview(reach=reach, lines=lines)
    if not seen.is_clean or seen.digest != digest:
        raise PreviewChanged(seen)
    ordered = sorted(seen.changes, key=lambda one: not one.frees)  # what comes back first can be given on
    shares = [_share(one.line, one.user) for one in ordered if one.user is not None]
    prepared = allocations.prepare(organization=organization, shares=shares, ground=ground)
    given = allocations.give(prepared=prepared, by=by)
    if any(row.allocated != one.after for row, one in zip(given, ordered, strict=True)):
        raise PreviewChanged(seen)  # a reset came due in between
    return seen


def _share(line: Line, user: User) -> Share:
    return Share(
        user=user,
        credits=line.credits,
        mode=line.mode,
        notes=line.notes,
        reset_period=line.reset_period,
        expires_at=line.expires_at,
    )


def _members(reach: Reach, lines: Sequence[Line]) -> dict[tuple[str, str], Membership]:
    """Return the members within reach that the lines name, by what names them."""
    emails = {line.email.lower() for line in lines if line.email}
    ids = {line.user_id for line in lines if line.user_id}
    members: QuerySet[Membership] = reach.members().order_by()
    by_email = members.annotate(lower_email=Lower("user__email")).filter(lower_email__in=emails)
    found: dict[tuple[str, str], Membership] = {}
    if emails:
        found |= {("email", (one.user.email or "").lower()): one for one in by_email}
    if ids:
        found |= {("id", one.user.public_id): one for one in members.filter(user__public_id__in=ids)}
    return found


def _named(line: Line) -> tuple[str, str]:
    return ("id", line.user_id) if line.user_id else ("email", line.email.lower())


def _nobody(line: Line) -> Change:
    faults = [*line.faults, f"There is no member {line.who} here."] if line.who else line.faults
    return Change(line=line, faults=faults)


def _change(
    line: Line,
    membership: Membership,
    open_ones: Mapping[UUID, Allocation],
    own: CreditPool,
    now: datetime,
) -> Change:
    """Return what the line comes to for this member, as `allocations.assign_all` would do it."""
    faults = list(line.faults)
    if line.email and line.user_id and (membership.user.email or "").lower() != line.email.lower():
        faults.append("email and user_id name different people.")
    if isinstance(line.expires_at, datetime) and line.expires_at <= now:
        faults.append("expires_at must lie ahead.")
    row = open_ones.get(membership.user_id)
    source = _source(membership.department, own)
    is_open = row is not None and row.closed_at is None
    if row is None:
        after, moves = line.credits, {source.pk: -line.credits}
    else:
        after, moves, bound = _moved(line, row, source, own)
        if after < bound and not line.faults:
            faults.append(f"{amounts.display(bound)} credits are used or held; it cannot go below that.")
    return Change(
        line=line,
        user=membership.user,
        before=row.allocated if row is not None and is_open else None,
        after=after,
        moves={pool: amount for pool, amount in moves.items() if amount},
        terms_before=(row.reset_period, row.expires_at) if row is not None and is_open else ("never", None),
        faults=faults,
    )


def _moved(
    line: Line, row: Allocation, source: CreditPool, own: CreditPool
) -> tuple[Decimal, dict[int, Decimal], Decimal]:
    """Return the amount after, what moves, and what it cannot go below.

    Another pool's share starts anew from its own, which takes over what is held; terms alone move nothing.
    """
    is_open, adds = row.closed_at is None, line.mode == Mode.ADD
    if is_open and (row.pool_id == source.pk or (adds and not line.credits)):
        after = row.allocated + line.credits if adds else line.credits
        return after, {row.pool_id: row.allocated - after}, row.used + row.held
    kept = row.remaining if is_open and adds else ZERO
    after = row.held + kept + line.credits if adds else line.credits
    is_archived = row.pool.department is not None and row.pool.department.archived_at is not None
    origin = own if is_archived else row.pool
    moves = {source.pk: -after}
    moves[origin.pk] = moves.get(origin.pk, ZERO) + row.remaining + row.held
    return after, moves, row.held


def _pools(changes: Sequence[Change]) -> list[PoolAfter]:
    moved: dict[int, Decimal] = {}
    for change in changes:
        if not change.faults:
            for pool, amount in change.moves.items():
                moved[pool] = moved.get(pool, ZERO) + amount
    rows = CreditPool.objects.filter(pk__in=moved).select_related("department", "organization")
    return [
        PoolAfter(pool=row, free=row.available, after=row.available + moved[row.pk])
        for row in rows.order_by("department__name", "pk")
    ]


def _source(department: Department | None, own: CreditPool) -> CreditPool:
    """Return the department's pool if it is funded, else the organization's."""
    if department is not None and hasattr(department, "credit_pool"):
        found: CreditPool = department.credit_pool
        return found
    return own

"""Statements of account: what a pool and the allocations from it had, got, gave and have left between two instants.

A statement is exact: opening + what came in − what went out − used = closing, for every pool and so for the organization.
Each movement counts when it was booked, so that a month that is over does not change. What is held counts as not used.
Balances of the past are those of now less what was booked since. An allocation belongs to the pool that gave to it last:
when it moves to another pool, the old one gets back all that it has, held credits too.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, When

from credits.amounts import ZERO, CreditsField
from credits.models import Allocation, CreditPool, LedgerEntry, UsageRecord
from orgs.models import Organization

Ref = tuple[str, int]
"""(`pool` or `allocation`, primary key)."""
Kind: Final = LedgerEntry.Kind
SIGNED: Final = Case(
    When(kind="reversal", then=ZERO - F("credits")), default=F("credits"), output_field=CreditsField()
)
"""What a usage record took from its payer; a reversal gives back."""


@dataclass(slots=True, kw_only=True)
class Statement:
    """One account between two instants. All but `moved` and `used` are 0 or more; an overdraft is a balance below.

    `used` is less what reversals gave back. `moved` came (or left, below 0) by reversals of what an allocation had paid
    before it drew on another pool: the credits go on to the pool that they had come from.
    `shares` is the part of `closing` that lies in allocations.
    """

    opening: Decimal = ZERO
    grants: dict[str, Decimal] = field(default_factory=dict)
    transferred_in: Decimal = ZERO
    transferred_out: Decimal = ZERO
    moved: Decimal = ZERO
    expired: Decimal = ZERO
    withdrawn: Decimal = ZERO
    used: Decimal = ZERO
    closing: Decimal = ZERO
    shares: Decimal = ZERO

    @property
    def granted(self) -> Decimal:
        """All grants together."""
        return sum(self.grants.values(), ZERO)

    @property
    def came(self) -> Decimal:
        """All that came in."""
        return self.granted + self.transferred_in + max(self.moved, ZERO)

    @property
    def went(self) -> Decimal:
        """All that left without being used."""
        return self.transferred_out + self.expired + self.withdrawn + max(-self.moved, ZERO)

    @property
    def expected(self) -> Decimal:
        """What the closing must be by everything else."""
        return self.opening + self.came - self.went - self.used

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing, and nothing happened."""
        return not self.grants and not any(
            getattr(self, one.name) for one in fields(self) if one.name != "grants"
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    at: datetime
    kind: str
    amount: Decimal
    source: Ref | None
    target: Ref | None
    grant_source: str

    @property
    def allocation(self) -> int | None:
        return next((ref[1] for ref in (self.source, self.target) if ref and ref[0] == "allocation"), None)

    @property
    def pool(self) -> int | None:
        return next((ref[1] for ref in (self.source, self.target) if ref and ref[0] == "pool"), None)


@dataclass(frozen=True, slots=True)
class _Use:
    payer: Ref
    credits: Decimal
    at: datetime | None
    """None for the sum of an allocation that stayed with its pool, or of a pool."""


def read(*, organization: Organization, since: datetime, until: datetime) -> dict[int, Statement]:
    """Return the statement of each of the organization's pools with the allocations from it, by the pool's key.

    From `since` (included) to `until` (not). Call it inside one snapshot (`reconcile.snapshot`).
    """
    entries = list(_entries(organization, since))
    before = _pools_before(organization, since)
    moving = _moving(entries, before)
    uses, later = _uses(organization, since, until, moving)
    now = _balances(organization)
    found: dict[int, Statement] = {pk: Statement() for kind, pk in now if kind == "pool"}
    closing = _rewound(now, (one for one in entries if one.at >= until), later)
    opening = _rewound(closing, (one for one in entries if one.at < until), uses)
    walk = _Walk(found, before)
    walk.through([one for one in entries if one.at < until], uses)
    for (kind, pk), credits in opening.items():
        pool = pk if kind == "pool" else before.get(pk)
        if pool is not None:
            found[pool].opening += credits
    for (kind, pk), credits in closing.items():
        pool = pk if kind == "pool" else walk.pool_of.get(pk)
        if pool is not None:
            found[pool].closing += credits
            found[pool].shares += credits if kind == "allocation" else ZERO
    return found


def together(parts: Iterable[Statement]) -> Statement:
    """Return the statement of all these accounts as one; what moved between them cancels out."""
    whole = Statement()
    for part in parts:
        for one in fields(Statement):
            if one.name != "grants":
                setattr(whole, one.name, getattr(whole, one.name) + getattr(part, one.name))
        for source, credits in part.grants.items():
            whole.grants[source] = whole.grants.get(source, ZERO) + credits
    inner = min(whole.transferred_in, whole.transferred_out)
    whole.transferred_in -= inner
    whole.transferred_out -= inner
    return whole


class _Walk:
    """Goes through what was booked in order, and knows from which pool each allocation was at any time."""

    def __init__(self, found: dict[int, Statement], before: Mapping[int, int]) -> None:
        self.found, self.pool_of = found, dict(before)

    def through(self, entries: Iterable[_Entry], uses: Iterable[_Use]) -> None:
        dated = [one for one in uses if one.at is not None]
        booked: list[tuple[datetime, int, _Entry | _Use]] = [(one.at, _rank(one), one) for one in entries]
        booked += [(one.at, 1, one) for one in dated if one.at is not None]
        for _, _, one in sorted(booked, key=lambda row: row[:2]):
            if isinstance(one, _Entry):
                self._entry(one)
            else:
                self._use(one)
        for one in uses:
            if one.at is None:
                self._use(one)

    def _entry(self, entry: _Entry) -> None:
        self._follow(entry)
        account = self._account(entry.target or entry.source)
        if entry.kind == Kind.GRANT:
            account.grants[entry.grant_source] = account.grants.get(entry.grant_source, ZERO) + entry.amount
        elif entry.kind == Kind.TRANSFER:
            account.transferred_in += entry.amount
            self._account(entry.source).transferred_out += entry.amount
        elif entry.kind == Kind.EXPIRE:
            account.expired += entry.amount
        elif entry.kind == Kind.WITHDRAW:
            account.withdrawn += entry.amount

    def _follow(self, entry: _Entry) -> None:
        """Note which pool gives to the allocation; what a reversal hands back goes to the pool that had paid."""
        allocation, pool = entry.allocation, entry.pool
        if allocation is None or pool is None:
            return
        if entry.target == ("allocation", allocation):
            self.pool_of[allocation] = pool
            return
        gives = self.pool_of[allocation]
        if gives != pool:
            self.found[gives].moved -= entry.amount
            self.found[pool].moved += entry.amount

    def _use(self, use: _Use) -> None:
        self._account(use.payer).used += use.credits

    def _account(self, ref: Ref | None) -> Statement:
        assert ref is not None  # noqa: S101 - every entry has a source or a target
        kind, pk = ref
        return self.found[pk if kind == "pool" else self.pool_of[pk]]


def _rank(entry: _Entry) -> int:
    """Return what comes first of things booked at one instant: an allocation leaves one pool before it joins another."""
    return 2 if entry.kind == Kind.ALLOCATE else 0


def _rewound(
    balances: Mapping[Ref, Decimal], entries: Iterable[_Entry], uses: Iterable[_Use]
) -> dict[Ref, Decimal]:
    """Return the balances before these were booked."""
    back: dict[Ref, Decimal] = defaultdict(lambda: ZERO, balances)
    for entry in entries:
        if entry.source is not None:
            back[entry.source] += entry.amount
        if entry.target is not None:
            back[entry.target] -= entry.amount
    for use in uses:
        back[use.payer] += use.credits
    return dict(back)


def _balances(organization: Organization) -> dict[Ref, Decimal]:
    pools = CreditPool.objects.filter(organization=organization)
    shares = Allocation.objects.filter(organization=organization)
    found: dict[Ref, Decimal] = {
        ("pool", pk): left for pk, left in pools.values_list("pk", F("available") + F("held"))
    }
    return found | {
        ("allocation", pk): left for pk, left in shares.values_list("pk", F("remaining") + F("held"))
    }


def _entries(organization: Organization, since: datetime) -> Iterator[_Entry]:
    rows = LedgerEntry.objects.filter(organization=organization, created_at__gte=since).values_list(
        "created_at", "kind", "amount", "source_pool", "source_allocation", "target_pool", "target_allocation",
        "grant__source",
    )  # fmt: skip
    for at, kind, amount, from_pool, from_share, to_pool, to_share, grant_source in rows:
        yield _Entry(
            at, kind, amount, _ref(from_pool, from_share), _ref(to_pool, to_share), grant_source or ""
        )


def _ref(pool: int | None, allocation: int | None) -> Ref | None:
    if pool is not None:
        return "pool", pool
    return ("allocation", allocation) if allocation is not None else None


def _pools_before(organization: Organization, since: datetime) -> dict[int, int]:
    """Return the pool that each allocation was last given credits from, before that instant."""
    given = LedgerEntry.objects.filter(
        target_allocation=OuterRef("pk"), source_pool__isnull=False, created_at__lt=since
    ).order_by("-created_at", "-pk")
    shares = Allocation.objects.filter(organization=organization)
    found = shares.values_list("pk", Subquery(given.values("source_pool")[:1]))
    return {pk: pool for pk, pool in found if pool is not None}


def _moving(entries: Iterable[_Entry], before: Mapping[int, int]) -> set[int]:
    """Return the allocations that came from more than one pool."""
    named: dict[int, set[int]] = defaultdict(set)
    for allocation, pool in before.items():
        named[allocation].add(pool)
    for entry in entries:
        if entry.allocation is not None and entry.pool is not None:
            named[entry.allocation].add(entry.pool)
    return {allocation for allocation, pools in named.items() if len(pools) > 1}


def _uses(
    organization: Organization, since: datetime, until: datetime, moving: set[int]
) -> tuple[list[_Use], list[_Use]]:
    """Return what each payer gave between the instants, and after them; one by one where the payer moved meanwhile."""
    rows: Any = UsageRecord.objects.filter(
        organization=organization, created_at__gte=since, credits__gt=0
    )  # what took credits has a payer
    rows = rows.annotate(during=Q(created_at__lt=until))
    sums = rows.exclude(allocation__in=moving).values_list("pool", "allocation", "during")
    singly = rows.filter(allocation__in=moving).values_list(
        "pool", "allocation", "during", SIGNED, "created_at"
    )
    uses: dict[bool, list[_Use]] = {True: [], False: []}
    for pool, allocation, is_during, credits in sums.annotate(sum=Sum(SIGNED)).order_by():
        uses[is_during].append(_Use(_ref(pool, allocation) or ("pool", 0), credits, None))
    for pool, allocation, is_during, credits, at in singly:
        uses[is_during].append(_Use(_ref(pool, allocation) or ("pool", 0), credits, at))
    return uses[True], uses[False]

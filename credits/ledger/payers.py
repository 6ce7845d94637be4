"""Payers: locking the rows that pay, and the few ways in which a balance may change.

The row that pays is the lock. It is taken here and nowhere else, in one order (pools, then allocations, each by key), and
only the instances that the locking query returned are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import F

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import entries
from credits.ledger.commands import Payer
from credits.ledger.standing import Standing
from credits.models import Allocation, CreditPool, LedgerEntry
from kit import transactions
from kit.errors import DomainError

Ref = tuple[str, int]
"""(`pool` or `allocation`, primary key)."""
PayerRow = CreditPool | Allocation


class InsufficientCredits(DomainError):
    """Who may pay has less than is needed. The message says what bit and what remains; `tried` are the rows, in order."""

    code = "insufficient_credits"
    status = 402

    def __init__(
        self,
        *,
        kind: str,
        scope: str,
        needed: Decimal,
        remaining: Decimal,
        resets_at: datetime | None = None,
        tried: Sequence[Ref] = (),
    ) -> None:
        self.tried = tried
        super().__init__(
            f"This needs {amounts.text(needed)} credits; the {kind} has {amounts.text(remaining)} left.",
            limit={
                "kind": kind,
                "scope": scope,
                "needed": amounts.text(needed),
                "remaining": amounts.text(remaining),
                "resets_at": None if resets_at is None else resets_at.isoformat(),
            },
        )


@dataclass(slots=True)
class Locked:
    """The payers that this transaction has locked, and which of them it changed."""

    rows: dict[Ref, PayerRow] = field(default_factory=dict)
    changed: dict[Ref, PayerRow] = field(default_factory=dict)

    def get(self, ref: Ref | None) -> PayerRow | None:
        """Return the locked row, or None where it was not locked."""
        return self.rows.get(ref) if ref is not None else None

    def touch(self, row: PayerRow) -> None:
        """Note that the row must be written."""
        self.changed[ref_of(row)] = row

    def pool(self, pk: int) -> CreditPool:
        """Return a pool that must have been locked."""
        row = self.rows["pool", pk]
        assert isinstance(row, CreditPool)  # noqa: S101 - a pool's ref holds a pool
        return row


def lock(refs: Iterable[Ref], *, skip_locked: bool = False) -> Locked:
    """Lock payers: organization pools, department pools, allocations, each by primary key.

    With `skip_locked` those that somebody else holds are left out; their requests run alone afterwards.
    """
    transactions.require()
    wanted = set(refs)
    pools = {pk for kind, pk in wanted if kind == "pool"}
    allocations = {pk for kind, pk in wanted if kind == "allocation"}
    locked = Locked()
    if pools:
        for pool in (
            CreditPool.objects.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
            .filter(pk__in=pools)
            .order_by(F("department_id").asc(nulls_first=True), "pk")
        ):
            locked.rows["pool", pool.pk] = pool
    if allocations:
        for allocation in (
            Allocation.objects.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
            .filter(pk__in=allocations)
            .order_by("pk")
        ):
            locked.rows["allocation", allocation.pk] = allocation
    return locked


def ref_of(row: PayerRow) -> Ref:
    """Return the row's kind and key."""
    return ("pool" if isinstance(row, CreditPool) else "allocation", row.pk)


def free(row: PayerRow) -> Decimal:
    """Return what the row can still give to a hold or charge, without overdraft."""
    return row.available if isinstance(row, CreditPool) else row.remaining


def reserve(row: PayerRow, credits: Decimal) -> None:
    """Move credits from free to held; the caller has checked that they are there."""
    _add_free(row, -credits)
    row.held += credits


def unreserve(row: PayerRow, credits: Decimal) -> None:
    """Move credits back from held to free."""
    row.held -= credits
    _add_free(row, credits)


def spend(row: PayerRow, credits: Decimal) -> None:
    """Take free credits for good."""
    _add_free(row, -credits)
    row.spent += credits
    if isinstance(row, Allocation):
        row.used += credits


def dated(row: PayerRow | None, clock: datetime) -> datetime:
    """Return when a charge of this row is made: never before the allocation's period, even where the clock stepped back."""
    return max(clock, row.opened_at) if isinstance(row, Allocation) else clock


def put_back(row: PayerRow, credits: Decimal) -> None:
    """Add credits that come back from a charge."""
    _add_free(row, credits)


def most_of(row: PayerRow, cost: Decimal) -> Decimal:
    """Return how much of a cost the row has to give at a capture: what is free, and a pool's overdraft beyond it."""
    limit = row.overdraft_limit if isinstance(row, CreditPool) else ZERO
    return min(cost, max(free(row) + limit, ZERO))


def describe(row: PayerRow | None, standing: Standing) -> Payer | None:
    """Return the payer as answers show it."""
    if row is None:
        return None
    return Payer(kind=ref_of(row)[0], organization=standing.organization, remaining=free(row))


def write(locked: Locked) -> None:
    """Write the balances that changed, a statement per table."""
    entries.write_balances(
        [row for row in locked.changed.values() if isinstance(row, CreditPool)],
        [row for row in locked.changed.values() if isinstance(row, Allocation)],
    )


def return_closed(
    allocation: Allocation, pool: CreditPool, *, made_by: str, at: datetime
) -> LedgerEntry | None:
    """Move what came back to a closed allocation on to its pool; returns the entry, or None where nothing came back."""
    if allocation.closed_at is None or not allocation.remaining:
        return None
    entry = entries.deallocate(allocation=allocation, pool=pool, amount=allocation.remaining, made_by=made_by)
    entry.created_at = at
    return entry


def organization_pool(organization_id: int) -> Ref:
    """Return the organization's own pool, made at first need: it takes what has happened, whoever could not pay."""
    pool, _ = CreditPool.objects.get_or_create(organization_id=organization_id, department=None)
    return ("pool", pool.pk)


def _add_free(row: PayerRow, credits: Decimal) -> None:
    if isinstance(row, CreditPool):
        row.available += credits
    else:
        row.remaining += credits

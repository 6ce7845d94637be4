"""Takings: credits of a grant that leave an organization unspent, because they expired or their payment was taken back."""

from decimal import Decimal

from credits.amounts import ZERO
from credits.ledger import entries, payers
from credits.ledger.payers import Locked, PayerRow, Ref
from credits.models import Allocation, CreditPool, Grant, LedgerEntry


def widen(locked: Locked, *, organization_id: int, wanted: Decimal) -> None:
    """Lock what more is needed to take this much: nothing where the organization's pool, which is locked, has it.

    Else every department's pool and allocation that has free credits, in the ledger's order; call it before grants are
    locked.
    """
    if wanted <= _own(locked, organization_id).available:
        return
    pools = CreditPool.objects.filter(
        organization_id=organization_id, department__isnull=False, available__gt=0
    )
    allocations = Allocation.objects.filter(organization_id=organization_id, remaining__gt=0)
    refs: list[Ref] = [("pool", pk) for pk in pools.values_list("pk", flat=True)]
    refs += [("allocation", pk) for pk in allocations.values_list("pk", flat=True)]
    locked.rows |= payers.lock([ref for ref in refs if ref not in locked.rows]).rows


def take(
    locked: Locked, grant: Grant, credits: Decimal, *, kind: str, made_by: str, reason: str
) -> list[LedgerEntry]:
    """Take up to this many credits from locked rows, as entries (`expire` or `withdraw`) that the caller writes.

    The organization's pool gives first, then the others of the organization, the one with most free credits first. None
    goes below zero, so what comes out may be less.
    """
    own = _own(locked, grant.organization_id)
    others = [
        row
        for row in locked.rows.values()
        if row.organization_id == grant.organization_id and row is not own and payers.free(row) > ZERO
    ]
    made: list[LedgerEntry] = []
    for row in (own, *sorted(others, key=_largest_first)):
        part = min(credits, max(payers.free(row), ZERO))
        if part:
            made.append(
                entries.leave(source=row, amount=part, kind=kind, grant=grant, made_by=made_by, reason=reason)
            )
            credits -= part
    return made


def _own(locked: Locked, organization_id: int) -> CreditPool:
    return locked.pool(payers.organization_pool(organization_id)[1])


def _largest_first(row: PayerRow) -> tuple[Decimal, Ref]:
    return -payers.free(row), payers.ref_of(row)

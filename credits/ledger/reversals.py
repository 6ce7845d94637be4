"""Reversals: giving back a charge, whole or in part, once."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import F

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import burndown, corrections, entries, forgiveness, payers, shortfalls, statements
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.payers import PayerRow
from credits.ledger.records import Usage
from credits.limits import ceilings
from credits.models import Allocation, CreditPool, LedgerEntry, Shortfall, UsageRecord
from kit import transactions
from kit.errors import NotFound, TryAgain, ValidationError
from orgs.audit.events import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """The reversal, the charge it gives back, and whether an earlier request made it."""

    reversal: UsageRecord | Usage
    charge: UsageRecord
    replayed: bool


def reverse(
    *, charge_id: UUID, organization_id: int | None, credits: Decimal | None, reason: str, by: Actor
) -> Reversed:
    """Give back `credits` of a charge, or all it cost: first what is still owed for it, then what was taken.

    What staff have forgiven nobody paid, so it does not come back. What was taken returns to the allocation if it is
    open and the charge lies in its present period, else to the pool that it came from then; if the grant that it was of has expired
    meanwhile, it is granted anew for 30 days.
    Raises NotFound outside `organization_id` (None is any), ValidationError beyond the cost, IdempotencyConflict where
    it was reversed with other figures.
    """
    transactions.require()
    charge = _charge(charge_id, organization_id)
    locked = payers.lock(_rows_to_lock(charge))
    _refuse_moved(locked)
    most = charge.cost - forgiveness.of_charge(charge_id=charge.pk)
    amount = most if credits is None else credits
    if not amounts.is_movable(amount) or not ZERO < amount <= most:
        raise ValidationError(credits=f"must be above 0 and at most the {amounts.text(most)} that it cost")
    earlier = UsageRecord.objects.filter(corrects=charge.pk, kind=UsageRecord.Kind.REVERSAL).first()
    if earlier is not None:
        return _reversed_before(earlier, charge, amount)
    reversal = _reverse(locked, charge, amount, reason=reason, by=by)
    return Reversed(reversal=reversal, charge=charge, replayed=False)


def organization_of(charge_id: UUID) -> int | None:
    """Return the key of the organization that was charged, None where there is no such charge."""
    charge = UsageRecord.objects.filter(pk=charge_id, kind=UsageRecord.Kind.CHARGE)
    return charge.values_list("organization_id", flat=True).first()


def _charge(charge_id: UUID, organization_id: int | None) -> UsageRecord:
    found = UsageRecord.objects.select_related("organization", "allocation").filter(
        pk=charge_id, kind="charge"
    )
    if organization_id is not None:
        found = found.filter(organization_id=organization_id)
    charge = found.first()
    if charge is None:
        raise NotFound("There is no such charge.")
    return charge


def _rows_to_lock(charge: UsageRecord) -> list[payers.Ref]:
    """Return the payer, its pools where that is an allocation, and the organization's, where all returns at last."""
    refs: set[payers.Ref] = {payers.organization_pool(charge.organization_id)}
    if charge.allocation is not None:
        refs |= {("allocation", charge.allocation.pk), ("pool", charge.allocation.pool_id)}
        refs.add(("pool", _fed_by(charge, charge.allocation)))
    if charge.pool_id is not None:
        refs.add(("pool", charge.pool_id))
    return list(refs)


def _fed_by(charge: UsageRecord, allocation: Allocation) -> int:
    """Return the key of the pool that the allocation came from when it was charged, wherever it comes from now."""
    if charge.created_at >= allocation.opened_at:
        return allocation.pool_id
    fed = LedgerEntry.objects.filter(target_allocation=allocation, created_at__lte=charge.created_at)
    newest = fed.order_by("-created_at", "-pk").values_list("source_pool_id", flat=True).first()
    return newest or allocation.pool_id


def _refuse_moved(locked: payers.Locked) -> None:
    """Raise TryAgain where the allocation came to draw on another pool while this waited for it."""
    for row in locked.rows.values():
        if isinstance(row, Allocation) and ("pool", row.pool_id) not in locked.rows:
            raise TryAgain


def _reversed_before(earlier: UsageRecord, charge: UsageRecord, amount: Decimal) -> Reversed:
    settled = _settlements(charge)
    back = UsageRecord.objects.filter(
        corrects__in=[one.pk for one in settled], kind=UsageRecord.Kind.REVERSAL
    )
    if earlier.cost + sum((one.cost for one in back), ZERO) != amount:
        raise IdempotencyConflict("The charge was reversed with other figures.")
    return Reversed(reversal=earlier, charge=charge, replayed=True)


def _reverse(locked: payers.Locked, charge: UsageRecord, amount: Decimal, *, reason: str, by: Actor) -> Usage:
    clock = statements.clock()
    today = _today(charge, clock)
    ceilings.lock_all(organization_id=charge.organization_id, day=today)  # before shortfalls and grants
    owed = _forgive(charge, amount)
    taken = min(amount - owed, charge.credits)
    row = locked.get(
        ("pool", charge.pool_id) if charge.pool_id is not None else ("allocation", charge.allocation_id or 0)
    )
    reversal = _record(charge, charge, taken, owed, reason=reason, by=by, at=clock)
    made = [reversal]
    if row is not None:
        _return(locked, row, charge, taken, by=by)
    left = amount - owed - taken
    for settlement in _settlements(charge):
        back = min(left, settlement.credits)
        if back:
            pool = locked.pool(settlement.pool_id or 0)
            _return(locked, pool, settlement, back, by=by)
            made.append(_record(charge, settlement, back, ZERO, reason=reason, by=by, at=clock))
        left -= back
    made += shortfalls.settle(locked, organizations={charge.organization_id})
    payers.write(locked)
    returned = burndown.burn(organization_ids=[charge.organization_id], reversal=reversal.id)
    corrections.record(locked, made)  # rollups are locked after grants
    burndown.announce(returned)
    return reversal


def _forgive(charge: UsageRecord, amount: Decimal) -> Decimal:
    """Cancel what is still owed for the charge, up to the amount, and return how much that was."""
    owed = (
        Shortfall.objects.select_for_update(no_key=True, of=("self",))
        .filter(charge_id=charge.pk, amount__gt=F("settled") + F("forgiven"))
        .first()
    )
    if owed is None:
        return ZERO
    part = min(amount, owed.amount - owed.settled - owed.forgiven)
    owed.forgiven += part
    owed.save(update_fields=["forgiven"])
    return part


def _settlements(charge: UsageRecord) -> list[UsageRecord]:
    return list(
        UsageRecord.objects.filter(corrects=charge.pk, kind=UsageRecord.Kind.SETTLEMENT).order_by("-pk")
    )


def _return(
    locked: payers.Locked, row: PayerRow, charge: UsageRecord, credits: Decimal, *, by: Actor
) -> None:
    """Give credits back to the row that paid.

    An allocation that is closed or in a later period passes them on to the pool that it came from then, and the pool
    of an archived department to the organization's.
    """
    row.spent -= credits
    payers.put_back(row, credits)
    locked.touch(row)
    if not credits:
        return
    made: list[LedgerEntry] = []
    terms: dict[str, Any] = {"amount": credits, "made_by": by.public_id, "reason": "reversal"}
    if isinstance(row, CreditPool):
        pool = row
    elif row.closed_at is None and charge.created_at >= row.opened_at:
        row.used -= credits
        return
    else:
        pool = locked.pool(_fed_by(charge, row))
        made.append(entries.deallocate(allocation=row, pool=pool, **terms))
    if pool.department is not None and pool.department.archived_at is not None:
        own = locked.pool(payers.organization_pool(charge.organization_id)[1])
        made.append(entries.transfer(source=pool, target=own, **terms))
    if made:
        entries.write(*made)


def _record(
    charge: UsageRecord,
    corrected: UsageRecord,
    credits: Decimal,
    owed: Decimal,
    *,
    reason: str,
    by: Actor,
    at: datetime,
) -> Usage:
    return Usage(
        organization_id=charge.organization_id,
        organization=charge.organization.public_id,
        kind="reversal",
        user_id=charge.user_id,
        department_id=charge.department_id,
        key_id=charge.key_id,
        pool_id=corrected.pool_id,
        allocation_id=corrected.allocation_id,
        corrects=corrected.pk,
        transaction_id=charge.transaction_id,
        credits=credits,
        cost=credits + owed,
        shortfall=owed,
        service=charge.service,
        provider=charge.provider,
        model=charge.model,
        reason=reason,
        made_by=by.public_id,
        day=_today(charge, at),
        occurred_at=at,
        created_at=at,
    )


def _today(charge: UsageRecord, at: datetime) -> date:
    return at.astimezone(ZoneInfo(charge.organization.time_zone)).date()

"""Ending a hold: captured, released or expired, once, whoever races for it (law 6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from credits.amounts import ZERO
from credits.ledger import entries, payers
from credits.ledger.commands import CaptureHold, EndHold, ExpireHold, Reach, Settled
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.records import Usage
from credits.ledger.spending import finish
from credits.limits import ceilings
from credits.models import Allocation, CreditPool, Hold, LedgerEntry, UsageRecord
from credits.pricing import costs
from credits.pricing.costs import Priced, TokensCost
from kit.errors import DomainError, NotFound, PermissionDenied, ValidationError
from orgs.models import Department

if TYPE_CHECKING:
    from credits.ledger.payers import PayerRow
    from credits.ledger.rounds import Round
    from credits.ledger.standing import Standing

LATE_CAPTURE: Final = timedelta(days=7)
"""How long after its expiry a hold may still be captured."""


class HoldEnded(DomainError):
    """The hold has ended in another way."""

    code = "hold_ended"
    status = 409


def payer_of(hold: Hold) -> list[payers.Ref]:
    """Return the payer that the hold itself names."""
    if hold.pool_id is not None:
        return [("pool", hold.pool_id)]
    return [("allocation", hold.allocation_id)] if hold.allocation_id is not None else []


def payers_of(hold: Hold, stands: Standing, *, captures: bool) -> list[payers.Ref]:
    """Return what to lock to end this hold: its payer, and the pools that what comes back is passed on to."""
    own = payer_of(hold)
    if not own:
        return (stands.payers()[:1] or [payers.organization_pool(hold.organization_id)]) if captures else []
    closed = hold.allocation_id is not None and stands.allocation_closed_at is not None
    pool_id = stands.allocation_pool_id if closed else hold.pool_id
    if pool_id is None:
        return own
    archived = Department.objects.filter(credit_pool=pool_id, archived_at__isnull=False).exists()
    above = [payers.organization_pool(hold.organization_id)] if archived else []
    return [*above, ("pool", pool_id), *own] if closed else [*above, *own]


def under_budgets(command: EndHold, hold: Hold, stands: Standing) -> dict[ceilings.Row, int]:
    """Return the rows of hard budgets that ending this hold changes: where it is held, and where its capture counts."""
    budgets, rows = ceilings.of(stands), {}
    if hold.status == Hold.Status.ACTIVE and hold.credits:
        rows = ceilings.rows_of(budgets, ceilings.By(hold.department_id, hold.user_id, hold.model), hold.day)
    if isinstance(command, CaptureHold) and not hold.captured_content and not hold.byok:
        by = ceilings.By(hold.department_id, hold.user_id, command.cost.model or hold.model)
        rows |= ceilings.rows_of(budgets, by, stands.day(stands.clock))
    return rows


def end(book: Round, command: EndHold, stands: Standing) -> Settled | None:
    """End the hold as the command says; None where a row that is needed was not locked.

    Raises NotFound or PermissionDenied where the caller may not end it, HoldEnded where it ended otherwise.
    """
    hold = book.holds.get(command.hold_id)
    if hold is None:
        return None
    _refuse_stranger(hold, command)
    row = _payer(book, hold)
    if not _has_all_rows(book, hold, row):
        return None
    if isinstance(command, CaptureHold):
        return _capture(book, hold, command, stands, row)
    if isinstance(command, ExpireHold):
        if hold.status == Hold.Status.ACTIVE and hold.expires_at <= stands.clock:
            _give_back(book, hold, row, stands, Hold.Status.EXPIRED)
    elif hold.status == Hold.Status.CAPTURED or hold.captured_content:
        raise HoldEnded("The hold was captured.", status=hold.status)
    elif hold.status == Hold.Status.ACTIVE:
        overdue = hold.expires_at <= stands.clock
        _give_back(book, hold, row, stands, Hold.Status.EXPIRED if overdue else Hold.Status.RELEASED)
    return finish(Settled(hold=hold), book, row, stands)


def _capture(
    book: Round, hold: Hold, command: CaptureHold, stands: Standing, row: PayerRow | None
) -> Settled | None:
    if hold.captured_content:
        return _captured_before(book, hold, command, stands, row)
    if hold.status == Hold.Status.RELEASED:
        raise HoldEnded("The hold was released.", status=hold.status)
    if stands.clock - hold.expires_at > LATE_CAPTURE:
        raise HoldEnded("The hold expired more than 7 days ago.", status=hold.status)
    priced = _price(book, hold, command, stands)
    if row is None and priced.credits:
        row = book.locked.get(next(iter(payers_of(hold, stands, captures=True))))
        if row is None:
            return None
    late = hold.expires_at <= stands.clock or hold.status == Hold.Status.EXPIRED  # clocks may step back
    if hold.status == Hold.Status.ACTIVE:
        if late:
            _give_back(book, hold, row, stands, Hold.Status.EXPIRED)
        else:
            _end(book, hold, row, stands, Hold.Status.CAPTURED)
    else:
        book.ended_holds.append(hold)
    hold.captured_content = command.content()
    usage = _take(book, hold, command, stands, row, priced, late=late)
    _pass_on(book, row, command.spender.made_by)
    return finish(Settled(hold=hold, charge=usage), book, row, stands)


def _captured_before(
    book: Round, hold: Hold, command: CaptureHold, stands: Standing, row: PayerRow | None
) -> Settled:
    """Answer a repeated capture with the first one's charge; other figures are refused."""
    if hold.captured_content != command.content():
        raise IdempotencyConflict("The hold was captured with other figures.")
    charge = UsageRecord.objects.get(hold_id=hold.pk, kind=UsageRecord.Kind.CHARGE)
    return finish(Settled(hold=hold, charge=charge, replayed=True), book, row, stands)


def _price(book: Round, hold: Hold, command: CaptureHold, stands: Standing) -> Priced:
    """Return what the request really cost; a model without a price is charged what was held, marked unpriced."""
    cost = costs.with_model(command.cost, hold.model)
    if isinstance(cost, TokensCost) and not cost.model:
        raise ValidationError(model="the hold names no model, so the capture must")
    return costs.price(cost, stands.terms(book.prices), byok=hold.byok, held=hold.credits)


def _take(
    book: Round,
    hold: Hold,
    command: CaptureHold,
    stands: Standing,
    row: PayerRow | None,
    priced: Priced,
    *,
    late: bool,
) -> Usage:
    taken = ZERO
    if row is not None:
        taken = payers.most_of(row, priced.credits)
        payers.spend(row, taken)
        book.locked.touch(row)
    kind, key = payers.ref_of(row) if row is not None and priced.credits else ("", None)
    usage = Usage(
        organization_id=hold.organization_id,
        organization=stands.organization,
        kind="charge",
        user_id=hold.user_id,
        department_id=hold.department_id,
        key_id=hold.key_id,
        pool_id=key if kind == "pool" else None,
        allocation_id=key if kind == "allocation" else None,
        hold_id=hold.pk,
        transaction_id=hold.transaction_id,
        credits=taken,
        cost=priced.credits,
        shortfall=priced.credits - taken,
        late=late,
        unpriced=priced.unpriced,
        byok=hold.byok,
        service=hold.service,
        provider=hold.provider,
        model=command.cost.model or hold.model,
        input_tokens=command.cost.input_tokens,
        output_tokens=command.cost.output_tokens or 0,
        cached_input_tokens=command.cost.cached_input_tokens,
        price=priced.explanation,
        metadata=hold.metadata,
        made_by=command.spender.made_by,
        day=stands.day(stands.clock),
        occurred_at=stands.clock,
        created_at=payers.dated(row, stands.clock),
    )
    book.use(usage, stands)
    return usage


def _give_back(book: Round, hold: Hold, row: PayerRow | None, stands: Standing, status: Hold.Status) -> None:
    """End a hold that took nothing: its credits return to whoever paid, its call to the quota."""
    _end(book, hold, row, stands, status)
    _pass_on(book, row, hold.placed_by)
    if hold.counts:
        book.counters.give_back(hold.organization_id, hold.day)


def _end(book: Round, hold: Hold, row: PayerRow | None, stands: Standing, status: Hold.Status) -> None:
    if row is not None and hold.credits:
        payers.unreserve(row, hold.credits)
        book.locked.touch(row)
    book.capped.hold(ceilings.of(stands), hold, -hold.credits)
    hold.status, hold.ended_at = status, stands.clock
    book.ended_holds.append(hold)


def _pass_on(book: Round, row: PayerRow | None, made_by: str) -> None:
    """Move what came back on to where it belongs now, an entry each."""
    for pool in (_passed_on_to(book, row) if row is not None else None) or []:
        if isinstance(row, Allocation):
            entry = payers.return_closed(row, pool, made_by=made_by, at=book.clock)
        else:
            entry = _return_archived(row, pool, made_by=made_by, at=book.clock)
        if entry is not None:
            book.locked.touch(pool)
            book.entries.append(entry)
        row = pool


def _return_archived(
    source: PayerRow | None, target: CreditPool, *, made_by: str, at: datetime
) -> LedgerEntry | None:
    if not isinstance(source, CreditPool) or not source.available:
        return None
    entry = entries.transfer(source=source, target=target, amount=source.available, made_by=made_by)
    entry.created_at = at
    return entry


def _passed_on_to(book: Round, row: PayerRow) -> list[CreditPool] | None:
    """Return the pools that what comes back goes on to, one after the other; None where one of them is not locked.

    A closed allocation passes it on to its pool, the pool of an archived department to the organization's.
    """
    passed: list[PayerRow | None] = []
    last: PayerRow | None = row
    if isinstance(last, Allocation):
        if last.closed_at is None:
            return []
        last = book.locked.get(("pool", last.pool_id))
        passed.append(last)
    if (
        isinstance(last, CreditPool)
        and last.department is not None
        and last.department.archived_at is not None
    ):
        passed.append(book.locked.get(payers.organization_pool(last.organization_id)))
    return None if None in passed else [one for one in passed if isinstance(one, CreditPool)]


def _payer(book: Round, hold: Hold) -> PayerRow | None:
    return book.locked.get(next(iter(payer_of(hold)), None))


def _has_all_rows(book: Round, hold: Hold, row: PayerRow | None) -> bool:
    """Tell whether all that ending the hold may change is locked: its payer, and where what comes back goes on to."""
    return not hold.credits if row is None else _passed_on_to(book, row) is not None


def _refuse_stranger(hold: Hold, command: EndHold) -> None:
    """Whoever placed it, an organization key of the same organization, or a platform key (product.md §6)."""
    if command.reach == Reach.ANY:
        return
    if command.organization_id is not None and command.organization_id != hold.organization_id:
        raise NotFound("There is no such hold.")
    if command.reach == Reach.OWN and command.spender.made_by != hold.placed_by:
        if command.spender.user_id is not None and command.spender.user_id == hold.user_id:
            raise PermissionDenied("Another key placed this hold; it must end it.")
        raise NotFound("There is no such hold.")

"""Deciding a hold or a charge, over rows that are locked and a standing that was read after the lock."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.conf import settings

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import guesses, payers
from credits.ledger.commands import Command, MakeCharge, PlaceHold, Settled, Spend
from credits.ledger.payers import InsufficientCredits, PayerRow
from credits.ledger.records import Usage
from credits.limits import ceilings, quotas
from credits.models import Hold
from credits.pricing import costs
from credits.pricing.costs import Priced
from kit.errors import DomainError, ValidationError

if TYPE_CHECKING:
    from credits.ledger.rounds import Attempt, Round
    from credits.ledger.standing import Standing


BACKDATED: Final = timedelta(days=7)
"""How long ago a call may have happened that is charged after the fact."""
AHEAD: Final = timedelta(minutes=1)
"""How far a caller's clock may be ahead of the ledger's."""


class ShortfallOpen(DomainError):
    """The organization owes more than `SHORTFALL_LIMIT` for captures beyond its credits."""

    code = "shortfall_open"
    status = 402


def spend(book: Round, attempt: Attempt, command: PlaceHold | MakeCharge, stands: Standing) -> Settled | None:
    """Reserve or take what the command costs; None where the payer to lock turned out to be another one.

    Raises the DomainError that refuses it, before anything was changed.
    """
    happened = isinstance(command, MakeCharge) and command.after_the_fact
    stands.refuse_spender(has_happened=happened)
    if _is_out_of_time(command, stands):  # asked after the key: a repeat is answered however late it comes
        raise ValidationError(occurred_at="must be within the last 7 days")
    if not happened:
        refuse_debtor(stands)
    priced = price(book, command, stands)
    payer = None
    if priced.credits:
        payer = _payer(book, attempt, stands, needed=priced.credits, happened=happened)
        if payer is None:
            return None
        if not happened:
            book.capped.refuse(stands, _by(command, stands), day_of(command, stands), priced.credits)
    counted = _count(book, stands, day_of(command, stands), happened=happened)
    if isinstance(command, PlaceHold):
        settled = Settled(hold=_hold(book, attempt, command, stands, priced, payer, counted=counted))
    else:
        settled = Settled(charge=_charge(book, attempt, command, stands, priced, payer))
    return finish(settled, book, payer, stands)


def candidates_of(command: Command, stands: Standing) -> list[payers.Ref]:
    """Return the payers to try, in order. A call that has happened is always somebody's: at last the organization's."""
    candidates = stands.payers()
    if not candidates and isinstance(command, MakeCharge) and command.after_the_fact:
        return [payers.organization_pool(stands.organization_id)]
    return candidates


def day_of(command: Command, stands: Standing) -> date:
    """Return the day, in the organization's calendar, in which the request counts."""
    occurred = command.occurred_at if isinstance(command, MakeCharge) else None
    if occurred is None or _is_out_of_time(command, stands):  # what is refused for its time counts nowhere
        return stands.day(stands.clock)
    return stands.day(occurred)


def under_budgets(command: PlaceHold | MakeCharge, stands: Standing) -> dict[ceilings.Row, int]:
    """Return the rows of hard budgets that the request counts in, unless it is known to cost nothing."""
    if command.byok:
        return {}
    return ceilings.rows_of(ceilings.of(stands), _by(command, stands), day_of(command, stands))


def price(book: Round, command: Spend, stands: Standing) -> Priced:
    """Return what the command costs by the present price table and plan; raises Unpriced where it has no price and the organization refuses that."""
    return costs.price(command.cost, stands.terms(book.prices), byok=command.byok)


def finish(settled: Settled, book: Round, payer: PayerRow | None, stands: Standing) -> Settled:
    """Add what every answer says: who pays, what is left there, and the quota."""
    settled.payer = payers.describe(payer, stands)
    settled.quota = quotas.state(stands, book.counters)
    settled.organization = stands.organization
    return settled


def insufficient(kind: str, stands: Standing, *, needed: Decimal, remaining: Decimal) -> InsufficientCredits:
    """Return the refusal that names which limit bit, and when it resets."""
    return InsufficientCredits(
        kind=kind,
        scope=stands.organization,
        needed=needed,
        remaining=remaining,
        resets_at=stands.allocation_next_reset if kind == "allocation" else None,
    )


def _is_out_of_time(command: Command, stands: Standing) -> bool:
    """Tell whether a call that is charged after the fact happened too long ago, or has not."""
    if not isinstance(command, MakeCharge) or not command.after_the_fact or command.occurred_at is None:
        return False
    return not -BACKDATED <= command.occurred_at - stands.clock <= AHEAD


def _payer(
    book: Round, attempt: Attempt, stands: Standing, *, needed: Decimal, happened: bool
) -> PayerRow | None:
    """Return the locked payer that can give what is needed; None to try again with another row locked."""
    candidates = candidates_of(attempt.command, stands)
    if attempt.candidate >= len(candidates):
        raise insufficient(stands.limited_by, stands, needed=needed, remaining=ZERO)
    row = book.locked.get(candidates[attempt.candidate])
    if row is None:
        return None
    if payers.free(row) >= needed or happened:
        return row
    if attempt.candidate + 1 < len(candidates):
        attempt.candidate += 1
        return None
    refusal = insufficient(
        payers.ref_of(row)[0], stands, needed=needed, remaining=max(payers.free(row), ZERO)
    )
    refusal.tried = candidates
    raise refusal


def _count(book: Round, stands: Standing, day: date, *, happened: bool) -> bool:
    """Count the call against the plan's quota; a call that has happened is counted beyond it too."""
    return book.counters.count(stands, day, beyond=happened)


def _hold(
    book: Round,
    attempt: Attempt,
    command: PlaceHold,
    stands: Standing,
    priced: Priced,
    payer: PayerRow | None,
    *,
    counted: bool,
) -> Hold:
    if payer is not None:
        payers.reserve(payer, priced.credits)
        book.locked.touch(payer)
    kind, key = payers.ref_of(payer) if payer is not None else ("", None)
    hold = Hold(
        id=attempt.subject,
        organization_id=stands.organization_id,
        user_id=command.spender.user_id,
        department_id=stands.department_id,
        key_id=command.spender.key_id,
        placed_by=command.spender.made_by,
        pool_id=key if kind == "pool" else None,
        allocation_id=key if kind == "allocation" else None,
        transaction_id=command.transaction_id,
        credits=priced.credits,
        service=command.service,
        provider=command.provider,
        model=command.cost.model,
        byok=command.byok,
        day=stands.day(stands.clock),
        counts=counted,
        price=priced.explanation,
        metadata=command.metadata,
        created_at=stands.clock,
        expires_at=stands.clock + timedelta(seconds=command.ttl_seconds),
    )
    book.new_holds.append(hold)
    book.capped.hold(ceilings.of(stands), hold, hold.credits)
    if payer is not None:
        guesses.learn_hold(hold.pk, payers.ref_of(payer))
    return hold


def _charge(
    book: Round,
    attempt: Attempt,
    command: MakeCharge,
    stands: Standing,
    priced: Priced,
    payer: PayerRow | None,
) -> Usage:
    taken = ZERO
    if payer is not None:
        taken = payers.most_of(payer, priced.credits) if command.after_the_fact else priced.credits
        payers.spend(payer, taken)
        book.locked.touch(payer)
    kind, key = payers.ref_of(payer) if payer is not None else ("", None)
    happened = command.occurred_at or stands.clock
    usage = Usage(
        id=attempt.subject,
        organization_id=stands.organization_id,
        organization=stands.organization,
        kind="charge",
        user_id=command.spender.user_id,
        department_id=stands.department_id,
        key_id=command.spender.key_id,
        pool_id=key if kind == "pool" else None,
        allocation_id=key if kind == "allocation" else None,
        transaction_id=command.transaction_id,
        credits=taken,
        cost=priced.credits,
        shortfall=priced.credits - taken,
        unpriced=priced.unpriced,
        byok=command.byok,
        after_the_fact=command.after_the_fact,
        service=command.service,
        provider=command.provider,
        model=command.cost.model,
        input_tokens=command.cost.input_tokens,
        output_tokens=command.cost.output_tokens or 0,
        cached_input_tokens=command.cost.cached_input_tokens,
        price=priced.explanation,
        metadata=command.metadata,
        made_by=command.spender.made_by,
        day=day_of(command, stands),
        occurred_at=happened,
        created_at=payers.dated(payer, stands.clock),
    )
    book.use(usage, stands)
    return usage


def _by(command: PlaceHold | MakeCharge, stands: Standing) -> ceilings.By:
    return ceilings.By(stands.department_id, command.spender.user_id, command.cost.model)


def refuse_debtor(stands: Standing) -> None:
    """Raise ShortfallOpen where the organization owes too much for another request."""
    if stands.shortfall_open > settings.SHORTFALL_LIMIT:
        owed = amounts.text(stands.shortfall_open)
        raise ShortfallOpen(
            f"The organization owes {owed} credits; buying credits settles them.", shortfall_open=owed
        )

"""Checking: what a hold would answer now, without a lock; it moves nothing but a reset that is due, as any look does."""

from dataclasses import dataclass
from decimal import Decimal

from credits.amounts import ZERO
from credits.ledger import payers, spending
from credits.ledger.commands import Payer, PlaceHold, Quota
from credits.ledger.standing import Asked, Standing, read
from credits.limits import ceilings, quotas
from credits.models import Allocation, CreditPool
from credits.pricing import costs, table
from credits.pricing.costs import Priced
from credits.sharing import resets
from kit.errors import DomainError, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether the hold would be placed; `refusal` says why not. True now may be false a moment later."""

    needed: Decimal
    payer: Payer | None = None
    quota: dict[str, Quota] | None = None
    refusal: DomainError | None = None


def check(command: PlaceHold) -> Checked:
    """Return what placing this hold would come to; raises DomainError where it could not even be judged."""
    stands = _standing(command)
    priced = _price(command, stands)
    quota = quotas.state(stands, quotas.Counters())
    payer = None
    by = ceilings.By(stands.department_id, command.spender.user_id, command.cost.model)
    try:
        stands.refuse_spender()
        spending.refuse_debtor(stands)
        payer = _payer(stands, priced.credits) if priced.credits else None
        ceilings.refuse_exhausted(stands, by, priced.credits)
        quotas.refuse_exhausted(stands)
    except DomainError as refusal:
        return Checked(needed=priced.credits, quota=quota, refusal=refusal)
    return Checked(needed=priced.credits, payer=payer, quota=quota)


def estimate(command: PlaceHold) -> Priced:
    """Return what the request would cost, with its explanation."""
    stands = _standing(command)
    stands.refuse_spender(has_happened=True)
    return _price(command, stands)


def _standing(command: PlaceHold) -> Standing:
    spender = command.spender
    [stands] = read([Asked(command.organization_id, spender.user_id, spender.key_id)])
    if stands is None:
        raise NotFound("There is no such organization.")
    stands.refuse_key()
    pool_id = stands.pool_behind(ends_hold=False)
    if pool_id is None:
        return stands
    resets.catch_up(pool_id=pool_id)
    return _standing(command)


def _price(command: PlaceHold, stands: Standing) -> Priced:
    return costs.price(command.cost, stands.terms(table.current()), byok=command.byok)


def _payer(stands: Standing, needed: Decimal) -> Payer | None:
    """Return the first payer that has enough; raises InsufficientCredits of the last one tried."""
    last: CreditPool | Allocation | None = None
    for kind, key in stands.payers():
        last = CreditPool.objects.get(pk=key) if kind == "pool" else Allocation.objects.get(pk=key)
        if payers.free(last) >= needed:
            return payers.describe(last, stands)
    kind = payers.ref_of(last)[0] if last is not None else stands.limited_by
    remaining = max(payers.free(last), ZERO) if last is not None else ZERO
    raise spending.insufficient(kind, stands, needed=needed, remaining=remaining)

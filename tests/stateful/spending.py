"""Spending, in the model: holds, charges, captures, ends of holds and reversals (product.md §6)."""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Final

from tests.stateful import budgeting, granting, resets
from tests.stateful.books import DAY, SECOND, SHORTFALL_LIMIT, ZERO, Books, By, Charge, Hold, Ref, Refused

LATE: Final = 7 * DAY
PRICES: Final = {"house": (Decimal("0.00001"), Decimal("0.00003"))}
"""By the beginning of a model's name: of an input and an output token."""


@dataclass(frozen=True)
class Cost:
    """`credits`, `money` or `tokens` (of a model)."""

    form: str
    amount: Decimal = ZERO
    model: str = ""
    tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Spend:
    """A hold (with a `ttl`, in seconds) or a charge. `happened` is how many seconds ago the call was made."""

    key: str
    member: str | None
    by: str
    cost: Cost
    byok: bool = False
    ttl: int | None = None
    happened: int | None = None

    @property
    def kind(self) -> str:
        return "charge" if self.ttl is None else "hold"

    @property
    def content(self) -> object:
        return self.member, self.byok, self.cost


@dataclass(frozen=True)
class Done:
    """What an answer says: whose place in the model's lists, who paid and what that has left."""

    hold: int | None = None
    charge: int | None = None
    payer: Ref | None = None
    remaining: Decimal | None = None
    replayed: bool = False


def spend(books: Books, asked: Spend) -> Done:
    """Hold or charge. Who has too little ends the holds that are over, and is asked again."""
    books.tick()
    resets.catch_up(books, asked.member)
    try:
        while True:
            try:
                return _spend(books, asked)
            except Refused as refusal:
                over = [
                    one
                    for place, one in enumerate(books.holds)
                    if (place in refusal.places or one.payer in refusal.tried) and _is_over(books, one)
                ]
                if not over:
                    raise
                for one in over:
                    _catch_up(books, one)
                    _give_back(books, one, "expired")
                    books.settle_debts()
    finally:
        books.settle_debts()


def _spend(books: Books, asked: Spend) -> Done:
    _refuse_key(books, asked)
    if asked.key in books.keys:
        return _replay(books, asked)
    _refuse_spender(books, asked)
    if asked.happened is not None and asked.happened * SECOND >= LATE:
        raise Refused("validation_error")
    credits = ZERO if asked.byok else price(books, asked.cost)
    whose = By(asked.member, books.members[asked.member].department if asked.member else "", asked.cost.model)
    payer = _payer(books, asked, credits) if credits else None
    if credits and asked.happened is None:
        budgeting.refuse(books, whose, credits)
    counts = _count(books, asked)
    books.keys[asked.key] = (
        asked.kind,
        asked.content,
        len(books.holds if asked.ttl is not None else books.charges),
    )
    if asked.ttl is None:
        taken = ZERO if payer is None else credits
        if payer is not None and asked.happened is not None:
            taken = books.take(payer, credits)
        elif payer is not None:
            books.spend(payer, credits)
        books.use(whose, taken, ago=asked.happened or 0)
        books.charges.append(Charge(whose, payer, credits, taken, books.now, books.pool_of(payer)))
        return _done(books, payer, charge=len(books.charges) - 1)
    if payer is not None:
        books.add(payer, -credits)
        books.row(payer).held += credits
    ends = books.now + asked.ttl * SECOND
    day = books.day(books.now)
    books.holds.append(
        Hold(asked.member, whose, asked.by, payer, credits, asked.cost.model, asked.byok, day, counts, ends)
    )
    return _done(books, payer, hold=len(books.holds) - 1)


def capture(books: Books, place: int, cost: Cost, *, by: str, reach: str) -> Done:
    """Take what a held request really cost; what its payer cannot give is owed."""
    books.tick()
    hold = books.holds[place]
    _catch_up(books, hold)
    _refuse_stranger(hold, by, reach)
    if hold.captured_with is not None:
        if hold.captured_with != cost:
            raise Refused("idempotency_conflict")
        return replace(_done(books, hold.payer, hold=place, charge=hold.charge), replayed=True)
    if hold.status == "released" or books.now - hold.expires_at > LATE:
        raise Refused("hold_ended")
    credits, unpriced = _captured_price(books, hold, cost)
    payer = hold.payer
    if payer is None and credits:
        payer = next(iter(books.payers(hold.member)), ("pool", ""))
    late = hold.status == "expired" or _is_over(books, hold)
    if hold.status == "active" and late:
        _give_back(books, hold, "expired")
    elif hold.status == "active":
        _unreserve(books, hold)
        hold.status = "captured"
    taken = ZERO if payer is None else books.take(payer, credits)
    books.pass_on(payer)
    hold.captured_with, hold.charge = cost, len(books.charges)
    whose = replace(hold.whose, model=cost.model or hold.model)
    books.use(whose, taken)
    paid = payer if credits else None
    books.charges.append(
        Charge(whose, paid, credits, taken, books.now, books.pool_of(paid), late=late, unpriced=unpriced)
    )
    done = _done(books, payer, hold=place, charge=hold.charge)
    books.settle_debts()
    return done


def release(books: Books, place: int, *, by: str, reach: str) -> Done:
    """Give back what is held."""
    books.tick()
    hold = books.holds[place]
    _catch_up(books, hold)
    _refuse_stranger(hold, by, reach)
    if hold.captured_with is not None:
        raise Refused("hold_ended")
    if hold.status == "active":
        _give_back(books, hold, "expired" if _is_over(books, hold) else "released")
    done = _done(books, hold.payer, hold=place)
    books.settle_debts()
    return done


def sweep(books: Books) -> int:
    """End every hold whose time is over; returns how many."""
    books.tick()
    over = [one for one in books.holds if _is_over(books, one)]
    for one in sorted(over, key=lambda one: _is_behind(books, one)):  # the others end without waiting
        _catch_up(books, one)
        _give_back(books, one, "expired")
        books.settle_debts()
    return len(over)


def reverse(books: Books, place: int, credits: Decimal | None) -> bool:
    """Give back a charge, whole or part, once; returns whether that was done before."""
    books.tick()
    charge = books.charges[place]
    most = charge.cost - charge.forgiven
    amount = most if credits is None else credits
    if not ZERO < amount <= most:
        raise Refused("validation_error")
    if charge.reversed is not None:
        if charge.reversed != amount:
            raise Refused("idempotency_conflict")
        return True
    cancelled = min(amount, charge.owed)
    back = min(amount - cancelled, charge.credits)
    charge.reversed = amount
    charge.cancelled += cancelled
    if charge.payer is not None:
        _return(books, charge, back)
    rest = amount - cancelled - back
    books.pools[""].spent -= rest
    books.pools[""].available += rest
    books.use(charge.whose, -back - rest)
    books.settle_debts()
    granting.burn(books)
    return False


def forgive(books: Books, place: int) -> None:
    """Let go of what is still owed for a charge."""
    books.tick()
    if not books.charges[place].owed:
        raise Refused("conflict")
    books.charges[place].forgiven += books.charges[place].owed


def set_overdraft(books: Books, credits: Decimal) -> None:
    """Set how far captures may take the organization's pool below zero."""
    books.tick()
    if books.pools[""].available < -credits:
        raise Refused("conflict")
    books.pools[""].overdraft = credits


def price(books: Books, cost: Cost) -> Decimal:
    """Return what a cost comes to in credits, rounded up to the 6th place: 100 credits are one unit of money."""
    if cost.form == "credits":
        return cost.amount
    amount = cost.amount
    if cost.form == "tokens":
        found = next((PRICES[name] for name in PRICES if cost.model.startswith(name)), None)
        if found is None:
            raise Refused("validation_error")
        amount = cost.tokens[0] * found[0] + cost.tokens[1] * found[1]
    return (amount * (100 + books.markup_percent)).quantize(Decimal("0.000001"), rounding=ROUND_CEILING)


def _captured_price(books: Books, hold: Hold, cost: Cost) -> tuple[Decimal, bool]:
    if cost.form == "tokens" and not (cost.model or hold.model):
        raise Refused("validation_error")
    if hold.byok:
        return ZERO, False
    try:
        return price(books, replace(cost, model=cost.model or hold.model)), False
    except Refused:
        return hold.credits, True


def _refuse_key(books: Books, asked: Spend) -> None:
    if asked.member is not None and asked.by == asked.member and not books.members[asked.member].has_key:
        raise Refused("unauthorized")


def _refuse_spender(books: Books, asked: Spend) -> None:
    if asked.happened is not None:
        return
    if asked.member is not None and not books.members[asked.member].is_live:
        raise Refused("permission_denied")
    if books.is_suspended:
        raise Refused("organization_suspended")
    if books.owed > SHORTFALL_LIMIT:
        raise Refused("shortfall_open")


def _refuse_stranger(hold: Hold, by: str, reach: str) -> None:
    if reach == "elsewhere":
        raise Refused("not_found")
    if reach == "own" and hold.by != by:
        raise Refused("permission_denied" if by == hold.member else "not_found")


def _payer(books: Books, asked: Spend, credits: Decimal) -> Ref:
    candidates = books.payers(asked.member)
    if asked.happened is not None:
        return next(iter(candidates), ("pool", ""))
    for candidate in candidates:
        if books.free(candidate) >= credits:
            return candidate
    raise Refused("insufficient_credits", tried=candidates)


def _replay(books: Books, asked: Spend) -> Done:
    kind, content, place = books.keys[asked.key]
    if (kind, content) != (asked.kind, asked.content):
        raise Refused("idempotency_conflict")
    if kind == "hold":
        return replace(_done(books, books.holds[place].payer, hold=place), replayed=True)
    return replace(_done(books, books.charges[place].payer, charge=place), replayed=True)


def _count(books: Books, asked: Spend) -> bool:
    """Count the call against what the plan allows; one that has happened counts as far as that goes."""
    day = books.day(books.now - (asked.happened or 0) * SECOND)
    limits = {("day", day): books.daily_calls, ("month", day.replace(day=1)): books.monthly_calls}
    finite = {row: limit for row, limit in limits.items() if limit is not None}
    if any(books.quotas.get(row, 0) >= limit for row, limit in finite.items()) and asked.happened is None:
        raise Refused("quota_exceeded")
    for row in finite:
        books.quotas[row] = books.quotas.get(row, 0) + 1
    return bool(finite)


def _is_over(books: Books, hold: Hold) -> bool:
    return hold.status == "active" and hold.expires_at <= books.now


def _catch_up(books: Books, hold: Hold) -> None:
    """What a hold gives back or takes belongs to the period of now; one of a pool is nobody's allocation."""
    if hold.payer is None or hold.payer[0] == "share":
        resets.catch_up(books, hold.member, ends_hold=True)


def _is_behind(books: Books, hold: Hold) -> bool:
    share = books.shares.get(hold.member or "")
    if share is None or (hold.payer is not None and hold.payer[0] == "pool"):
        return False
    return resets.is_due(books, share) or resets.has_expired(books, share)


def _unreserve(books: Books, hold: Hold) -> None:
    if hold.payer is not None:
        books.row(hold.payer).held -= hold.credits
        books.add(hold.payer, hold.credits)


def _give_back(books: Books, hold: Hold, status: str) -> None:
    """End a hold that took nothing: its credits return to whoever paid, its call to the quota."""
    _unreserve(books, hold)
    books.pass_on(hold.payer)
    hold.status = status
    for row in (("day", hold.day), ("month", hold.day.replace(day=1))):
        if hold.counts and books.quotas.get(row, 0) > 0:
            books.quotas[row] -= 1


def _return(books: Books, charge: Charge, back: Decimal) -> None:
    """Return to the open allocation of the same period, else to the pool it came from; an archived department's go on to the organization's."""
    assert charge.payer is not None
    kind, name = charge.payer
    books.row(charge.payer).spent -= back
    if kind == "share":
        share = books.shares[name]
        if share.closed_at is None and charge.made_at >= share.opened_at:
            share.used -= back
            share.remaining += back
            return
        name = charge.pool
    books.pools["" if books.pools[name].is_archived else name].available += back


def _done(books: Books, payer: Ref | None, *, hold: int | None = None, charge: int | None = None) -> Done:
    return Done(hold=hold, charge=charge, payer=payer, remaining=None if payer is None else books.free(payer))

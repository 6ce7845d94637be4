"""Grants, in the model: how they enter, are used up, expire and are withdrawn (product.md §6 «Burn-down», «Expiry»)."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from tests.stateful.books import DAY, ZERO, Books, Grant, Ref, Refused

PRIORITIES: Final = {
    "promotion": 10,
    "goodwill": 20,
    "plan": 30,
    "adjustment": 40,
    "migration": 50,
    "purchase": 60,
}
INCLUDED: Final = Decimal(40)
FULL_CENTS: Final = 1000
"""What the plan brings a month, and costs."""
PERIOD: Final = 30 * DAY
FIRST_PERIOD: Final = -10 * DAY
RETURNED: Final = "reversal"
"""How references begin of what came back to grants that were over."""


def grant(
    books: Books,
    source: str,
    reference: str,
    credits: Decimal,
    *,
    priority: int | None,
    expires_at: int | None,
) -> None:
    """Let credits enter the organization's pool, once per source and reference."""
    now = books.tick()
    chosen = PRIORITIES[source] if priority is None else priority
    earlier = books.grants.get((source, reference))
    if earlier is not None:
        if (earlier.credits, earlier.priority, earlier.expires_at) != (credits, chosen, expires_at):
            raise Refused("conflict")
        return
    if expires_at is not None and expires_at <= now:
        raise Refused("validation_error")
    burn(books)
    books.grants[source, reference] = Grant(source, credits, chosen, now, expires_at)
    books.pools[""].available += credits
    books.settle_debts()
    burn(books)


def burn(books: Books) -> None:
    """Assign what was spent since the last time: by priority, then earliest expiry, then age; what came back, in reverse."""
    spent = sum((one.spent for one in books.rows()), ZERO)
    more = spent - sum((one.consumed for one in books.grants.values()), ZERO)
    for one in in_order(books):
        used = max(min(more, one.left), ZERO)
        one.consumed += used
        more -= used
        if more <= 0:
            break
    for one in reversed(in_order(books)):
        back = max(min(-more, one.consumed), ZERO)
        one.consumed -= back
        more += back
        if back and _is_over(books, one):
            one.expired += back
            books.grants["goodwill", f"{RETURNED}:{len(books.grants)}"] = Grant(
                "goodwill", back, PRIORITIES["goodwill"], books.now, books.now + 30 * DAY
            )


def expire(books: Books) -> Decimal:
    """Take what is unspent and not held of grants that are over; what holds keep stays until they end."""
    books.tick()
    if not any(_is_over(books, one) and one.left for one in books.grants.values()):
        return ZERO
    return _take_due(books, _payers(books))


def pay_fee(books: Books, period: int, cents: int) -> None:
    """Grant the plan credits of a month that was paid, in proportion; then those of the months before expire."""
    now = books.tick()
    if period in books.fees:
        if books.fees[period] != cents:
            raise Refused("conflict")
        return
    books.fees[period] = cents
    credits = (INCLUDED * cents / FULL_CENTS).quantize(Decimal("0.000001"), rounding=ROUND_FLOOR)
    ending = [one for (source, _), one in books.grants.items() if source == "plan" and one.left]
    others = sum((one.left for one in ending), ZERO) - credits > books.pools[""].available
    burn(books)
    ends = max(FIRST_PERIOD + (period + 1) * PERIOD, now) + 7 * DAY
    books.grants["plan", str(period)] = Grant("plan", credits, PRIORITIES["plan"], now, ends)
    books.pools[""].available += credits
    books.settle_debts()
    for one in ending:
        one.expires_at = now
    _take_due(books, _payers(books) if others else [("pool", "")])


def withdraw(
    books: Books, source: str, granted: str, credits: Decimal | None, *, reference: str
) -> tuple[Decimal, Decimal]:
    """Take back a grant, or a part: returns (what left the books, what is owed since it was used already)."""
    books.tick()
    found = books.grants.get((source, granted))
    if found is None:
        raise Refused("not_found")
    of_grant = {key: what[1] for key, (what, _) in books.withdrawals.items() if what[0] == (source, granted)}
    before = list(of_grant).index(reference) if reference in of_grant else len(of_grant)
    most = found.credits - sum(list(of_grant.values())[:before], ZERO)
    amount = most if credits is None else credits
    asked = ((source, granted), amount)
    if reference in books.withdrawals:
        first, taken = books.withdrawals[reference]
        if first != asked:
            raise Refused("conflict")
        return taken, amount - taken
    if not most:
        raise Refused("conflict")
    if amount > most:
        raise Refused("validation_error")
    burn(books)
    taken = _take(books, _payers(books), min(amount, found.left - _held_of(books, found)))
    found.withdrawn += taken
    books.withdrawals[reference] = (asked, taken)
    return taken, amount - taken


def in_order(books: Books) -> list[Grant]:
    """Return the grants in the order in which they are used."""
    return sorted(
        books.grants.values(),
        key=lambda one: (one.priority, one.expires_at is None, one.expires_at or 0, one.made_at, one.tie),
    )


def learn_order(books: Books, returned: Sequence[Decimal]) -> None:
    """Learn in which order credits stand that came back at one moment: their random ids decide, which no model foretells.

    `returned` are the amounts of all grants that came back, in the order of time and id.
    """
    mine = [one for key, one in books.grants.items() if key[1].startswith(RETURNED)]
    for place, credits in enumerate(returned):
        one = min((one for one in mine if one.credits == credits), key=lambda one: one.made_at)
        mine.remove(one)
        one.tie = place


def _held_of(books: Books, asked: Grant) -> Decimal:
    """Return what open holds keep of a grant: held credits are as good as spent, in the same order."""
    held = sum((one.held for one in books.rows()), ZERO)
    for one in in_order(books):
        if one is asked:
            break
        held -= min(held, one.left)
    return min(held, asked.left)


def _take_due(books: Books, payers: Sequence[Ref]) -> Decimal:
    burn(books)
    gone = ZERO
    for one in in_order(books):
        if _is_over(books, one):
            taken = _take(books, payers, one.left - _held_of(books, one))
            one.expired += taken
            gone += taken
    return gone


def _payers(books: Books) -> list[Ref]:
    """Return all that may give what leaves, the organization's pool first."""
    rest: list[Ref] = [("share", name) for name in books.shares]
    return [("pool", ""), *rest, *(("pool", name) for name in books.pools if name)]


def _take(books: Books, payers: Sequence[Ref], credits: Decimal) -> Decimal:
    """Take from the organization's pool, then from where most lies unspent."""
    missing = credits
    for payer in [payers[0], *sorted(payers[1:], key=lambda one: -books.free(one))]:
        part = max(min(missing, books.free(payer)), ZERO)
        books.add(payer, -part)
        missing -= part
    return credits - missing


def _is_over(books: Books, one: Grant) -> bool:
    return one.expires_at is not None and one.expires_at <= books.now

"""The model's figures, spelt as `World.figures` spells PostgreSQL's, so that both can be compared whole."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from tests.stateful import budgeting
from tests.stateful.books import SECOND, Books
from tests.stateful.granting import RETURNED

_PLACES = Decimal("0.000001")


def of(books: Books, *, holds: Sequence[UUID], charges: Sequence[UUID]) -> dict[tuple[str, str], list[str]]:
    """Return every balance and status as the model has it; `holds` and `charges` are their ids, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, pool in books.pools.items():
        found["pool", name] = [_text(one) for one in (pool.available, pool.held, pool.spent, pool.overdraft)]
    for name, share in books.shares.items():
        balances = [_text(one) for one in (share.remaining, share.held, share.used, share.spent)]
        found["share", name] = [
            *balances,
            share.pool,
            _bool(share.closed_at is None),
            _bool(share.is_limited),
            _text(share.amount),
            share.period,
            "" if share.resets_at is None else str(share.resets_at // SECOND),
        ]
    for (name, began), reset in books.resets.items():
        found["reset", f"{name} {began // SECOND}"] = [_text(one) for one in reset]
    for key, hold in zip(holds, books.holds, strict=True):
        found["hold", str(key)] = [hold.status, _text(hold.credits), _bool(hold.counts)]
    for key, charge in zip(charges, books.charges, strict=True):
        found["charge", str(key)] = [
            _text(charge.cost),
            _text(charge.credits),
            _bool(charge.late),
            _bool(charge.unpriced),
            _text(charge.settled),
            _text(charge.owed),
        ]
    for (period, starts_on), used in books.quotas.items():
        if used:
            found["quota", f"{period} {starts_on}"] = [str(used)]
    found |= _grants(books) | _budgets(books)
    found["keys", ""] = [str(len(books.keys))]
    return found


def _budgets(books: Books) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for one in books.budgets:
        name = f"{one.scope} {one.subject} {one.period} {_bool(one.is_hard)}"
        found["budget", name] = [_text(one.credits), str(one.since)]
        for start in budgeting.periods(books, one) if one.is_hard else ():
            taken = budgeting.taken(books, one, start)
            if any(taken):
                found["taken", f"{name} {start}"] = [_text(amount) for amount in taken]
    return found


def _grants(books: Books) -> dict[tuple[str, str], list[str]]:
    """Return grants by name; those that the portal named itself stand together."""
    found: dict[tuple[str, str], list[str]] = {}
    unnamed: dict[str, list[str]] = {"plan": [], RETURNED: []}
    for (source, reference), grant in books.grants.items():
        balance = [_text(one) for one in (grant.credits, grant.consumed, grant.expired, grant.withdrawn)]
        if source == "plan" or reference.startswith(RETURNED):
            unnamed["plan" if source == "plan" else RETURNED].append(" ".join(balance))
        else:
            found["grant", f"{source} {reference}"] = balance
    return found | {("grant", kind): sorted(balances) for kind, balances in unnamed.items() if balances}


def _text(amount: Decimal) -> str:
    return str(amount.quantize(_PLACES))


def _bool(value: bool) -> str:
    return "true" if value else "false"

"""Top-ups at Lago that bear a purchase's key: found among all of a wallet's transactions, sent once.

Lago has no key against sending one twice (reference/lago.md §2.7), so ours stands in the metadata and is looked for
before anything is sent; Lago ignores filters that it does not understand, so we compare ourselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from credits import amounts
from lago_sync import money
from lago_sync.client import wallets
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable, LagoUnreachable
from lago_sync.models import Purchase

KEY: Final = "purchase"
"""The key in a transaction's metadata whose value is the purchase's id."""


class OutcomeUnknown(LagoUnavailable):
    """A top-up was sent and not answered, and Lago does not show it: it may appear yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """A wallet transaction with a purchase's key, as Lago shows it now; `kind` is purchased for what is paid for."""

    id: UUID
    wallet_id: UUID
    invoice_id: UUID | None
    kind: str
    status: str
    amount: Decimal
    created_at: str

    @property
    def is_settled(self) -> bool:
        return self.status == "settled"

    @property
    def is_declined(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True, slots=True)
class Found:
    """What of a wallet bears a purchase's key: the one that counts, others sent for it, and what was not ordered so."""

    kept: TopUp | None
    doubles: tuple[TopUp, ...] = ()
    strangers: tuple[TopUp, ...] = ()

    @property
    def is_any(self) -> bool:
        return self.kept is not None or bool(self.strangers)


def of_purchase(purchase: Purchase, *, wallet_id: UUID) -> Found:
    """Return what all pages of the wallet have with the purchase's key. Raises LagoUnavailable, LagoRefused."""
    with understood():
        return _among(wallets.transactions(str(wallet_id)), purchase, wallet_id)


def differs(purchase: Purchase, topup: TopUp, *, wallet_id: UUID) -> str | None:
    """Return why a top-up is not what was ordered, None if it is."""
    asked = money.major(purchase.amount_cents, purchase.currency)
    if topup.kind != "purchased":
        return f"transaction {topup.id} is {topup.kind}, not purchased"
    if topup.wallet_id != wallet_id:
        return f"transaction {topup.id} lies in another wallet"
    if topup.amount != asked:
        return f"transaction {topup.id} is over {topup.amount:f} instead of {asked:f} {purchase.currency}"
    return None


def send(purchase: Purchase, *, wallet_id: UUID) -> Found:
    """Send the top-up; returns what Lago made of it.

    Raises LagoUnreachable and LagoRefused where nothing came of it, OutcomeUnknown where neither an answer nor another
    look says what did. The price is what is sent as paid credits, at the wallet's rate of 1; Lago grants nothing.
    """
    fields = {
        "wallet_id": str(wallet_id),
        "paid_credits": money.major_text(purchase.amount_cents, purchase.currency),
        "metadata": [
            {"key": KEY, "value": purchase.key},
            {"key": "credits", "value": amounts.text(purchase.credits)},
        ],
    }
    try:
        with understood():
            return _shown(_among(wallets.top_up(fields), purchase, wallet_id))
    except (LagoUnreachable, LagoRefused):
        raise
    except LagoUnavailable as error:
        return _look_again(purchase, wallet_id, error)


def _look_again(purchase: Purchase, wallet_id: UUID, error: LagoUnavailable) -> Found:
    """Return the top-up whose answer was lost, if Lago shows it already."""
    try:
        return _shown(of_purchase(purchase, wallet_id=wallet_id))
    except LagoIntegrationError:
        raise OutcomeUnknown(f"Whether Lago took the order is unknown: {error.message}") from error


def _shown(found: Found) -> Found:
    if not found.is_any:
        raise LagoUnavailable("Lago does not show what was sent.")
    return found


@contextmanager
def understood() -> Iterator[None]:
    """Turn an answer of another shape than Lago's into LagoUnavailable: it says nothing."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise LagoUnavailable("Lago answers JSON of another shape.") from error


def _among(transactions: Iterable[Mapping[str, Any]], purchase: Purchase, wallet_id: UUID) -> Found:
    """Sort out what bears the key.

    A settled one counts before the one we know, that before the oldest: what was paid is kept, the rest is void.
    """
    bearing = {one.id: one for one in _bearing(purchase.key, transactions)}
    ordered = [one for one in bearing.values() if differs(purchase, one, wallet_id=wallet_id) is None]
    known = purchase.wallet_transaction_id
    ordered.sort(key=lambda one: (not one.is_settled, one.id != known, one.created_at, str(one.id)))
    strangers = tuple(one for one in bearing.values() if one not in ordered)
    return Found(ordered[0] if ordered else None, tuple(ordered[1:]), strangers)


def _bearing(key: str, transactions: Iterable[Mapping[str, Any]]) -> Iterator[TopUp]:
    for one in transactions:
        marks = one.get("metadata") or []
        if any(mark["key"] == KEY and str(mark["value"]) == key for mark in marks):
            yield _read(one)


def _read(one: Mapping[str, Any]) -> TopUp:
    invoice_id = one["lago_invoice_id"]
    return TopUp(
        id=UUID(one["lago_id"]),
        wallet_id=UUID(one["lago_wallet_id"]),
        invoice_id=UUID(invoice_id) if invoice_id else None,
        kind=str(one["transaction_status"]),
        status=str(one["status"]),
        amount=Decimal(one["amount"]),
        created_at=str(one["created_at"]),
    )

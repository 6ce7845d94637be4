"""A wallet's credits, moved once: voided at Lago under this migration's key, granted here by what Lago says was voided.

Lago has no key against sending twice (reference/lago.md §2.7). So ours stands in the metadata, and a grant rests on one
voided transaction that bears it: what was voided is granted, once, and nothing else, whatever died in between.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from credits import amounts
from credits.ledger import grants
from kit import transactions
from lago_sync import money
from lago_sync.client import wallets
from lago_sync.client.transport import Json
from lago_sync.errors import LagoUnavailable
from lago_sync.migration import standing
from lago_sync.migration.cases import Case
from lago_sync.migration.moves import Waits
from lago_sync.migration.standing import Wallet

KEY: Final = "migration"
"""The key in a transaction's metadata whose value is the user-based customer."""
_TRIES: Final = 3


def move(case: Case) -> None:
    """Take what is left in the old wallets, grant it to the organization, and end them. Asks Lago."""
    _require_last_invoice(case)
    external_id = case.row.from_external_id
    found = standing.look(external_id).wallets
    _keep(case, found)
    for wallet in found:
        _empty(wallet, external_id)
    _grant_all(case, sorted(voided(external_id), key=lambda one: (one["created_at"], one["lago_id"])))
    for wallet in found:
        wallets.terminate(wallet.lago_id)


def worth(cents: int, currency: str, *, credits: Decimal | None, whole: int) -> Decimal:
    """Return how many credits an amount of a wallet is: its worth at the list price, or its part of what was said.

    `whole` is what all wallets had, in minor units.
    """
    if credits is not None:
        return amounts.portion(credits, cents, whole) if whole else amounts.ZERO
    return amounts.from_money(money.major(cents, currency))


def voided(external_id: str) -> Iterator[Json]:
    """Yield what was voided for this migration, of ended wallets too."""
    for wallet in wallets.of_customer(external_id):
        for one in wallets.transactions(str(wallet["lago_id"])):
            marks = one.get("metadata") or []
            if one["transaction_status"] == "voided" and any(
                (mark["key"], str(mark["value"])) == (KEY, external_id[:100]) for mark in marks
            ):
                yield one | {"currency": wallet["currency"]}


def _require_last_invoice(case: Case) -> None:
    """Raise Waits while Lago makes the old subscription's last invoice, which the wallet may pay."""
    if not case.facts.get("usage_cents"):
        return
    if len(standing.plan_invoices(case.row.from_external_id)) <= case.facts.get("invoices", 0):
        raise Waits("Lago is making the last invoice of the old subscription. Run this again in a minute.")


def _keep(case: Case, found: tuple[Wallet, ...]) -> None:
    """Note what was found before it is voided; a later try finds nothing left."""
    kept = dict(case.facts.get("wallets") or {})
    kept |= {one.lago_id: one.plain() for one in found if one.lago_id not in kept}
    case.note(wallets=kept)


def _empty(wallet: Wallet, external_id: str) -> None:
    """Void all that is left; a payment that settles meanwhile is voided too."""
    for _ in range(_TRIES):
        left = wallets.get(wallet.lago_id)
        if left is None or left["status"] != "active" or not int(left["balance_cents"]):
            return
        wallets.void(
            wallet.lago_id,
            credits=str(left["credits_balance"]),
            metadata={KEY: external_id[:100]},
            name="Moved to an organization",
        )
    raise LagoUnavailable("Lago still shows a balance after it was voided.")


def _grant_all(case: Case, found: list[Json]) -> None:
    """Grant each voided transaction: what was paid for and what was given, each once; keep the sums."""
    kept: dict[str, Any] = case.facts["wallets"]
    paid_left = {lago_id: int(one["paid_cents"]) for lago_id, one in kept.items()}
    cents, credits = 0, amounts.ZERO
    for one in found:
        wallet, part = (
            str(one["lago_wallet_id"]),
            standing.minor(Decimal(str(one["amount"])), one["currency"]),
        )
        paid = min(part, paid_left.get(wallet, 0))
        paid_left[wallet] = paid_left.get(wallet, 0) - paid
        expires_at = (kept.get(wallet) or {}).get("expires_at") or ""
        credits += _grant(case, one, paid, is_paid=True, expires_at=expires_at)
        credits += _grant(case, one, part - paid, is_paid=False, expires_at=expires_at)
        cents += part
    case.row.wallet_cents, case.row.wallet_credits = cents, credits
    with transactions.durable():
        case.row.save(update_fields=["wallet_cents", "wallet_credits"])


def _grant(case: Case, one: Json, cents: int, *, is_paid: bool, expires_at: str) -> Decimal:
    """Grant a part of a voided transaction, once, and return its credits."""
    currency = str(one["currency"])
    credits = worth(cents, currency, credits=case.said_credits, whole=case.whole_cents)
    if credits:
        with transactions.durable():
            grants.grant(
                organization=case.organization,
                source="migration",
                credits=credits,
                reference=f"{one['lago_id']} {'paid' if is_paid else 'given'}",
                reason=f"Wallet of {case.row.from_external_id}",
                by=case.by,
                paid=grants.Paid(cents=cents, currency=currency) if is_paid else None,
                expires_at=standing.instant(expires_at) if expires_at else None,
            )
    return credits

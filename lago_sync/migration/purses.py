"""A wallet's credits, moved once: voided at Lago under this migration's key, granted here by what Lago says was voided.

Lago has no key against sending twice (reference/lago.md §2.7). So ours stands in the metadata, and a grant rests on one
voided transaction that bears it: what was voided is granted, once, and nothing else, whatever died in between.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

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

KEY: Final = "migration"
"""The key in a transaction's metadata whose value is the user-based customer."""
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """What one transaction took out of an old wallet, in minor units, and how much of that had been paid for."""

    lago_id: str
    cents: int
    paid_cents: int
    currency: str
    expires_at: str

    @property
    def parts(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """What was paid for and what was given, each with the reference of its grant."""
        return (
            (f"{self.lago_id} paid", self.paid_cents),
            (f"{self.lago_id} given", self.cents - self.paid_cents),
        )


def move(case: Case) -> None:
    """Take what is left in the old wallets, grant it to the organization, and end them. Asks Lago."""
    _require_last_invoice(case)
    external_id = case.row.from_external_id
    left = [one for one in wallets.of_customer(external_id) if one["status"] == "active"]
    for wallet in left:
        _empty(str(wallet["lago_id"]), external_id)
    _grant_all(case, voided(external_id))
    for wallet in left:
        wallets.terminate(str(wallet["lago_id"]))


def worth(cents: int, currency: str, *, credits: Decimal | None, whole: int) -> Decimal:
    """Return how many credits an amount of a wallet is: its worth at the list price, or its part of what was said.

    `whole` is what all wallets had, in minor units.
    """
    if credits is not None:
        return amounts.portion(credits, cents, whole) if whole else amounts.ZERO
    return amounts.from_money(money.major(cents, currency))


def voided(external_id: str) -> list[Voided]:
    """Return what was voided for this migration, of ended wallets too, oldest first. Asks Lago.

    It says all that a grant needs, so that any number of runs grant the same.
    """
    found = list[Voided]()
    for wallet in wallets.of_customer(external_id):
        rows = list(wallets.transactions(str(wallet["lago_id"])))
        paid_left = standing.paid_cents(rows, str(wallet["currency"]))
        for one in sorted(rows, key=lambda row: (str(row["created_at"]), str(row["lago_id"]))):
            if not _is_ours(one, external_id):
                continue
            cents = standing.minor(Decimal(str(one["amount"])), str(wallet["currency"]))
            paid, paid_left = min(cents, paid_left), max(paid_left - cents, 0)
            found.append(
                Voided(
                    lago_id=str(one["lago_id"]),
                    cents=cents,
                    paid_cents=paid,
                    currency=str(wallet["currency"]),
                    expires_at=str(wallet.get("expiration_at") or ""),
                )
            )
    return found


def _is_ours(one: Json, external_id: str) -> bool:
    marks = one.get("metadata") or []
    return one["transaction_status"] == "voided" and any(
        (mark["key"], str(mark["value"])) == (KEY, external_id[:100]) for mark in marks
    )


def _require_last_invoice(case: Case) -> None:
    """Raise Waits while Lago makes the old subscription's last invoice, which the wallet may pay."""
    if not case.facts.get("usage_cents"):
        return
    if len(standing.plan_invoices(case.row.from_external_id)) <= case.facts.get("invoices", 0):
        raise Waits("Lago is making the last invoice of the old subscription. Run this again in a minute.")


def _empty(wallet_id: str, external_id: str) -> None:
    """Void all that is left; a payment that settles meanwhile is voided too."""
    for _ in range(_TRIES):
        left = wallets.get(wallet_id)
        if left is None or left["status"] != "active" or not int(left["balance_cents"]):
            return
        wallets.void(
            wallet_id,
            credits=str(left["credits_balance"]),
            metadata={KEY: external_id[:100]},
            name="Moved to an organization",
        )
    raise LagoUnavailable("Lago still shows a balance after it was voided.")


def _grant_all(case: Case, found: list[Voided]) -> None:
    """Grant what was voided, each part once, and keep the sums."""
    whole, credits = sum(one.cents for one in found), amounts.ZERO
    for one in found:
        for reference, cents in one.parts:
            part = worth(cents, one.currency, credits=case.said_credits, whole=whole)
            credits += part
            if part:
                _grant(case, one, reference, part, cents)
    case.row.wallet_cents, case.row.wallet_credits = whole, credits
    with transactions.durable():
        case.mine().update(wallet_cents=whole, wallet_credits=credits)


def _grant(case: Case, one: Voided, reference: str, credits: Decimal, cents: int) -> None:
    with transactions.durable():
        grants.grant(
            organization=case.organization,
            source="migration",
            credits=credits,
            reference=reference,
            reason=f"Wallet of {case.row.from_external_id}",
            by=case.by,
            paid=grants.Paid(cents=cents, currency=one.currency) if reference.endswith("paid") else None,
            expires_at=standing.instant(one.expires_at) if one.expires_at else None,
        )

"""What a wallet must be so that Lago never bills credits a second time: at one rate, and open to no invoice.

A wallet without the restriction pays plan fees with what credits were bought for (product.md §8).
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from lago_sync.client import wallets
from lago_sync.client.transport import Json
from lago_sync.errors import Problem

CODE: Final = "credits"
"""The code of our wallet: one for each organization."""
METRIC: Final = "credits_used"
"""The metric that it is restricted to, which every plan charges at zero."""
RATE: Final = Decimal(1)

_NEW_WALLET: Final = (
    "In Lago, terminate this wallet when no payment for it is open; then clear the wallet of the organization's "
    "Lago customer in the admin. The next purchase makes a right one."
)


def problems(*, of: str, found: list[Json]) -> list[Problem]:
    """Return what is wrong with the active wallets of one organization (public id). Asks Lago about those consumed from."""
    return [one for wallet in found if is_active(wallet) for one in _problems(of, wallet)]


def is_active(wallet: Json) -> bool:
    return bool(wallet["status"] == "active")


def invoiced(wallet_id: str) -> Iterator[Json]:
    """Yield the transactions of a wallet with which an invoice was paid: of ours there must be none."""
    return (one for one in wallets.transactions(wallet_id) if one["transaction_status"] == "invoiced")


def _problems(of: str, wallet: Json) -> Iterator[Problem]:
    name = f"{of}: wallet {wallet.get('code') or wallet['lago_id']}"
    for what in _wrong_settings(wallet):
        yield Problem(what=f"{name} {what}", do=_NEW_WALLET, stops_purchases=True, organization=of)
    if wallet.get("recurring_transaction_rules"):
        yield Problem(
            what=f"{name} tops itself up by a rule of Lago's",
            do="In Lago, take the rule away: what it buys is in no purchase of the portal.",
            stops_purchases=True,
            organization=of,
        )
    if _decimal(wallet.get("consumed_credits")) and any(invoiced(wallet["lago_id"])):
        yield Problem(
            what=f"{name} paid an invoice: credits that were bought are gone at Lago and still here",
            do="In Lago, find the invoice, decide with the customer who bears it, then replace the wallet. "
            + _NEW_WALLET,
            stops_purchases=True,
            organization=of,
        )


def _wrong_settings(wallet: Json) -> Iterator[str]:
    if _decimal(wallet.get("rate_amount")) != RATE:
        yield f"has the rate {wallet.get('rate_amount')}, not {RATE}"
    applies: Json = wallet.get("applies_to") or {}
    codes, kinds = applies.get("billable_metric_codes") or [], applies.get("fee_types") or []
    if codes != [METRIC] or kinds:
        yield f"is not restricted to {METRIC}, so that it pays invoices"
    if wallet.get("expiration_at"):
        yield f"expires at {wallet['expiration_at']}, and with it payments on their way"


def _decimal(given: Any) -> Decimal:
    try:
        return Decimal(str(given or 0))
    except InvalidOperation:
        return Decimal("NaN")

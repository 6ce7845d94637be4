"""Wallets and their transactions at Lago: what was bought, not what is left."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def of_customer(external_customer_id: str) -> Iterator[Json]:
    """Yield a customer's wallets. Raises LagoRefused (404) for an unknown customer."""
    return transport.pages(transport.path("customers", external_customer_id, "wallets"), "wallets")


def make(fields: Json) -> Json:
    """Make a wallet. With a `code` a second one is refused with value_already_exist, so always send one."""
    made: Json = transport.inside(transport.post("wallets", {"wallet": fields}, repeats=False), "wallet")
    return made


def get(lago_id: str) -> Json | None:
    answer = transport.get(transport.path("wallets", lago_id))
    return transport.inside(answer, "wallet") if answer is not None else None


def top_up(fields: Json) -> list[Json]:
    """Buy credits for a wallet. Never repeated: Lago has no key for it, and a second one charges a second time."""
    answer = transport.post("wallet_transactions", {"wallet_transaction": fields}, repeats=False)
    made: list[Json] = transport.inside(answer, "wallet_transactions", list)
    return made


def transactions(wallet_id: str) -> Iterator[Json]:
    """Yield all transactions of a wallet, newest first."""
    return transport.pages(transport.path("wallets", wallet_id, "wallet_transactions"), "wallet_transactions")


def payment_url(transaction_id: str) -> str:
    """Return the page where a top-up is paid. Raises LagoRefused before its invoice is made and without a provider."""
    answer = transport.post(
        transport.path("wallet_transactions", transaction_id, "payment_url"), repeats=True
    )
    details = transport.inside(answer, "wallet_transaction_payment_details")
    return str(transport.inside(details, "payment_url", str))

"""Wallets and their transactions at Lago: what was bought, not what is left."""

from collections.abc import Iterator, Mapping

from lago_sync.client import transport
from lago_sync.client.transport import Json


def of_customer(external_customer_id: str) -> Iterator[Json]:
    """Yield a customer's wallets. Raises LagoRefused (404) for an unknown customer."""
    return transport.pages(transport.path("customers", external_customer_id, "wallets"), "wallets")


def everyone(*, page: int = 1) -> Iterator[Json]:
    """Yield the wallets of all customers, newest first. Raises LagoRefused (404) by a Lago that wants a customer named."""
    return transport.pages("wallets", "wallets", page=page)


def make(fields: Json) -> Json:
    """Make a wallet. With a `code` a second one is refused with value_already_exist, so always send one."""
    made: Json = transport.inside(transport.post("wallets", {"wallet": fields}, repeats=False), "wallet")
    return made


def get(lago_id: str) -> Json | None:
    answer = transport.get(transport.path("wallets", lago_id))
    return transport.inside(answer, "wallet") if answer is not None else None


def top_up(fields: Json) -> list[Json]:
    """Buy credits for a wallet (`paid_credits`). Never repeated: Lago has no key for it, and a second one charges a second time."""
    answer = transport.post("wallet_transactions", {"wallet_transaction": fields}, repeats=False)
    made: list[Json] = transport.inside(answer, "wallet_transactions", list)
    return made


def void(wallet_id: str, *, credits: str, metadata: Mapping[str, str], name: str = "") -> list[Json]:
    """Take back credits of a wallet. Never repeated: look for `metadata` among its transactions first, as of a top-up.

    `credits` are in the wallet's own (major units of the price at rate 1), a decimal string.
    Raises LagoRefused (422, `insufficient_credits`) for more than the wallet's settled balance.
    """
    entries = [{"key": key, "value": value} for key, value in metadata.items()]
    fields = {"wallet_id": wallet_id, "voided_credits": credits, "metadata": entries}
    return top_up(fields | ({"name": name} if name else {}))


def terminate(lago_id: str) -> Json | None:
    """End a wallet; what is left of it is forfeited. None if there is none; a repeat finds it ended."""
    answer = transport.delete(transport.path("wallets", lago_id))
    return transport.inside(answer, "wallet") if answer is not None else None


def update(lago_id: str, fields: Json) -> Json:
    """Change a wallet's name, priority, end or restriction; neither its rate nor its currency. Raises LagoRefused (404)."""
    changed: Json = transport.inside(
        transport.put(transport.path("wallets", lago_id), {"wallet": fields}), "wallet"
    )
    return changed


def transaction(lago_id: str) -> Json | None:
    answer = transport.get(transport.path("wallet_transactions", lago_id))
    return transport.inside(answer, "wallet_transaction") if answer is not None else None


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

"""Cards and accounts that the payment provider keeps for a customer."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def of_customer(external_customer_id: str) -> Iterator[Json]:
    """Yield a customer's payment methods, newest first. Raises LagoRefused (404) for an unknown customer."""
    return transport.pages(
        transport.path("customers", external_customer_id, "payment_methods"), "payment_methods"
    )


def make_default(external_customer_id: str, lago_id: str) -> Json:
    """Have this one charged from now on. Raises LagoRefused (404, `payment_method_not_found`)."""
    answer = transport.put(
        transport.path("customers", external_customer_id, "payment_methods", lago_id, "set_as_default")
    )
    changed: Json = transport.inside(answer, "payment_method")
    return changed


def remove(external_customer_id: str, lago_id: str) -> Json | None:
    """Forget a payment method; None if it was gone."""
    answer = transport.delete(transport.path("customers", external_customer_id, "payment_methods", lago_id))
    return transport.inside(answer, "payment_method") if answer is not None else None

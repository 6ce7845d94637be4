"""Customers at Lago; ours are organizations, by their public id."""

from collections.abc import Iterator, Mapping

from lago_sync.client import transport
from lago_sync.client.transport import Json


def upsert(fields: Json) -> Json:
    """Make or change a customer: only the fields given are written. `metadata` may be sent only when it is made.

    Safe to repeat without `metadata` (reference/lago.md §2.1), so it is sent again only then.
    """
    answer = transport.post("customers", {"customer": fields}, repeats="metadata" not in fields)
    customer: Json = transport.inside(answer, "customer")
    return customer


def get(external_id: str) -> Json | None:
    """Return a customer, None if there is none."""
    answer = transport.get(transport.path("customers", external_id))
    return transport.inside(answer, "customer") if answer is not None else None


def everyone(params: Mapping[str, str] | None = None, *, page: int = 1) -> Iterator[Json]:
    """Yield all customers of our Lago organization, newest first, also those that are nobody here."""
    return transport.pages("customers", "customers", params, page=page)


def delete(external_id: str) -> Json | None:
    """Delete a customer with its subscriptions and wallets; None if there was none."""
    answer = transport.delete(transport.path("customers", external_id))
    return transport.inside(answer, "customer") if answer is not None else None


def checkout_url(external_id: str) -> str:
    """Return a new page of the payment provider where a card is stored.

    Raises LagoRefused (422, `no_linked_payment_provider`) for a customer without a provider, (404) for an unknown one.
    """
    answer = transport.post(transport.path("customers", external_id, "checkout_url"), repeats=True)
    return str(transport.inside(transport.inside(answer, "customer"), "checkout_url", str))


def portal_url(external_id: str) -> str:
    """Return a page of Lago's own for this customer, good for 12 hours. Raises LagoRefused (404)."""
    answer = transport.require(transport.path("customers", external_id, "portal_url"))
    return str(transport.inside(transport.inside(answer, "customer"), "portal_url", str))


def current_usage(external_id: str, *, external_subscription_id: str) -> Json | None:
    """Return what the present period's events come to, charges only: `charges_usage[].units` are decimal strings.

    None for an unknown customer. Raises LagoRefused (405, `no_active_subscription`).
    """
    asked = {"external_subscription_id": external_subscription_id}
    answer = transport.get(transport.path("customers", external_id, "current_usage"), asked)
    return transport.inside(answer, "customer_usage") if answer is not None else None

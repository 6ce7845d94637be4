"""Subscriptions at Lago, by our external id, which stays the same through every change of plan."""

from collections.abc import Iterator, Sequence

from lago_sync.client import transport
from lago_sync.client.transport import Json


def create(fields: Json) -> Json:
    """Start a subscription, or change its plan; the same plan again changes nothing, so it may be repeated."""
    made: Json = transport.inside(
        transport.post("subscriptions", {"subscription": fields}, repeats=True), "subscription"
    )
    return made


def of_customer(external_customer_id: str, *, statuses: Sequence[str] = ("active",)) -> Iterator[Json]:
    """Yield a customer's subscriptions in these states, also those under ids that are not ours.

    Asked by customer, since a misspelt filter of the global list answers everybody's. Raises LagoRefused (404) for an
    unknown customer.
    """
    found = transport.pages(
        transport.path("customers", external_customer_id, "subscriptions"),
        "subscriptions",
        {"status[]": list(statuses)},
    )
    return (one for one in found if one["status"] in statuses)


def terminate(external_id: str) -> Json | None:
    """End a subscription now; None if it had ended."""
    answer = transport.delete(transport.path("subscriptions", external_id))
    return transport.inside(answer, "subscription") if answer is not None else None

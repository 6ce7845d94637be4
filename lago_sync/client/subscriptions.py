"""Subscriptions at Lago, by our external id, which stays the same through every change of plan."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def create(fields: Json) -> Json:
    """Start a subscription, or change its plan; the same plan again changes nothing, so it may be repeated."""
    made: Json = transport.post("subscriptions", {"subscription": fields}, repeats=True)["subscription"]
    return made


def get(external_id: str, *, status: str = "active") -> Json | None:
    """Return the subscription in this state, None if there is none."""
    answer = transport.get(transport.path("subscriptions", external_id), {"status": status})
    return answer["subscription"] if answer is not None else None


def of_customer(external_customer_id: str) -> Iterator[Json]:
    """Yield a customer's active subscriptions, also those under ids that are not ours."""
    return transport.pages(
        "subscriptions", "subscriptions", {"external_customer_id": external_customer_id, "status[]": "active"}
    )


def terminate(external_id: str) -> Json | None:
    """End a subscription now; None if it had ended."""
    answer = transport.delete(transport.path("subscriptions", external_id))
    return answer["subscription"] if answer is not None else None

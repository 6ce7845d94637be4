"""Customers at Lago; ours are organizations, by their public id."""

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

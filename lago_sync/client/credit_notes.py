"""Credit notes at Lago: what was given back of a fee in advance, such as for the days after an upgrade."""

from collections.abc import Iterator

from lago_sync.client import transport
from lago_sync.client.transport import Json


def of_customer(external_customer_id: str) -> Iterator[Json]:
    """Yield a customer's credit notes with their items. Raises LagoRefused (404) for an unknown customer."""
    return transport.pages(transport.path("customers", external_customer_id, "credit_notes"), "credit_notes")


def get(lago_id: str) -> Json | None:
    answer = transport.get(transport.path("credit_notes", lago_id))
    return transport.inside(answer, "credit_note") if answer is not None else None

"""Invoices at Lago. Lists are asked by customer: a misspelt filter of the global list answers everybody's."""

from collections.abc import Iterator, Mapping

from lago_sync.client import transport
from lago_sync.client.transport import Json


def get(lago_id: str) -> Json | None:
    """Return an invoice with its fees, None while it is not visible."""
    answer = transport.get(transport.path("invoices", lago_id))
    return transport.inside(answer, "invoice") if answer is not None else None


def of_customer(external_customer_id: str, params: Mapping[str, str] | None = None) -> Iterator[Json]:
    return transport.pages(transport.path("customers", external_customer_id, "invoices"), "invoices", params)


def void(lago_id: str) -> Json:
    """Void an invoice. Raises LagoRefused (405 not_voidable) for one that was paid or voided."""
    return transport.post(transport.path("invoices", lago_id, "void"), repeats=False)

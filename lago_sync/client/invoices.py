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


def everyone(*, page: int = 1) -> Iterator[Json]:
    """Yield the invoices of all customers without their fees, the latest issued first: for the poll only."""
    return transport.pages("invoices", "invoices", page=page)


def update(lago_id: str, fields: Json) -> Json:
    """Set `payment_status` or `metadata`. Raises LagoRefused (404, or 405 for a draft or a voided one)."""
    changed: Json = transport.inside(
        transport.put(transport.path("invoices", lago_id), {"invoice": fields}), "invoice"
    )
    return changed


def download(lago_id: str) -> str | None:
    """Have the PDF made; returns its address once it is, None while Lago makes it: ask again then.

    Raises LagoRefused (404) for one that is not finalized.
    """
    answer = transport.post(transport.path("invoices", lago_id, "download"), repeats=True)
    found = transport.inside(answer, "invoice") if answer else {}
    return str(found["file_url"]) if found.get("file_url") else None


def payment_url(lago_id: str) -> str:
    """Return a new page where an invoice is paid.

    Raises LagoRefused (422) without a provider (`no_linked_payment_provider`) or for one that is paid or voided
    (`invalid_invoice_status_or_payment_status`).
    """
    answer = transport.post(transport.path("invoices", lago_id, "payment_url"), repeats=True)
    details = transport.inside(answer, "invoice_payment_details")
    return str(transport.inside(details, "payment_url", str))


def retry_payment(lago_id: str) -> None:
    """Have the stored card charged again; what came of it shows in the invoice later. Never repeated.

    Raises LagoRefused (405) for `invalid_status`, or while the provider is at it
    (`payment_processor_is_currently_handling_payment`).
    """
    transport.post(transport.path("invoices", lago_id, "retry_payment"), repeats=False)

"""Payments at Lago: what a payment provider, or a person by hand, said was paid."""

from collections.abc import Iterator, Mapping

from lago_sync.client import transport
from lago_sync.client.transport import Json


def of_customer(external_customer_id: str, params: Mapping[str, str] | None = None) -> Iterator[Json]:
    """Yield a customer's payments, of one invoice with `invoice_id`. Raises LagoRefused (404) for an unknown one."""
    return transport.pages(transport.path("customers", external_customer_id, "payments"), "payments", params)


def everyone(*, page: int = 1) -> Iterator[Json]:
    """Yield the payments of all customers, newest first: for the poll only."""
    return transport.pages("payments", "payments", page=page)


def get(lago_id: str) -> Json | None:
    answer = transport.get(transport.path("payments", lago_id))
    return transport.inside(answer, "payment") if answer is not None else None


def make(*, invoice_id: str, amount_cents: int, reference: str) -> Json:
    """Note that an invoice was paid elsewhere. Never repeated.

    Raises LagoRefused (403, `feature_unavailable`) on a Lago without a licence: set the invoice's `payment_status` there.
    """
    fields = {"invoice_id": invoice_id, "amount_cents": amount_cents, "reference": reference}
    made: Json = transport.inside(transport.post("payments", {"payment": fields}, repeats=False), "payment")
    return made

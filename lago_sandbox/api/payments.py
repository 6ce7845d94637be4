"""Payments: what the provider did, and, with a licence, money that came another way."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api import customers
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import require_licence, root
from lago_sandbox.billing import payments
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Invoice, Payment
from lago_sandbox.shapes.payments import payment as shape

PAYABLE = ("finalized", "open")  # also one that waits, unseen, for its payment


def create(request: HttpRequest) -> dict[str, Any]:
    """Note a payment made by hand; parts add up to the invoice's total."""
    given, now = root(request, "payment"), clock.now()
    require_licence()
    cents = _check(given)
    invoice = _invoice(given["invoice_id"])
    if not invoice.is_payable:
        raise Invalid({"base": ["payment_already_succeeded"]})
    if cents > invoice.total_amount_cents - invoice.total_paid_amount_cents:
        raise Invalid({"amount_cents": ["greater_than"]})
    row = payments.pay_by_hand(invoice, cents=cents, reference=str(given["reference"]), now=now)
    return {"payment": shape(row)}


def index(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    rows = Payment.objects.select_related("invoice__customer").order_by("-created_at", "id")
    if name := external_id or request.GET.get("external_customer_id"):
        rows = rows.filter(invoice__customer=customers.find(name))
    if (lago_id := request.GET.get("invoice_id")) is not None:
        rows = rows.filter(invoice=_uuid(lago_id))
    return page(request, rows, name="payments", shape=shape)


def show(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    found = Payment.objects.select_related("invoice__customer").filter(pk=lago_id).first()
    if found is None:
        raise NotFound("payment")
    return {"payment": shape(found)}


def _check(given: dict[str, Any]) -> int:
    """Return the amount, which has to be a JSON integer."""
    problems = Problems()
    problems.require(given, "invoice_id", "reference")
    cents = given.get("amount_cents")
    is_amount = isinstance(cents, int) and not isinstance(cents, bool) and cents > 0
    if not is_amount:
        problems.add("amount_cents", "invalid_value")
    if given.get("paid_at") and clock.parse(given["paid_at"]) is None:
        problems.add("paid_at", "invalid_date")
    problems.stop()
    return int(cents or 0)


def _invoice(lago_id: Any) -> Invoice:
    found = Invoice.objects.select_related("customer").filter(pk=_uuid(lago_id), status__in=PAYABLE).first()
    if found is None:
        raise NotFound("invoice")
    return found


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None

"""Invoices and credit notes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest

from lago_sandbox import clock, jobs, settings
from lago_sandbox.api import customers
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing import cards, invoicing, payments
from lago_sandbox.errors import Invalid, NotAllowed, NotFound
from lago_sandbox.models import VISIBLE, CreditNote, Invoice, InvoiceMetadata
from lago_sandbox.shapes import invoices as shape

FILTERS = {
    "status": ("draft", "finalized", "voided", "failed", "pending"),
    "payment_status": ("pending", "succeeded", "failed"),
}
FLAGS = {"payment_dispute_lost": Q(payment_dispute_lost_at__isnull=False)}


def index(request: HttpRequest) -> dict[str, Any]:
    """Return invoices; a filter that is misspelt is none, and all customers' invoices come (as at Lago)."""
    rows = Invoice.objects.all()
    if name := request.GET.get("external_customer_id") or request.GET.get("customer_external_id"):
        rows = rows.filter(customer__external_id=name)
    return _listed(request, rows)


def index_of_customer(request: HttpRequest, external_id: str) -> dict[str, Any]:
    return _listed(request, Invoice.objects.filter(customer=customers.find(external_id)))


def show(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"invoice": shape.invoice(find(lago_id))}


def update(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Set the payment status (works without a licence; a credit invoice then settles) and metadata."""
    row, given, now = find(lago_id), root(request, "invoice"), clock.now()
    if row.status == "voided":
        raise NotAllowed("update_on_voided_invoice")
    status = given.get("payment_status")
    if status is not None:
        if row.status == "draft":
            raise NotAllowed("payment_status_update_on_draft_invoice")
        if status not in FILTERS["payment_status"]:
            raise Invalid({"payment_status": ["value_is_invalid"]})
        payments.mark(row, status=status, now=now, by_provider=False)
    if isinstance(given.get("metadata"), list):
        if row.status == "draft":
            raise NotAllowed("metadata_on_draft_invoice")
        _replace_metadata(row, given["metadata"], now)
    return {"invoice": shape.invoice(row)}


def download(_request: HttpRequest, lago_id: UUID) -> dict[str, Any] | None:
    """Return the invoice with its document's address, or nothing while it is being made."""
    row = find(lago_id)
    if row.status != "finalized":
        raise NotFound("invoice")
    if row.file_url is None:
        jobs.soon("document", now=clock.now(), invoice=row.id)
        return None
    return {"invoice": shape.invoice(row)}


def lose_dispute(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = find(lago_id)
    payments.lose_dispute(row, now=clock.now())
    return {"invoice": shape.invoice(row)}


def finalize(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Make a draft final now; anything else is 404 (B53)."""
    row = find(lago_id)
    if row.status != "draft":
        raise NotFound("invoice")
    invoicing.finalize_draft({"invoice": row.id}, clock.now())
    return {"invoice": shape.invoice(find(lago_id))}


def refresh(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Compute a draft anew; what is final stays as it is."""
    row = find(lago_id)
    if row.status == "draft":
        invoicing.refresh(row, now=clock.now())
    return {"invoice": shape.invoice(row)}


def retry(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Refuse: only an invoice that failed to be made can be made again, and the sandbox's never fail."""
    find(lago_id)
    raise NotAllowed("invalid_status")


def void(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = find(lago_id)
    payments.void(row, now=clock.now())
    return {"invoice": shape.invoice(row)}


def payment_url(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = find(lago_id)
    payments.require_provider(row.customer)
    if not row.is_payable:
        raise Invalid({"base": ["invalid_invoice_status_or_payment_status"]})
    return {
        "invoice_payment_details": {
            "lago_customer_id": str(row.customer_id),
            "lago_invoice_id": str(row.id),
            "external_customer_id": row.customer.external_id,
            "payment_provider": row.customer.payment_provider,
            "payment_url": f"{settings.URL}/pay/{row.payment_token}",
        }
    }


def retry_payment(_request: HttpRequest, lago_id: UUID) -> None:
    """Charge the stored card again, a moment later."""
    row = find(lago_id)
    if not row.is_payable:
        raise NotAllowed("invalid_status")
    if cards.is_chargeable(row.customer):
        jobs.soon("charge_card", now=clock.now(), invoice=row.id)


def index_credit_notes(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    rows = CreditNote.objects.select_related("invoice", "customer", "fee__invoice").order_by(
        "-created_at", "id"
    )
    if name := external_id or request.GET.get("external_customer_id"):
        rows = rows.filter(customer=customers.find(name))
    return page(request, rows, name="credit_notes", shape=shape.credit_note)


def show_credit_note(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"credit_note": shape.credit_note(_credit_note(lago_id))}


def void_credit_note(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Void what is left of a credit note."""
    row, now = _credit_note(lago_id), clock.now()
    if row.credit_status != "available":
        raise NotAllowed("no_voidable_amount")
    row.credit_status, row.balance_cents, row.updated_at = "voided", 0, now
    row.save()
    return {"credit_note": shape.credit_note(row)}


def _credit_note(lago_id: UUID) -> CreditNote:
    found = CreditNote.objects.select_related("invoice", "customer").filter(pk=lago_id).first()
    if found is None:
        raise NotFound("credit_note")
    return found


def find(lago_id: UUID) -> Invoice:
    """Return an invoice that may be seen, or answer 404."""
    found = Invoice.objects.select_related("customer").filter(pk=lago_id, status__in=VISIBLE).first()
    if found is None:
        raise NotFound("invoice")
    return found


def _listed(request: HttpRequest, rows: Any) -> dict[str, Any]:
    rows = _flagged(request, _chosen(request, rows.filter(status__in=VISIBLE).select_related("customer")))
    for name in ("invoice_type", "currency"):
        if value := request.GET.get(name):
            rows = rows.filter(**{name: value})
    for name, condition in (("issuing_date_from", "gte"), ("issuing_date_to", "lte")):
        if (moment := clock.parse(request.GET.get(name))) is not None:  # a bad date is ignored
            rows = rows.filter(**{f"issuing_date__{condition}": moment.date()})
    if text := request.GET.get("search_term"):
        rows = rows.filter(number__icontains=text)
    return page(
        request,
        rows.order_by("-issuing_date", "-created_at", "id"),
        name="invoices",
        shape=lambda row: shape.invoice(row, full=False),
        counts_seldom=True,
    )


def _chosen(request: HttpRequest, rows: Any) -> Any:
    """Return those with a status that is asked for; a wrong one is told by its place."""
    for name, allowed in FILTERS.items():
        plural = f"{name}es" if name == "status" else "payment_statuses"
        names = (name, f"{name}[]", f"{plural}[]")
        wanted = [one for given in names for one in request.GET.getlist(given)]
        wrong = {
            str(place): [f"must be one of: {', '.join(allowed)}"]
            for place, one in enumerate(wanted)
            if one not in allowed
        }
        if wrong:
            raise Invalid({name: wrong})
        if wanted:
            rows = rows.filter(**{f"{name}__in": wanted})
    return rows


def _flagged(request: HttpRequest, rows: Any) -> Any:
    for name, when in FLAGS.items():
        value = request.GET.get(name)
        if value not in (None, "true", "false"):
            raise Invalid({name: ["must be boolean"]})
        if value is not None:
            rows = rows.filter(when) if value == "true" else rows.exclude(when)
    return rows


def _replace_metadata(row: Invoice, given: list[Any], now: datetime) -> None:
    """Replace by id, as a customer's: a key sent again without its id is 422."""
    entries = [one for one in given if isinstance(one, dict)]
    if len(entries) > 5:
        raise Invalid({"metadata": ["invalid_count"]})
    kept = [str(one["id"]) for one in entries if one.get("id")]
    old = list(row.metadata.all())
    for one in entries:
        key, value = str(one.get("key") or ""), str(one.get("value") or "")
        if one.get("id"):
            row.metadata.filter(pk=one["id"]).update(key=key, value=value)
        elif row.metadata.filter(key=key).exists():
            raise Invalid({"key": ["value_already_exist"]})
        else:
            InvoiceMetadata.objects.create(created_at=now, invoice=row, key=key, value=value)
    for before in old:
        if str(before.id) not in kept:
            before.delete()

"""Pages for a person: what there is, and paying an invoice as at a payment provider."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lago_sandbox import background, clock, documents, money, settings, store, switches
from lago_sandbox.billing import cards, payments
from lago_sandbox.errors import ApiError
from lago_sandbox.models import VISIBLE, Customer, Invoice
from lago_sandbox.shapes import invoices as shape

SHOWN = 100  # invoices on the first page
STEPS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the invoices, the newest first."""
    rows = Invoice.objects.filter(status__in=[*VISIBLE, "open"]).select_related("customer")
    shown = [_row(one) for one in rows.order_by("-created_at")[:SHOWN]]
    counts = {"invoices_count": rows.count(), "customers": Customer.objects.filter(deleted_at=None).count()}
    return render(
        request,
        "lago_sandbox/home.html",
        {"invoices": shown, "now": clock.now(), "steps": list(STEPS), "settings": settings, **counts},
    )


@require_POST
def move_clock(request: HttpRequest) -> HttpResponse:
    """Move the clock on, doing on the way what falls due."""
    step = STEPS.get(request.POST.get("step", ""))
    if step is not None:
        background.advance(clock.now() + step)
    return redirect("home")


@require_POST
def act(request: HttpRequest, lago_id: UUID, action: str) -> HttpResponse:
    """Pay, decline, void or dispute an invoice from the list."""
    try:
        _do(get_object_or_404(Invoice.objects.select_related("customer"), pk=lago_id), action)
    except ApiError as error:
        return render(request, "lago_sandbox/refused.html", {"code": error.code}, status=409)
    return redirect("home")


@require_http_methods(["GET", "POST"])
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """Show the invoice to pay; after paying or declining show how it ended, and the way back."""
    invoice = get_object_or_404(Invoice.objects.select_related("customer"), payment_token=token)
    if request.method == "POST":
        action = "pay" if request.POST.get("action") == "pay" else "decline"
        if invoice.is_payable:
            _do(invoice, action)
        return redirect("pay", token=token)
    return render(
        request,
        "lago_sandbox/pay.html",
        {"invoice": _row(invoice), "return_url": switches.read("return_url")},
    )


@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest, token: str) -> HttpResponse:
    """Store a card, which later invoices are charged to; the API lists and removes them."""
    customer = get_object_or_404(Customer, token=token, deleted_at=None)
    if request.method == "POST":
        if customer.provider_customer_id:
            with store.writing():
                cards.store(customer, now=clock.now())
        return redirect("checkout", token=token)
    return render(
        request,
        "lago_sandbox/checkout.html",
        {"customer": customer, "name": _name(customer), "return_url": switches.read("return_url")},
    )


@require_GET
def file(_request: HttpRequest, lago_id: UUID) -> HttpResponse:
    """Return an invoice's document."""
    invoice = get_object_or_404(Invoice.objects.select_related("customer"), pk=lago_id)
    if invoice.file_url is None:
        raise Http404
    response = HttpResponse(documents.pdf(invoice), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{invoice.number}.pdf"'
    return response


@require_GET
def style(_request: HttpRequest) -> FileResponse:
    path = settings.BASE_DIR / "static" / "sandbox.css"
    return FileResponse(path.open("rb"), content_type="text/css; charset=utf-8")


@store.writes
def _do(invoice: Invoice, action: str) -> None:
    now = clock.now()
    match action:
        case "void":
            payments.void(invoice, now=now)
        case "dispute":
            payments.lose_dispute(invoice, now=now)
        case "pay":
            payments.pay(invoice, status="succeeded", now=now)
        case "decline":
            payments.pay(invoice, status="failed", now=now)
        case _:
            raise Http404


def _row(invoice: Invoice) -> dict[str, Any]:
    places = len(str(money.SUBUNITS[invoice.currency])) - 1
    due = invoice.total_amount_cents - invoice.total_paid_amount_cents
    return {
        "id": invoice.id,
        "number": invoice.number,
        "token": invoice.payment_token,
        "customer": _name(invoice.customer),
        "external_id": invoice.customer.external_id,
        "kind": "Top-up of a wallet" if invoice.invoice_type == "credit" else "Plan",
        "amount": f"{money.to_major(invoice.total_amount_cents, invoice.currency):,.{places}f} {invoice.currency}",
        "due": due,
        "status": _status(invoice),
        "has_outcome": invoice.status == "voided" or invoice.payment_status != "pending",
        "is_payable": invoice.is_payable,
        "is_disputable": invoice.payment_status == "succeeded"
        and invoice.total_amount_cents > 0
        and invoice.payment_dispute_lost_at is None,
        "is_voidable": invoice.status == "finalized" and invoice.payment_status != "succeeded",
        "issued": invoice.issuing_date,
        "file_url": invoice.file_url,
    }


def _status(invoice: Invoice) -> str:
    if invoice.status == "voided":
        return "void"
    if invoice.payment_dispute_lost_at is not None:
        return "dispute lost"
    words = {"succeeded": "paid", "failed": "declined", "pending": "to pay"}
    found = words[invoice.payment_status]
    return "overdue" if found == "to pay" and shape.is_overdue(invoice) else found


def _name(customer: Customer) -> str:
    kept = customer.details
    return str(kept.get("legal_name") or kept.get("name") or customer.external_id)

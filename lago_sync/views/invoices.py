"""Invoices on pages: the list with its filters, one with all that stands on it, its PDF, and paying it.

Looking asks our mirror only. What asks Lago (a payment page, charging the card again) is a POST of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from kit.errors import DomainError
from lago_sync import tasks
from lago_sync.customers import methods
from lago_sync.invoices import contents, documents, listing, mailing, news, payments
from lago_sync.invoices.listing import KINDS, State
from lago_sync.models import LagoInvoice
from lago_sync.views import invoice_filters
from orgs.access import pages
from orgs.access.capabilities import Capability

ROWS_A_PAGE: Final = 20
STATES: Final = {
    State.TO_PAY: "To pay",
    State.OVERDUE: "Overdue",
    State.DECLINED: "Declined",
    State.PAID: "Paid",
    State.DISPUTED: "Dispute lost",
    State.VOID: "Void",
    State.DRAFT: "Draft",
}
TONES: Final = {
    State.TO_PAY: "warn",
    State.OVERDUE: "bad",
    State.DECLINED: "bad",
    State.PAID: "ok",
    State.DISPUTED: "bad",
}
KIND_NAMES: Final = {"plan": "Plan", "credits": "Credits"}
_ASKS: Final = 12
_ASKS_AFTER: Final = 5  # seconds
_DECIDED: Final = frozenset({400, 403, 409, 422})
"""Statuses of refusals that the page answers with; all others are trouble that passes, 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One invoice of the list."""

    invoice: LagoInvoice
    what: str
    state: str
    tone: str


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the invoices that match, newest first, with what they come to."""
    organization, now = pages.organization_for(request, slug, Capability.BUY), timezone.now()
    filters = invoice_filters.read(request.GET)
    rows = listing.of_organization(organization=organization, asked=filters.asked, now=now)
    if filters.problem:
        rows = rows.none()
    page: Page[LagoInvoice] = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "filters": filters,
        "states": [(str(key), words) for key, words in STATES.items()],
        "kinds": list(KIND_NAMES.items()),
        "page": page,
        "lines": [_line(row, now) for row in page],
        "totals": listing.totals(rows),
        "notes": list(listing.credit_notes(organization=organization)[:ROWS_A_PAGE]),
        **_freshness(listing.as_of(organization=organization)),
    }
    return pages.show(
        request, organization, "invoices/list.html", context, status=422 if filters.problem else 200
    )


@never_cache
@require_safe
def invoice(request: HttpRequest, slug: str, invoice_id: UUID) -> HttpResponse:
    """Show an invoice with everything on it, and what can be done about it."""
    return _shown(request, _invoice(request, slug, invoice_id))


@never_cache
@require_safe
def document(request: HttpRequest, slug: str, invoice_id: UUID) -> HttpResponse:
    """Hand out the PDF; while Lago makes it, say so on a page that asks again by itself."""
    found = _invoice(request, slug, invoice_id)
    content = documents.kept(invoice=found)
    if content is not None:
        return HttpResponse(content, content_type="application/pdf", headers=documents.headers(found))
    if not documents.can_be_made(found):
        raise Http404
    tasks.enqueue_document(found.pk)
    asked = request.GET.get("asked", "")
    count = min(int(asked), _ASKS) if asked.isascii() and asked.isdigit() and len(asked) < 4 else 0
    context = {
        "organization": found.organization,
        "invoice": found,
        "asks_again": count < _ASKS,
        "next": count + 1,
        "after": _ASKS_AFTER,
    }
    return pages.show(request, found.organization, "invoices/document.html", context, status=202)


@require_POST
def pay(request: HttpRequest, slug: str, invoice_id: UUID) -> HttpResponse:
    """Ask for the payment page of an invoice; the invoice's own page then has the link to it."""
    found = _invoice(request, slug, invoice_id)
    try:
        payments.make_page(invoice=found)
    except DomainError as refusal:
        return _refused(request, found, refusal)
    messages.success(request, "The payment page is ready: open it below.")
    return _back(found)


@require_POST
def retry(request: HttpRequest, slug: str, invoice_id: UUID) -> HttpResponse:
    """Have the stored card charged again."""
    found = _invoice(request, slug, invoice_id)
    try:
        payments.retry(invoice=found, by=pages.actor(request), now=timezone.now())
    except DomainError as refusal:
        return _refused(request, found, refusal)
    messages.success(request, "The stored card is being charged. What came of it shows here in a minute.")
    return _back(found)


@require_POST
def send(request: HttpRequest, slug: str, invoice_id: UUID) -> HttpResponse:
    """Mail an invoice once more."""
    found = _invoice(request, slug, invoice_id)

    def run() -> dict[str, Any]:
        sent = mailing.send_again(invoice=found, by=pages.actor(request), now=timezone.now())
        return {"to": news.address_of(sent)}

    try:
        answer = pages.once(request, {}, run)
    except DomainError as refusal:
        return _refused(request, found, refusal)
    messages.success(request, f"It is on its way to {answer['to']}.")
    return _back(found)


def _shown(request: HttpRequest, found: LagoInvoice, *, refusal: str = "", status: int = 200) -> HttpResponse:
    now, organization = timezone.now(), found.organization
    context = {
        "invoice": found,
        "line": _line(found, now),
        "fees": contents.lines(found),
        "sums": contents.sums(found),
        "notes": listing.credit_notes_of(found),
        "purchase": listing.purchase_of(found),
        "refusal": refusal,
        "key": pages.new_key(),
        **_ways_to_pay(found),
        **_ways_to_send(found),
        **_freshness(found.synced_at),
    }
    return pages.show(request, organization, "invoices/invoice.html", context, status=status)


def _ways_to_pay(found: LagoInvoice) -> dict[str, Any]:
    is_payable = payments.is_payable(found)
    has_card = is_payable and methods.has_default(organization=found.organization)
    return {
        "is_payable": is_payable,
        "has_provider": payments.has_provider(),
        "has_card": has_card,
        # what came from outside becomes a link only if it is one
        "pay_url": found.payment_url
        if is_payable and found.payment_url.startswith(("https://", "http://"))
        else "",
    }


def _ways_to_send(found: LagoInvoice) -> dict[str, Any]:
    goes_out = news.goes_out(found)
    return {
        "has_document": documents.can_be_made(found) or documents.kept(invoice=found) is not None,
        "goes_out": goes_out,
        "mailed_where": news.address_of(found) if goes_out else "",
        "is_receipt": news.is_receipt(found),
    }


def _line(row: LagoInvoice, now: datetime) -> Line:
    state = listing.state_of(row, now=now)
    names = {lago: KIND_NAMES[ours] for ours, lago in KINDS.items()}
    plans = contents.plan_lines(row)
    return Line(
        invoice=row,
        what=plans[-1].name if plans else names.get(row.invoice_type, "Other"),
        state=STATES[state],
        tone=TONES.get(state, ""),
    )


def _freshness(seen: datetime | None) -> dict[str, Any]:
    return {"as_of": seen, "is_away": listing.is_lago_away()}


def _refused(request: HttpRequest, found: LagoInvoice, refusal: DomainError) -> HttpResponse:
    status = refusal.status if refusal.status in _DECIDED else 503
    said = (
        refusal.message if status != 503 else "The billing engine does not answer right now. Try again later."
    )
    return _shown(request, found, refusal=said, status=status)


def _back(found: LagoInvoice) -> HttpResponse:
    return redirect("invoices:invoice", slug=found.organization.slug, invoice_id=found.pk)


def _invoice(request: HttpRequest, slug: str, invoice_id: UUID) -> LagoInvoice:
    found = listing.find(
        organization=pages.organization_for(request, slug, Capability.BUY), invoice_id=invoice_id
    )
    if found is None:
        raise Http404
    return found

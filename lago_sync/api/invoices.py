"""Invoices (contract.md §4.1), mirrored from Lago: looking asks our rows only, and so answers while Lago is away."""

from datetime import date
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits.api.answers import instant
from kit.errors import Conflict, NotFound, ValidationError
from kit.rest import lists
from kit.rest.schema import operation
from lago_sync import tasks
from lago_sync.api import invoice_shapes as shapes
from lago_sync.invoices import documents, listing, mailing, payments
from lago_sync.invoices.listing import Asked
from lago_sync.models import LagoInvoice
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey

_PATH: Final = "/api/v1/org-billing/billing/invoices/$SUBSCRIBED"
_KEY: Final = '-H "Authorization: Bearer $KEY"'
_PDF: Final[Any] = (200, "application/pdf")
_ASK_AGAIN: Final = 5  # seconds
_STATUSES: Final = ("draft", "finalized", "voided", "failed", "pending")
_PAYMENT_STATUSES: Final = ("pending", "succeeded", "failed")
_STATES: Final = tuple(str(one) for one in listing.State)
_IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=False,
    description="1 to 128 printable ASCII characters; a repeat within a day gets the first answer",
)
_FILTERS: Final = (
    OpenApiParameter("status", str, enum=_STATUSES),
    OpenApiParameter("payment_status", str, enum=_PAYMENT_STATUSES),
    OpenApiParameter("state", str, enum=_STATES, description="how it stands in one word"),
    OpenApiParameter("invoice_type", str, description="subscription, credit, one_off, …"),
    OpenApiParameter("start_date", date, description="issued from this day on"),
    OpenApiParameter("end_date", date, description="issued until this day, included"),
    OpenApiParameter("search", str, description="all or part of a number"),
)


class Invoices(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="List invoices",
        answers={200: shapes.InvoiceList},
        errors=(400, 403, 404, 422),
        parameters=(*lists.PAGE_PARAMETERS, *_FILTERS),
        curl=f"curl $URL{_PATH} {_KEY}",
        tag="invoices",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization, now = permissions.organization_for(request, org_id, Capability.BUY), timezone.now()
        rows = listing.of_organization(organization=organization, asked=_asked(request), now=now)
        found = lists.paged(request, rows, lambda row: shapes.invoice(row, now=now))
        seen = listing.as_of(organization=organization)
        return Response(found | {"as_of": instant(seen) if seen else None})


class InvoiceDetail(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Show an invoice with everything on it",
        answers={200: shapes.InvoiceDetailShape},
        errors=(400, 403, 404),
        curl=f"curl $URL{_PATH}/$INVOICE {_KEY}",
        tag="invoices",
    )
    def get(self, request: Request, org_id: str, invoice_id: UUID) -> Response:
        return Response(shapes.detail(_invoice(request, org_id, invoice_id), now=timezone.now()))


class InvoiceDocument(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Hand out the PDF of an invoice",
        answers={_PDF: OpenApiTypes.BINARY, 202: shapes.BeingMadeShape},
        errors=(400, 403, 404, 409),
        curl=f"curl $URL{_PATH}/$INVOICE/pdf {_KEY}",
        tag="invoices",
    )
    def get(self, request: Request, org_id: str, invoice_id: UUID) -> HttpResponseBase:
        found = _invoice(request, org_id, invoice_id)
        content = documents.kept(invoice=found)
        if content is not None:
            return HttpResponse(content, content_type="application/pdf", headers=documents.headers(found))
        if not documents.can_be_made(found):
            raise Conflict("There is a PDF of a final invoice only.", status=found.status)
        tasks.enqueue_document(found.pk)
        return Response({"status": "being_made"}, status=202, headers={"Retry-After": str(_ASK_AGAIN)})


class InvoiceRetry(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Charge the stored card for an invoice again",
        answers={202: shapes.InvoiceDetailShape},
        errors=(400, 403, 404, 409, 502, 503),
        parameters=(_IDEMPOTENCY_KEY,),
        curl=f'curl -X POST $URL{_PATH}/$INVOICE/retry {_KEY} -H "Idempotency-Key: retry-1"',
        tag="invoices",
    )
    def post(self, request: Request, org_id: str, invoice_id: UUID) -> Response:
        """Ask Lago, then remember the answer under the key: none may be claimed while Lago is asked.

        Two requests with one key at once both ask; Lago charges an invoice once at a time, and never one that is paid.
        """
        found = _invoice(request, org_id, invoice_id)
        known = idempotency.remembered(request)
        if known is not None:
            return known
        by, now = permissions.caller_of(request).actor, timezone.now()
        after = payments.retry(invoice=found, by=by, now=now)
        return idempotency.once(request, lambda: (202, shapes.detail(after, now=now)))


class InvoiceSend(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Mail an invoice again",
        answers={202: shapes.InvoiceDetailShape},
        errors=(400, 403, 404, 409, 503),
        parameters=(_IDEMPOTENCY_KEY,),
        curl=f"curl -X POST $URL{_PATH}/$INVOICE/send {_KEY}",
        tag="invoices",
    )
    def post(self, request: Request, org_id: str, invoice_id: UUID) -> Response:
        found = _invoice(request, org_id, invoice_id)

        def send() -> tuple[int, dict[str, Any]]:
            now = timezone.now()
            sent = mailing.send_again(invoice=found, by=permissions.caller_of(request).actor, now=now)
            return 202, shapes.detail(sent, now=now)

        return idempotency.once(request, send)


def _invoice(request: Request, org_id: str, invoice_id: UUID) -> LagoInvoice:
    found = listing.find(
        organization=permissions.organization_for(request, org_id, Capability.BUY), invoice_id=invoice_id
    )
    if found is None:
        raise NotFound("There is no such invoice.")
    return found


def _asked(request: Request) -> Asked:
    first, last = lists.day(request, "start_date"), lists.day(request, "end_date")
    if first is not None and last is not None and first > last:
        raise ValidationError(start_date="must not be after end_date")
    return Asked(
        status=lists.choice(request, "status", of=_STATUSES),
        payment_status=lists.choice(request, "payment_status", of=_PAYMENT_STATUSES),
        state=lists.choice(request, "state", of=_STATES),
        invoice_type=lists.text(request, "invoice_type", longest=24),
        first=first,
        last=last,
        text=lists.text(request, "search", longest=64),
    )

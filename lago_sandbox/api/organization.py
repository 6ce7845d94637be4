"""The organization itself, and who is told of what happens."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from lago_sandbox import clock, switches
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import WebhookEndpoint
from lago_sandbox.webhooks import signing
from lago_sandbox.webhooks.payloads import ORGANIZATION_ID

LIMIT = 10  # endpoints
PREFIXES = (
    "customer", "subscription", "invoice", "fee", "wallet", "wallet_transaction", "payment", "payment_receipt",
    "payment_request", "credit_note", "alert", "events", "event", "plan", "billable_metric", "feature", "integration",
    "dunning_campaign", "quote", "order",
)  # fmt: skip


def show(_request: HttpRequest) -> dict[str, Any]:
    urls = list(WebhookEndpoint.objects.order_by("created_at").values_list("webhook_url", flat=True))
    return {
        "organization": {
            "lago_id": ORGANIZATION_ID,
            "name": "Sandbox",
            "slug": "sandbox",
            "created_at": "2026-01-01T00:00:00Z",
            "webhook_url": urls[0] if urls else None,
            "webhook_urls": urls,
            "country": None,
            "default_currency": "USD",
            "address_line1": None,
            "address_line2": None,
            "state": None,
            "zipcode": None,
            "email": None,
            "city": None,
            "legal_name": None,
            "legal_number": None,
            "document_numbering": switches.read("numbering"),
            "document_number_prefix": "SBX",
            "net_payment_term": 0,
            "tax_identification_number": None,
            "timezone": "UTC",
            "email_settings": [],
            "billing_configuration": {
                "invoice_footer": None,
                "invoice_grace_period": 0,
                "document_locale": "en",
            },
            "taxes": [],
            "finalize_zero_amount_invoice": True,
            "events_store": switches.read("events_store"),
        }
    }


def update(request: HttpRequest) -> dict[str, Any]:
    """Accept and answer; the sandbox's organization is fixed."""
    root(request, "organization")
    return show(request)


def create_endpoint(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "webhook_endpoint"), clock.now()
    if WebhookEndpoint.objects.count() >= LIMIT:
        raise Invalid({"base": ["exceeded_limit"]})
    row = WebhookEndpoint(created_at=now)
    _fill(row, given)
    return {"webhook_endpoint": _endpoint(row)}


def index_endpoints(request: HttpRequest) -> dict[str, Any]:
    rows = WebhookEndpoint.objects.order_by("-created_at", "id")
    return page(request, rows, name="webhook_endpoints", shape=_endpoint)


def show_endpoint(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"webhook_endpoint": _endpoint(_find(lago_id))}


def update_endpoint(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = _find(lago_id)
    _fill(row, root(request, "webhook_endpoint"))
    return {"webhook_endpoint": _endpoint(row)}


def delete_endpoint(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = _find(lago_id)
    found = _endpoint(row)
    row.delete()
    return {"webhook_endpoint": found}


def json_public_key(_request: HttpRequest) -> dict[str, Any]:
    return {"webhook": {"public_key": signing.public_key()}}


def public_key(_request: HttpRequest) -> HttpResponse:
    """Return the same as text; deprecated at Lago."""
    return HttpResponse(signing.public_key(), content_type="text/plain")


def _fill(row: WebhookEndpoint, given: dict[str, Any]) -> None:
    problems = Problems()
    url = str(given.get("webhook_url") or row.webhook_url or "")
    if not url:
        problems.add("webhook_url", "value_is_mandatory")
    elif urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        problems.add("webhook_url", "url_is_invalid")
    elif WebhookEndpoint.objects.filter(webhook_url=url).exclude(pk=row.pk).exists():
        problems.add("webhook_url", "value_already_exist")
    algorithm = given.get("signature_algo") or row.signature_algo
    if algorithm not in ("jwt", "hmac"):
        problems.add("signature_algo", "value_is_invalid")
    if "event_types" in given:
        row.event_types = _event_types(problems, given["event_types"])
    problems.stop()
    row.webhook_url, row.signature_algo, row.name = url, algorithm, given.get("name", row.name)
    row.save()


def _event_types(problems: Problems, given: Any) -> list[str] | None:
    """Return the types that an endpoint wants; None: all."""
    if given is None or given == ["*"]:
        return None
    types = [str(one) for one in given] if isinstance(given, list) else []
    wrong = [one for one in types if one.partition(".")[0] not in PREFIXES or "." not in one]
    if wrong:
        problems.add("event_types", f"contains invalid types: {', '.join(wrong)}")
    return types


def _find(lago_id: UUID) -> WebhookEndpoint:
    found = WebhookEndpoint.objects.filter(pk=lago_id).first()
    if found is None:
        raise NotFound("webhook_endpoint")
    return found


def _endpoint(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "lago_id": str(row.id),
        "lago_organization_id": ORGANIZATION_ID,
        "webhook_url": row.webhook_url,
        "signature_algo": row.signature_algo,
        "name": row.name,
        "event_types": row.event_types,
        "created_at": clock.seconds(row.created_at),
    }

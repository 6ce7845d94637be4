"""Customers: created and changed by the same POST."""

import re
import secrets
from datetime import datetime
from typing import Any

from django.core import signing
from django.http import HttpRequest

from lago_sandbox import clock, jobs, money, settings, switches
from lago_sandbox.api.fields import Problems, is_blank
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing import payments
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Customer, CustomerMetadata
from lago_sandbox.shapes import customers as shape
from lago_sandbox.webhooks.emit import emit

PROVIDERS = ("stripe", "adyen", "gocardless", "cashfree", "flutterwave", "moneyhash")
KEPT = (
    *shape.TEXTS,
    "customer_type",
    "net_payment_term",
    "finalize_zero_amount_invoice",
    "shipping_address",
    "timezone",
)
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")


def upsert(request: HttpRequest) -> dict[str, Any]:
    """Create a customer or change the keys that are given."""
    given, now = root(request, "customer"), clock.now()
    _check(given)
    external_id = str(given["external_id"]).strip()
    row = Customer.objects.filter(external_id=external_id, deleted_at=None).first()
    is_new = row is None
    row = row or create(external_id, now=now)
    _check_currency(row, given.get("currency"))
    row.details |= {name: given[name] for name in KEPT if name in given}
    row.currency = given.get("currency") or row.currency
    row.updated_at = now
    linked = _link_provider(row, given.get("billing_configuration"))
    row.save()
    if isinstance(given.get("metadata"), list):  # a dict is silently dropped
        _replace_metadata(row, given["metadata"], now)
    emit("customer.created" if is_new else "customer.updated", about=row, now=now)
    if linked:
        emit("customer.payment_provider_created", about=row, now=now)
    return {"customer": shape.customer(row)}


def create(external_id: str, *, now: datetime) -> Customer:
    """Return a bare customer, as POST /subscriptions makes one too, without a webhook."""
    return Customer.objects.create(
        created_at=now,
        updated_at=now,
        external_id=external_id,
        sequential_id=Customer.objects.count() + 1,
        token=secrets.token_urlsafe(16),
    )


def index(request: HttpRequest) -> dict[str, Any]:
    rows = Customer.objects.filter(deleted_at=None).order_by("-created_at", "id")
    if external_id := request.GET.get("external_id"):
        rows = rows.filter(external_id=external_id)
    if text := request.GET.get("search_term"):
        rows = rows.filter(external_id__icontains=text) | rows.filter(details__name__icontains=text)
    return page(request, rows, name="customers", shape=shape.customer)


def show(_request: HttpRequest, external_id: str) -> dict[str, Any]:
    return {"customer": shape.customer(find(external_id))}


def delete(_request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Delete softly: the id is free at once, subscriptions and wallets end a moment later."""
    row, now = find(external_id), clock.now()
    row.deleted_at = row.updated_at = now
    row.save()
    jobs.soon("remove_customer", now=now, customer=row.id)
    return {"customer": shape.customer(row)}


def checkout_url(_request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Return the page where a card is stored."""
    row = find(external_id)
    payments.require_provider(row)
    found = {
        "lago_customer_id": str(row.id),
        "external_customer_id": row.external_id,
        "payment_provider": row.payment_provider,
        "payment_provider_code": row.payment_provider_code,
        "checkout_url": f"{settings.URL}/checkout/{row.token}",
    }
    emit("customer.checkout_url_generated", about=row, now=clock.now(), extra=found)
    return {"customer": found}


def portal_url(_request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Return the address of Lago's own customer portal, good for 12 hours; the sandbox has no such pages."""
    row = find(external_id)
    signed = signing.TimestampSigner().sign(str(row.id))
    return {"customer": {"portal_url": f"{settings.URL}/customer-portal/{signed}"}}


def find(external_id: str) -> Customer:
    """Return a kept customer or answer 404."""
    found = Customer.objects.filter(external_id=external_id, deleted_at=None).first()
    if found is None:
        raise NotFound("customer")
    return found


def is_other_currency(row: Customer, currency: Any) -> bool:
    """Say whether a customer that was billed in one currency is asked to take another (v1.51.0 refuses it)."""
    return bool(
        row.currency and currency not in (None, "", row.currency) and not switches.read("multi_currency")
    )


def _check_currency(row: Customer, currency: Any) -> None:
    is_bound = row.subscriptions.exists() or row.wallets.exists() or row.invoices.exists()
    if is_bound and is_other_currency(row, currency):
        raise Invalid({"currency": ["currencies_does_not_match"]})


def _check(given: dict[str, Any]) -> None:
    problems = Problems()
    problems.require(given, "external_id")
    if len(str(given.get("name") or "")) > 255:
        problems.add("name", "value_is_too_long")
    if not is_blank(given.get("email")) and not _EMAIL.fullmatch(str(given["email"])):
        problems.add("email", "invalid_email_format")
    if not is_blank(given.get("currency")) and not money.is_known(given["currency"]):
        problems.add("currency", "value_is_invalid")
    if not is_blank(given.get("country")) and not re.fullmatch(r"[A-Z]{2}", str(given["country"])):
        problems.add("country", "not_a_valid_country_code")
    if isinstance(given.get("metadata"), list) and len(given["metadata"]) > 5:
        problems.add("metadata", "invalid_count")
    problems.stop()


def _link_provider(row: Customer, given: Any) -> bool:
    """Link the payment provider; say whether it is new."""
    if not isinstance(given, dict):
        return False
    for name in ("invoice_grace_period", "document_locale"):
        if name in given:
            row.details[name] = given[name]  # the first one counts with a licence only
    if "sync_with_provider" in given:
        row.details["sync_with_provider"] = bool(given["sync_with_provider"])
    if "payment_provider" not in given:
        return False
    name = given["payment_provider"]
    had_id = bool(row.provider_customer_id)
    was, row.payment_provider = row.payment_provider, name if name in PROVIDERS else ""
    row.payment_provider_code = str(given.get("payment_provider_code") or row.payment_provider)
    row.provider_customer_id = str(given.get("provider_customer_id") or row.provider_customer_id)
    if row.payment_provider and row.details.get("sync_with_provider") and not row.provider_customer_id:
        row.provider_customer_id = payments.provider_id()  # only so does the provider hear of the customer
    return bool(row.payment_provider and row.provider_customer_id) and not (was and had_id)


def _replace_metadata(row: Customer, given: list[Any], now: datetime) -> None:
    """Replace by id; what comes without an id is made first, so a key sent again without its id is 422 (B15)."""
    entries = [one for one in given if isinstance(one, dict)]
    kept = [str(one["id"]) for one in entries if one.get("id")]
    before = {str(one.id): one for one in row.metadata.all()}
    for one in entries:
        if not one.get("id"):
            _add_metadata(row, one, now)
    for lago_id, old in before.items():
        if lago_id not in kept:
            old.delete()
    for one in entries:
        if (old_one := before.get(str(one.get("id")))) is not None and str(one.get("id")) in kept:
            _change_metadata(old_one, one)


def _add_metadata(row: Customer, given: dict[str, Any], now: datetime) -> None:
    key, value = str(given.get("key") or ""), str(given.get("value") or "")
    _check_metadata(key, value)
    if row.metadata.filter(key=key).exists():
        raise Invalid({"key": ["value_already_exist"]})
    CustomerMetadata.objects.create(
        created_at=now,
        customer=row,
        key=key,
        value=value,
        display_in_invoice=bool(given.get("display_in_invoice")),
    )


def _change_metadata(old: CustomerMetadata, given: dict[str, Any]) -> None:
    old.key = str(given.get("key") or old.key)
    old.value = str(given.get("value") or old.value)
    old.display_in_invoice = bool(given.get("display_in_invoice", old.display_in_invoice))
    _check_metadata(old.key, old.value)
    old.save()


def _check_metadata(key: str, value: str) -> None:
    problems = Problems()
    problems.require({"key": key, "value": value}, "key", "value")
    if len(key) > 20:
        problems.add("key", "value_is_too_long")
    if len(value) > 100:
        problems.add("value", "value_is_too_long")
    problems.stop()

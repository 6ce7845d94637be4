"""What a webhook is about. It only says where to look: what is true is fetched from Lago by our key."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from lago_sync.models import LagoCustomer, LagoInvoice, LagoSubscription, Purchase
from orgs.models import Organization

_MOST_IDS: Final = 1_000


def purchases(body: Mapping[str, Any]) -> list[UUID]:
    """Return the purchases that a message names: by a wallet transaction, an invoice, or our key in the metadata."""
    ids = {found for text in islice(_texts(body), _MOST_IDS) if (found := Purchase.parse_key(text))}
    named = Q(wallet_transaction_id__in=ids) | Q(invoice_id__in=ids) | Q(pk__in=ids)
    return list(Purchase.objects.filter(named).order_by("pk").values_list("pk", flat=True))


def organization(body: Mapping[str, Any]) -> Organization | None:
    """Return the organization whose subscription a message is about: Lago's customer is known by its public id."""
    subscription = body.get("subscription")
    if not isinstance(subscription, dict):
        return None
    public_id = _text(subscription.get("external_customer_id"))
    found = Organization.objects.filter(public_id=public_id).first() if public_id else None
    if found is None and (external_id := _text(subscription.get("external_id"))):
        known = LagoSubscription.objects.filter(external_id=external_id).select_related("organization")
        found = next((one.organization for one in known[:1]), None)
    return found


def customer(body: Mapping[str, Any]) -> str:
    """Return the public id of the organization at Lago that a message about a customer names, "" for anybody else."""
    found = body.get("customer")
    public_id = _text(found.get("external_id")) if isinstance(found, dict) else ""
    is_ours = public_id and LagoCustomer.objects.filter(organization__public_id=public_id).exists()
    return public_id if is_ours else ""


def payer_of_plan(body: Mapping[str, Any]) -> Organization | None:
    """Return the organization whose plan an invoice is of; None for an invoice of something else, or of nobody here."""
    invoice = body.get("invoice")
    if not isinstance(invoice, dict) or invoice.get("invoice_type") != "subscription":
        return None
    customer = invoice.get("customer")
    public_id = _text(customer.get("external_id")) if isinstance(customer, dict) else ""
    return Organization.objects.filter(public_id=public_id).first() if public_id else None


def invoices(body: Mapping[str, Any]) -> list[UUID]:
    """Return the invoices of organizations here that a message is about: one itself, or of a credit note or payment."""
    things = [one for one in body.values() if isinstance(one, dict)]
    things += [inner for one in things if isinstance(inner := one.get("invoice"), dict)]
    if isinstance(itself := body.get("invoice"), dict):
        things.append({"lago_invoice_id": itself.get("lago_id"), **itself})
    named = {key for one in things for key in _invoice_ids(one)}
    if not any(_is_customer_here(one) for one in things):
        named = set(LagoInvoice.objects.filter(pk__in=named).values_list("pk", flat=True))
    return sorted(named)


def _invoice_ids(thing: Mapping[str, Any]) -> Iterator[UUID]:
    several = thing.get("invoice_ids")
    texts = [thing.get("lago_invoice_id"), *(several if isinstance(several, list) else [])][:_MOST_IDS]
    return (key for text in texts if isinstance(text, str) and (key := Purchase.parse_key(text)))


def _is_customer_here(thing: Mapping[str, Any]) -> bool:
    customer = thing.get("customer")
    named = [
        thing.get("external_customer_id"),
        customer.get("external_id") if isinstance(customer, dict) else None,
    ]
    ids = {_text(one) for one in named} - {""}
    return bool(ids) and Organization.objects.filter(public_id__in=ids).exists()


def _text(value: object) -> str:
    """Return a text that PostgreSQL can be asked for, "" for anything else."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _texts(value: object) -> Iterator[str]:
    """Yield all texts that could be ids, wherever in the message they stand: its shape differs from type to type."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and len(one) == 36:
            yield one

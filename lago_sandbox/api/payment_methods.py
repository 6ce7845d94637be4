"""A customer's stored cards."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api import customers
from lago_sandbox.api.paging import page
from lago_sandbox.billing import cards
from lago_sandbox.errors import NotFound
from lago_sandbox.models import PaymentMethod


def index(request: HttpRequest, external_id: str) -> dict[str, Any]:
    rows = (
        customers.find(external_id).payment_methods.select_related("customer").order_by("-created_at", "id")
    )
    return page(request, rows, name="payment_methods", shape=_shape)


def set_as_default(_request: HttpRequest, external_id: str, lago_id: UUID) -> dict[str, Any]:
    card = _find(external_id, lago_id)
    cards.make_default(card)
    return {"payment_method": _shape(card)}


def delete(_request: HttpRequest, external_id: str, lago_id: UUID) -> dict[str, Any]:
    card = _find(external_id, lago_id)
    cards.remove(card)
    return {"payment_method": _shape(card)}


def _find(external_id: str, lago_id: UUID) -> PaymentMethod:
    rows = PaymentMethod.objects.select_related("customer").filter(customer=customers.find(external_id))
    found = rows.filter(pk=lago_id).first()
    if found is None:
        raise NotFound("payment_method")
    return found


def _shape(row: PaymentMethod) -> dict[str, Any]:
    return {
        "lago_id": str(row.id),
        "is_default": row.is_default,
        "payment_provider_code": row.customer.payment_provider_code or None,
        "payment_provider_name": row.customer.payment_provider.title() or None,
        "payment_provider_type": row.customer.payment_provider or "stripe",
        "provider_method_id": row.provider_method_id,
        "details": cards.details(row),
        "created_at": clock.seconds(row.created_at),
    }

"""Stored cards: made on the payment provider's page, the default one is charged."""

import secrets
from datetime import datetime
from typing import Any, Final

from lago_sandbox import switches
from lago_sandbox.models import Customer, PaymentMethod

_BRANDS: Final = ("visa", "mastercard", "amex")
_LASTS: Final = 3  # years


def store(customer: Customer, *, now: datetime) -> PaymentMethod:
    """Return a new card, which becomes the default."""
    customer.payment_methods.update(is_default=False)
    return PaymentMethod.objects.create(
        created_at=now, customer=customer, provider_method_id=f"pm_{secrets.token_hex(12)}", is_default=True
    )


def details(card: PaymentMethod) -> dict[str, Any]:
    """Return what the provider shows of a card: made up of its id, so two are told apart, and each stays as it is."""
    number = card.id.int
    return {
        "type": "card",
        "brand": _BRANDS[number % len(_BRANDS)],
        "last4": f"{number % 10_000:04d}",
        "expiration_year": card.created_at.year + _LASTS,
        "expiration_month": card.created_at.month,
    }


def is_chargeable(customer: Customer) -> bool:
    """Say whether invoices are charged by themselves: a card, and a customer that the provider was told of."""
    return bool(customer.provider_customer_id and switches.read("psp") and customer.has_card)


def make_default(card: PaymentMethod) -> None:
    card.customer.payment_methods.exclude(pk=card.pk).update(is_default=False)
    card.is_default = True
    card.save(update_fields=["is_default"])


def remove(card: PaymentMethod) -> None:
    """Take a card away; the newest of the others becomes the default."""
    was_default, customer = card.is_default, card.customer
    PaymentMethod.objects.filter(pk=card.pk).delete()
    newest = customer.payment_methods.order_by("-created_at").first()
    if was_default and newest is not None:
        make_default(newest)

"""What a message says: the state of the thing when the message is written, not when it happened."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db.models import Model

from lago_sandbox.models import (
    CreditNote,
    Customer,
    Delivery,
    Invoice,
    Payment,
    Subscription,
    Wallet,
    WalletTransaction,
)
from lago_sandbox.shapes import customers, invoices, payments, subscriptions, wallets

ORGANIZATION_ID = "1a901a90-1a90-1a90-1a90-1a901a901a90"


def message(delivery: Delivery) -> dict[str, Any]:
    """Return the body of a message."""
    return {
        "webhook_type": delivery.webhook_type,
        "object_type": delivery.object_type,
        "organization_id": ORGANIZATION_ID,
        delivery.object_type: delivery.extra or _thing(delivery),
    }


def _thing(delivery: Delivery) -> dict[str, Any]:
    model, shape = _SHAPES.get(delivery.object_type, _INVOICE)
    row: Any = model._default_manager.get(pk=delivery.object_id)  # noqa: SLF001 - Django's public _default_manager
    return shape(row) if shape is not None else _invoice(row, delivery.webhook_type)


def _invoice(row: Invoice, webhook_type: str) -> dict[str, Any]:
    found = invoices.invoice(row)
    if webhook_type == "invoice.payment_status_updated":
        del found["credits"], found["subscriptions"]
    return found


def _dispute(row: Invoice) -> dict[str, Any]:
    return invoices.invoice(row) | {"provider_error": "fraudulent"}


def _payment_error(row: Invoice) -> dict[str, Any]:
    return {"lago_invoice_id": str(row.id)} | _declined(row.customer)


def _top_up_error(row: WalletTransaction) -> dict[str, Any]:
    return {"lago_wallet_transaction_id": str(row.id)} | _declined(row.wallet.customer)


def _declined(customer: Customer) -> dict[str, Any]:
    return {
        "lago_customer_id": str(customer.id),
        "external_customer_id": customer.external_id,
        "provider_customer_id": customer.provider_customer_id,
        "payment_provider": customer.payment_provider,
        "payment_provider_code": customer.payment_provider_code,
        "provider_error": {"error_message": "Your card was declined.", "error_code": "card_declined"},
    }


_Shape = tuple[type[Model], Callable[[Any], dict[str, Any]] | None]
_INVOICE: Final[_Shape] = (Invoice, None)  # what is none of these
_SHAPES: Final[dict[str, _Shape]] = {
    "customer": (Customer, customers.customer),
    "subscription": (Subscription, partial(subscriptions.subscription, with_customer=True)),
    "wallet": (Wallet, wallets.wallet),
    "wallet_transaction": (WalletTransaction, partial(wallets.transaction, with_wallet=True)),
    "credit_note": (CreditNote, invoices.credit_note),
    "payment": (Payment, payments.payment),
    "payment_dispute_lost": (Invoice, _dispute),
    "payment_provider_invoice_payment_error": (Invoice, _payment_error),
    "payment_provider_wallet_transaction_payment_error": (WalletTransaction, _top_up_error),
}

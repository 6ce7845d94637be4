"""What a message says: the state of the thing when the message is written, not when it happened."""

from typing import Any

from lago_sandbox.models import (
    CreditNote,
    Customer,
    Delivery,
    Invoice,
    Subscription,
    Wallet,
    WalletTransaction,
)
from lago_sandbox.shapes import customers, invoices, subscriptions, wallets

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
    key = delivery.object_id
    match delivery.object_type:
        case "customer":
            return customers.customer(Customer.objects.get(pk=key))
        case "subscription":
            return subscriptions.subscription(Subscription.objects.get(pk=key), with_customer=True)
        case "wallet":
            return wallets.wallet(Wallet.objects.get(pk=key))
        case "wallet_transaction":
            return wallets.transaction(WalletTransaction.objects.get(pk=key), with_wallet=True)
        case "credit_note":
            return invoices.credit_note(CreditNote.objects.get(pk=key))
        case "payment_provider_invoice_payment_error":
            return _payment_error(Invoice.objects.get(pk=key))
        case _:
            return _invoice(Invoice.objects.get(pk=key), delivery.webhook_type)


def _invoice(row: Invoice, webhook_type: str) -> dict[str, Any]:
    found = invoices.invoice(row)
    if webhook_type == "invoice.payment_status_updated":
        del found["credits"], found["subscriptions"]
    return found


def _payment_error(row: Invoice) -> dict[str, Any]:
    return {
        "lago_invoice_id": str(row.id),
        "lago_customer_id": str(row.customer_id),
        "external_customer_id": row.customer.external_id,
        "provider_customer_id": row.customer.provider_customer_id,
        "payment_provider": row.customer.payment_provider,
        "payment_provider_code": row.customer.payment_provider_code,
        "provider_error": {"error_message": "Your card was declined.", "error_code": "card_declined"},
    }

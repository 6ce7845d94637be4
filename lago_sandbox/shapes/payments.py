"""Payments as JSON."""

from typing import Any

from lago_sandbox import clock
from lago_sandbox.models import Payment


def payment(row: Payment) -> dict[str, Any]:
    """Return a payment; a manual one has no provider."""
    invoice, customer = row.invoice, row.invoice.customer
    is_by_provider = row.payment_type == "provider"
    return {
        "lago_id": str(row.id),
        "lago_customer_id": str(customer.id),
        "external_customer_id": customer.external_id,
        "invoice_ids": [str(invoice.id)],
        "invoice_numbers": [invoice.number],
        "lago_payable_id": str(invoice.id),
        "payable_type": "Invoice",
        "amount_cents": row.amount_cents,
        "amount_currency": invoice.currency,
        "status": row.status,
        "payment_status": row.status,
        "type": row.payment_type,
        "reference": row.reference or None,
        "payment_provider_code": customer.payment_provider_code if is_by_provider else None,
        "payment_provider_type": customer.payment_provider if is_by_provider else None,
        "external_payment_id": row.provider_payment_id or None,
        "provider_payment_id": row.provider_payment_id or None,
        "provider_customer_id": customer.provider_customer_id if is_by_provider else None,
        "payment_method_id": str(row.card_id) if row.card_id else None,
        "next_action": {},
        "created_at": clock.seconds(row.created_at),
    }

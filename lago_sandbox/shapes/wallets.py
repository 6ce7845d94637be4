"""Wallets and their transactions as JSON."""

from typing import Any

from lago_sandbox import clock, money
from lago_sandbox.models import Wallet, WalletTransaction

METHOD = {"payment_method_type": "provider"}


def wallet(row: Wallet) -> dict[str, Any]:
    ongoing = row.balance_cents - row.ongoing_usage_cents
    return {
        "lago_id": str(row.id),
        "lago_customer_id": str(row.customer_id),
        "external_customer_id": row.customer.external_id,
        "billing_entity_code": "sandbox",
        "status": row.status,
        "currency": row.currency,
        "name": row.name,
        "code": row.code,
        "priority": row.priority,
        "rate_amount": money.text(row.rate_amount),
        "credits_balance": money.text(row.credits(row.balance_cents)),
        "credits_ongoing_balance": money.text(row.credits(ongoing)),
        "credits_ongoing_usage_balance": money.text(row.credits(row.ongoing_usage_cents)),
        "balance_cents": row.balance_cents,
        "ongoing_balance_cents": ongoing,
        "ongoing_usage_balance_cents": row.ongoing_usage_cents,
        "consumed_credits": money.text(row.credits(row.consumed_cents)),
        "created_at": clock.seconds(row.created_at),
        "expiration_at": clock.seconds(row.expiration_at),
        "last_balance_sync_at": clock.seconds(row.synced_at),
        "last_consumed_credit_at": clock.seconds(row.consumed_at),
        "terminated_at": clock.milliseconds(row.terminated_at),
        "invoice_requires_successful_payment": row.invoice_requires_successful_payment,
        "paid_top_up_min_amount_cents": row.minimum_cents,
        "paid_top_up_max_amount_cents": row.maximum_cents,
        "recurring_transaction_rules": row.rules,
        "applies_to": {"fee_types": row.fee_types, "billable_metric_codes": row.metric_codes},
        "applied_invoice_custom_sections": [],
        "payment_method": METHOD,
        "purchase_order_number": None,
        "metadata": row.metadata,
    }


def transaction(row: WalletTransaction, *, with_wallet: bool = False) -> dict[str, Any]:
    """Return a transaction; a webhook's embeds the wallet."""
    found = {
        "lago_id": str(row.id),
        "lago_wallet_id": str(row.wallet_id),
        "lago_invoice_id": str(row.invoice_id) if row.invoice_id else None,
        "lago_credit_note_id": None,
        "lago_voided_invoice_id": str(row.voided_invoice_id) if row.voided_invoice_id else None,
        "status": row.status,
        "source": row.source,
        "transaction_status": row.transaction_status,
        "transaction_type": row.transaction_type,
        "amount": money.text(money.to_major(row.amount_cents, row.wallet.currency)),
        "credit_amount": money.text(row.credit_amount),
        "remaining_amount_cents": None,
        "remaining_credit_amount": None,
        "priority": row.priority,
        "settled_at": clock.seconds(row.settled_at),
        "failed_at": clock.seconds(row.failed_at),
        "created_at": clock.seconds(row.created_at),
        "invoice_requires_successful_payment": row.invoice_requires_successful_payment,
        "metadata": row.metadata,
        "name": row.name,
        "applied_invoice_custom_sections": [],
        "payment_method": METHOD,
        "purchase_order_number": None,
    }
    if with_wallet:
        found["wallet"] = wallet(row.wallet)
    return found

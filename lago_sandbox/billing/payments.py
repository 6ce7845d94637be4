"""What becomes of an invoice: paid, declined, void, paid back by a lost dispute."""

import random
import secrets
from datetime import datetime
from typing import Any

from lago_sandbox import jobs, switches
from lago_sandbox.billing import cards, invoicing, notes, wallets
from lago_sandbox.errors import Invalid, NotAllowed
from lago_sandbox.models import Customer, Invoice, Payment, PaymentMethod, WalletTransaction
from lago_sandbox.webhooks.emit import emit


def mark(invoice: Invoice, *, status: str, now: datetime, by_provider: bool) -> None:
    """Set the payment status; a repeat changes nothing and tells nobody. Only a provider's payment counts as paid money."""
    if invoice.payment_status == status:
        return
    invoice.payment_status, invoice.updated_at = status, now
    if status == "succeeded":
        if by_provider:
            invoice.total_paid_amount_cents = invoice.total_amount_cents
        _finalize_open(invoice, now=now)
    invoice.save()
    emit("invoice.payment_status_updated", about=invoice, now=now)
    row = WalletTransaction.objects.filter(invoice=invoice, transaction_status="purchased").first()
    if status == "failed" and by_provider:
        _tell_failure(invoice, row, now=now)
    if row is not None and status == "succeeded":
        jobs.soon("settle", now=now, transaction=row.id)
    elif row is not None and status == "failed":
        wallets.fail(row, now=now)


def pay(invoice: Invoice, *, status: str, now: datetime, card: PaymentMethod | None = None) -> None:
    """Let the payment provider report an outcome; 405 where nothing is to be paid."""
    if not invoice.is_payable:
        raise NotAllowed("invalid_status")
    Payment.objects.create(
        created_at=now,
        invoice=invoice,
        amount_cents=invoice.total_amount_cents - invoice.total_paid_amount_cents,
        status=status,
        payment_type="provider",
        provider_payment_id=f"pi_{secrets.token_hex(12)}",
        card=card,
    )
    mark(invoice, status=status, now=now, by_provider=True)


def pay_by_hand(invoice: Invoice, *, cents: int, reference: str, now: datetime) -> Payment:
    """Note money that came another way: parts add up, the invoice is paid when nothing is left (a licence is needed)."""
    row = Payment.objects.create(
        created_at=now,
        invoice=invoice,
        amount_cents=cents,
        status="succeeded",
        payment_type="manual",
        reference=reference,
    )
    invoice.total_paid_amount_cents += cents
    invoice.updated_at = now
    invoice.save(update_fields=["total_paid_amount_cents", "updated_at"])
    emit("payment.succeeded", about=row, now=now)
    if invoice.total_paid_amount_cents == invoice.total_amount_cents:
        mark(invoice, status="succeeded", now=now, by_provider=False)
    return row


def charge_card(payload: dict[str, Any], now: datetime) -> None:
    """Charge the stored card; the switch `card_outcome` says how it ends."""
    invoice = Invoice.objects.select_related("customer").get(pk=payload["invoice"])
    if invoice.is_payable and cards.is_chargeable(invoice.customer):
        card = invoice.customer.payment_methods.filter(is_default=True).first()
        pay(invoice, status=switches.read("card_outcome"), now=now, card=card)


def tell_overdue(payload: dict[str, Any], now: datetime) -> None:
    """Tell of an invoice that was not paid by its date."""
    invoice = Invoice.objects.get(pk=payload["invoice"])
    if invoice.is_payable:
        emit("invoice.payment_overdue", about=invoice, now=now)


def require_provider(customer: Customer) -> None:
    """Refuse a customer without a payment provider (422)."""
    if not customer.payment_provider or not switches.read("psp"):
        raise Invalid({"base": ["no_linked_payment_provider"]})


def void(invoice: Invoice, *, now: datetime) -> None:
    """Void an unpaid invoice; what wallets paid of it comes back as granted credits."""
    if invoice.status != "finalized" or invoice.payment_status == "succeeded":
        raise NotAllowed("not_voidable")
    invoice.status, invoice.voided_at, invoice.updated_at = "voided", now, now
    invoice.save()
    notes.give_back(invoice, now=now)
    for row in invoice.wallet_transactions.filter(transaction_type="outbound").select_related("wallet"):
        if row.wallet.status == "active":
            wallets.add(
                row.wallet, kind="granted", credits=row.credit_amount, now=now, voided_invoice=invoice
            )
    emit("invoice.voided", about=invoice, now=now)


def lose_dispute(invoice: Invoice, *, now: datetime) -> None:
    """Note that the bank took the money back: nothing else changes, settled credits stay settled."""
    if invoice.status not in ("finalized", "voided"):
        raise NotAllowed("not_disputable")
    if invoice.payment_dispute_lost_at is not None:
        return
    invoice.payment_dispute_lost_at = invoice.updated_at = now
    invoice.save(update_fields=["payment_dispute_lost_at", "updated_at"])
    emit("invoice.payment_dispute_lost", about=invoice, now=now)


def provider_id() -> str:
    """Return an id such as the payment provider gives to a customer."""
    return f"cus_{random.getrandbits(64):016x}"


def _finalize_open(invoice: Invoice, *, now: datetime) -> None:
    """Make an invoice visible that waited for its payment (licensed, invoice_requires_successful_payment)."""
    if invoice.status != "open":
        return
    invoice.status = "finalized"
    invoice.number = invoicing.final_number(invoice.customer, invoice.sequential_id, now=now)
    invoice.save()
    emit("invoice.paid_credit_added", about=invoice, now=now)
    jobs.soon("document", now=now, invoice=invoice.id)


def _tell_failure(invoice: Invoice, row: WalletTransaction | None, *, now: datetime) -> None:
    if row is not None:
        emit("wallet_transaction.payment_failure", about=row, now=now)
    if invoice.status != "open":  # what is not visible is not told of
        emit("invoice.payment_failure", about=invoice, now=now)

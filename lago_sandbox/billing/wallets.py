"""Filling wallets: paid credits count when they are paid, granted ones at once."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from lago_sandbox import jobs, money, switches
from lago_sandbox.billing import consumption, invoicing
from lago_sandbox.models import Fee, Wallet, WalletTransaction
from lago_sandbox.webhooks.emit import emit


def add(wallet: Wallet, *, kind: str, credits: Decimal, now: datetime, **extra: Any) -> WalletTransaction:
    """Return a new transaction of a kind: purchased (pending), granted or voided (settled)."""
    cents, exact = money.top_up(credits, wallet.rate_amount, wallet.currency)
    is_paid = kind == "purchased"
    row = WalletTransaction.objects.create(
        created_at=now,
        wallet=wallet,
        status="pending" if is_paid else "settled",
        transaction_status=kind,
        transaction_type="outbound" if kind == "voided" else "inbound",
        amount_cents=cents,
        credit_amount=exact,
        settled_at=None if is_paid else now,
        **extra,
    )
    if is_paid:
        jobs.soon("bill_paid_credit", now=now, transaction=row.id)
    else:
        _move(wallet, -cents if kind == "voided" else cents, now=now)
    emit("wallet_transaction.created", about=row, now=now)
    return row


def bill_paid_credit(payload: dict[str, Any], now: datetime) -> None:
    """Write the credit invoice of a top-up: without a licence it is final, and told of, before anybody paid."""
    row = WalletTransaction.objects.select_related("wallet__customer").get(pk=payload["transaction"])
    if row.invoice_id or row.wallet.status != "active":
        return
    is_open = row.invoice_requires_successful_payment and switches.read("licence")
    invoice = invoicing.open_invoice(
        row.wallet.customer,
        invoice_type="credit",
        currency=row.wallet.currency,
        now=now,
        status="open" if is_open else "finalized",
    )
    invoice.fees_amount_cents = invoice.total_amount_cents = row.amount_cents
    invoice.save()
    Fee.objects.create(
        created_at=now,
        invoice=invoice,
        fee_type="credit",
        item=invoicing.item("credit", "credit", "credit", row.id, "WalletTransaction"),
        amount_cents=row.amount_cents,
        precise_amount_cents=Decimal(row.amount_cents),
        units=row.credit_amount,
    )
    row.invoice = invoice
    row.save(update_fields=["invoice"])
    if not is_open:
        emit("invoice.paid_credit_added", about=invoice, now=now)
        invoicing.after_finalizing(invoice, now=now)


def settle(payload: dict[str, Any], now: datetime) -> None:
    """Let the paid credits of an invoice count, once; a failure before it does not stand in the way."""
    row = WalletTransaction.objects.select_related("wallet").get(pk=payload["transaction"])
    if row.status == "settled":
        return
    row.status, row.settled_at, row.failed_at = "settled", now, None
    row.save()
    emit("wallet_transaction.updated", about=row, now=now)
    _move(row.wallet, row.amount_cents, now=now)


def fail(row: WalletTransaction, *, now: datetime) -> None:
    """Note that a payment was declined; settled is final."""
    if row.status == "settled":
        return
    row.status, row.failed_at = "failed", now
    row.save()
    emit("wallet_transaction.updated", about=row, now=now)


def fill_new(payload: dict[str, Any], now: datetime) -> None:
    """Give a new wallet what it was created with; its answer said 0."""
    wallet = Wallet.objects.get(pk=payload["wallet"])
    for kind in ("purchased", "granted"):
        credits = Decimal(payload[kind])
        if credits:
            add(wallet, kind=kind, credits=credits, now=now, metadata=payload["metadata"], name=payload["name"] or None,
                invoice_requires_successful_payment=wallet.invoice_requires_successful_payment)  # fmt: skip


def terminate(wallet: Wallet, *, now: datetime) -> None:
    """End a wallet: what is left is forfeited, without a transaction; repeating changes nothing."""
    if wallet.status == "terminated":
        return
    wallet.status, wallet.terminated_at, wallet.updated_at = "terminated", now, now
    wallet.save()
    emit("wallet.terminated", about=wallet, now=now)


def expire(payload: dict[str, Any], now: datetime) -> None:
    """End a wallet whose time is over."""
    wallet = Wallet.objects.filter(pk=payload["wallet"]).first()
    if wallet is not None and wallet.expiration_at is not None and wallet.expiration_at <= now:
        terminate(wallet, now=now)


def _move(wallet: Wallet, cents: int, *, now: datetime) -> None:
    wallet.refresh_from_db()
    wallet.balance_cents += cents
    wallet.synced_at = wallet.updated_at = now
    wallet.save()
    consumption.refresh_ongoing(wallet, now=now)
    emit("wallet.updated", about=wallet, now=now)

"""Invoices that eat wallets: only at invoicing, by priority, and only what a wallet may pay for."""

from datetime import datetime, timedelta
from uuid import UUID

from lago_sandbox import jobs, switches
from lago_sandbox.billing import charges, terms
from lago_sandbox.models import Fee, Invoice, Subscription, Wallet, WalletTransaction
from lago_sandbox.webhooks.emit import emit


def consume(invoice: Invoice, *, now: datetime) -> None:
    """Pay what is due from the customer's wallets; a wallet without restriction pays plan fees too."""
    fees = list(invoice.fees.select_related("charge__metric"))
    unpaid = {fee.id: fee.amount_cents for fee in fees}
    due = sum(unpaid.values()) - invoice.credit_notes_amount_cents
    wallets = Wallet.objects.filter(
        customer=invoice.customer, status="active", currency=invoice.currency, balance_cents__gt=0
    )
    for wallet in wallets.order_by("priority", "created_at"):
        payable = [fee for fee in fees if may_pay(wallet, fee)]
        paid = min(due, wallet.balance_cents, sum(unpaid[fee.id] for fee in payable))
        if paid <= 0:
            continue
        due -= paid
        _mark_paid(unpaid, payable, paid)
        _take(wallet, paid, invoice, now=now)
    for wallet in Wallet.objects.filter(customer=invoice.customer, status="active"):
        refresh_ongoing(wallet, now=now)


def may_pay(wallet: Wallet, fee: Fee) -> bool:
    """Say whether `applies_to` lets a wallet pay a fee."""
    if not wallet.fee_types and not wallet.metric_codes:
        return True
    if fee.fee_type in wallet.fee_types:
        return True
    return fee.charge is not None and fee.charge.metric.code in wallet.metric_codes


def refresh_ongoing(wallet: Wallet, *, now: datetime) -> None:
    """Compute anew what unbilled usage will take of a wallet; without a licence only side effects call this."""
    total = 0
    active = Subscription.objects.filter(customer=wallet.customer, status="active").select_related("plan")
    for subscription in active:
        begins, ends = terms.charges_range(subscription, terms.period(subscription, now.date()))
        for used in charges.usage(subscription, begins=begins, ends=ends, visible_at=now):
            stand_in = Fee(fee_type="charge", charge=used.charge)
            total += used.cents if may_pay(wallet, stand_in) else 0
    was = wallet.balance_cents - wallet.ongoing_usage_cents
    Wallet.objects.filter(pk=wallet.pk).update(ongoing_usage_cents=total, synced_at=now)
    wallet.refresh_from_db()
    if was > 0 >= wallet.balance_cents - total:
        emit("wallet.depleted_ongoing_balance", about=wallet, now=now)
    if wallet.rules and switches.read("licence"):
        due_at = now + timedelta(seconds=2)
        jobs.once("threshold_top_up", key=f"threshold:{wallet.id}", due_at=due_at, wallet=wallet.id)


def _mark_paid(unpaid: dict[UUID, int], payable: list[Fee], paid: int) -> None:
    for fee in payable:
        part = min(paid, unpaid[fee.id])
        unpaid[fee.id] -= part
        paid -= part


def _take(wallet: Wallet, cents: int, invoice: Invoice, *, now: datetime) -> None:
    granted = min(cents, _granted_left(wallet))  # granted credits go before purchased ones
    wallet.balance_cents -= cents
    wallet.consumed_cents += cents
    wallet.consumed_at = wallet.updated_at = now
    wallet.save()
    invoice.prepaid_credit_amount_cents += cents
    invoice.prepaid_granted_cents += granted
    emit("wallet.updated", about=wallet, now=now)
    taken = WalletTransaction.objects.create(
        created_at=now,
        wallet=wallet,
        status="settled",
        transaction_status="invoiced",
        transaction_type="outbound",
        amount_cents=cents,
        credit_amount=wallet.credits(cents),
        invoice=invoice,
        settled_at=now,
    )
    emit("wallet_transaction.created", about=taken, now=now)


def _granted_left(wallet: Wallet) -> int:
    """Return what is left of granted credits, given that they went first."""
    granted = taken = 0
    for row in wallet.transactions.filter(status="settled"):
        granted += row.amount_cents if row.transaction_status == "granted" else 0
        taken += row.amount_cents if row.transaction_type == "outbound" else 0
    return max(0, granted - taken)

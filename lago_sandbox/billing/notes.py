"""Credit notes: what was paid in advance and not used, set off against later invoices before any wallet."""

from datetime import datetime
from decimal import Decimal

from lago_sandbox import money
from lago_sandbox.billing import terms
from lago_sandbox.models import Credit, CreditNote, Fee, Invoice, Subscription
from lago_sandbox.webhooks.emit import emit


def for_unused_days(subscription: Subscription, *, days: int, now: datetime) -> CreditNote | None:
    """Return a credit note over the last days of the present period, or None where nothing was charged for them."""
    fee = _fee_of_present_period(subscription, now)
    if fee is None:
        return None
    period = terms.period(subscription, now.date())
    unused = money.round_half_up(Decimal(subscription.plan.amount_cents) * days / period.days)
    amount = min(unused, fee.amount_cents - fee.credited_cents)
    if amount <= 0:
        return None
    return _issue(fee, amount, now=now)


def apply(invoice: Invoice, *, now: datetime) -> None:
    """Set the customer's open credit notes off against an invoice that is being made."""
    due = invoice.fees_amount_cents
    open_notes = CreditNote.objects.filter(
        customer=invoice.customer, credit_status="available", currency=invoice.currency, balance_cents__gt=0
    )
    for note in open_notes.order_by("created_at"):
        used = min(due, note.balance_cents)
        if used == 0:
            break
        Credit.objects.create(created_at=now, invoice=invoice, credit_note=note, amount_cents=used)
        change(note, -used, now=now)
        invoice.credit_notes_amount_cents += used
        due -= used


def give_back(invoice: Invoice, *, now: datetime) -> None:
    """Return to its credit notes what they paid of an invoice that is void."""
    for credit in invoice.credits.select_related("credit_note"):
        change(credit.credit_note, credit.amount_cents, now=now)


def change(note: CreditNote, cents: int, *, now: datetime) -> None:
    note.balance_cents += cents
    note.credit_status = "available" if note.balance_cents else "consumed"
    note.updated_at = now
    note.save()


def _fee_of_present_period(subscription: Subscription, now: datetime) -> Fee | None:
    return (
        subscription.fees.filter(
            fee_type="subscription", pay_in_advance=True, to_at__gte=now, invoice__status="finalized"
        )
        .order_by("created_at")
        .last()
    )


def _issue(fee: Fee, amount: int, *, now: datetime) -> CreditNote:
    fee.credited_cents += amount
    fee.save(update_fields=["credited_cents"])
    count = fee.invoice.credit_notes.count() + 1
    note = CreditNote.objects.create(
        created_at=now,
        updated_at=now,
        invoice=fee.invoice,
        customer=fee.invoice.customer,
        fee=fee,
        sequential_id=count,
        number=f"{fee.invoice.number}-CN{count:03d}",
        reason="order_change",
        currency=fee.invoice.currency,
        amount_cents=amount,
        balance_cents=amount,
    )
    emit("credit_note.created", about=note, now=now)
    return note

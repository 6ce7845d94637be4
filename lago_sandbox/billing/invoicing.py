"""Writing an invoice: fees, then credit notes, then wallets; then it is final (no grace period without a licence)."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from lago_sandbox import jobs, money, switches
from lago_sandbox.billing import cards, charges, consumption, notes, periods
from lago_sandbox.models import BillingPeriod, Customer, Fee, Invoice, Subscription
from lago_sandbox.webhooks.emit import emit

PREFIX: Final = "SBX"
DRAFTS: Final = ("open", "draft")  # have no number yet


@dataclass(frozen=True)
class Bill:
    """What one subscription puts on an invoice."""

    subscription: Subscription
    reason: str
    period: periods.Period  # shown as the subscription's
    days: int | None  # how many days of `period` the base fee is for; None: no base fee
    charges: tuple[datetime, datetime] | None  # the usage billed in arrears


def open_invoice(
    customer: Customer, *, invoice_type: str, currency: str, now: datetime, status: str = "finalized"
) -> Invoice:
    """Return a new, empty invoice with the customer's next number."""
    last = customer.invoices.order_by("-sequential_id").values_list("sequential_id", flat=True).first() or 0
    return Invoice.objects.create(
        created_at=now,
        updated_at=now,
        customer=customer,
        sequential_id=last + 1,
        number=draft_number(customer) if status in DRAFTS else final_number(customer, last + 1, now=now),
        invoice_type=invoice_type,
        status=status,
        currency=currency,
        issuing_date=now.date(),
        payment_due_date=now.date() + timedelta(days=int(customer.details.get("net_payment_term") or 0)),
        payment_token=secrets.token_urlsafe(16),
    )


def final_number(customer: Customer, sequential_id: int, *, now: datetime) -> str:
    """Return a number that counts the customer's invoices, or all of the organization in a month (B55)."""
    if switches.read("numbering") == "per_customer":
        return f"{customer.slug}-{sequential_id:03d}"
    prefix = f"{PREFIX}-{now:%Y%m}-"
    return f"{prefix}{Invoice.objects.filter(number__startswith=prefix).count() + 1:03d}"


def draft_number(customer: Customer) -> str:
    return f"{PREFIX}-DRAFT" if switches.read("numbering") == "per_organization" else f"{customer.slug}-DRAFT"


def invoice_bills(bills: list[Bill], *, now: datetime) -> Invoice:
    """Return the finalized invoice over what subscriptions of one customer owe."""
    customer = bills[0].subscription.customer
    invoice = open_invoice(
        customer, invoice_type="subscription", currency=bills[-1].subscription.plan.amount_currency, now=now
    )
    for bill in bills:
        _write(bill, invoice, now=now)
    invoice.fees_amount_cents = sum(invoice.fees.values_list("amount_cents", flat=True))
    notes.apply(invoice, now=now)
    consumption.consume(invoice, now=now)
    invoice.total_amount_cents = (
        invoice.fees_amount_cents - invoice.credit_notes_amount_cents - invoice.prepaid_credit_amount_cents
    )
    _finalize(invoice, now=now)
    return invoice


def _finalize(invoice: Invoice, *, now: datetime) -> None:
    if invoice.total_amount_cents == 0:
        invoice.payment_status = "succeeded"
    if (
        invoice.fees_amount_cents == 0
        and invoice.customer.details.get("finalize_zero_amount_invoice") == "skip"
    ):
        invoice.status = "closed"  # never seen
    invoice.save()
    if invoice.status == "finalized":
        emit("invoice.created", about=invoice, now=now)
        after_finalizing(invoice, now=now)


def after_finalizing(invoice: Invoice, *, now: datetime) -> None:
    """Have the document made, a stored card charged, and what is still unpaid after its date told of."""
    jobs.soon("document", now=now, invoice=invoice.id)
    if invoice.is_payable:
        overdue_at = periods.midnight(invoice.payment_due_date) + timedelta(days=1, minutes=15)
        jobs.at("overdue", due_at=overdue_at, invoice=invoice.id)
    if invoice.is_payable and cards.is_chargeable(invoice.customer):
        jobs.soon("charge_card", now=now, invoice=invoice.id)


def _write(bill: Bill, invoice: Invoice, *, now: datetime) -> None:
    begins, ends = bill.charges or (bill.period.begins_at, bill.period.ends_at)
    BillingPeriod.objects.create(
        created_at=now,
        invoice=invoice,
        subscription=bill.subscription,
        reason=bill.reason,
        from_at=bill.period.begins_at,
        to_at=bill.period.ends_at,
        charges_from_at=begins,
        charges_to_at=ends,
    )
    if bill.days is not None:
        _write_base_fee(bill, invoice, now=now)
    if bill.charges is not None:
        for used in charges.usage(bill.subscription, begins=begins, ends=ends):
            if used.units or used.events or used.cents:
                _write_charge(bill, used, invoice, now=now)


def _write_base_fee(bill: Bill, invoice: Invoice, *, now: datetime) -> None:
    plan = bill.subscription.plan
    exact = Decimal(plan.amount_cents) * (bill.days or 0) / bill.period.days
    last = bill.period.ends_at
    Fee.objects.create(
        created_at=now,
        invoice=invoice,
        fee_type="subscription",
        subscription=bill.subscription,
        item=item("subscription", plan.code, plan.name, bill.subscription.id, "Subscription"),
        amount_cents=money.round_half_up(exact),
        precise_amount_cents=exact,
        units=Decimal(1),
        pay_in_advance=plan.pay_in_advance,
        from_at=periods.midnight(last.date() - timedelta(days=max(0, (bill.days or 1) - 1))),
        to_at=last,
    )


def _write_charge(bill: Bill, used: charges.Usage, invoice: Invoice, *, now: datetime) -> None:
    metric = used.charge.metric
    begins, ends = bill.charges or (None, None)
    Fee.objects.create(
        created_at=now,
        invoice=invoice,
        fee_type="charge",
        subscription=bill.subscription,
        charge=used.charge,
        item=item("charge", metric.code, metric.name, metric.id, "BillableMetric"),
        amount_cents=used.cents,
        precise_amount_cents=used.precise_cents,
        units=used.units,
        events_count=used.events,
        from_at=begins,
        to_at=ends,
    )


def item(kind: str, code: str, name: str, lago_id: Any, item_type: str) -> dict[str, Any]:
    """Return what a fee is for."""
    return {
        "type": kind,
        "code": code,
        "name": name,
        "description": None,
        "invoice_display_name": name,
        "filters": None,
        "filter_invoice_display_name": None,
        "lago_item_id": str(lago_id),
        "item_type": item_type,
        "grouped_by": {},
    }

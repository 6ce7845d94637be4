"""Writing an invoice: fees, then credit notes, then wallets; then it is final (no grace period without a licence)."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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
    customer: Customer,
    *,
    invoice_type: str,
    currency: str,
    now: datetime,
    status: str = "finalized",
    grace: int = 0,
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
        issuing_date=now.date() + timedelta(days=grace),
        payment_due_date=_due_date(customer, now + timedelta(days=grace)),
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
    """Return the invoice over what subscriptions of one customer owe: final, or a draft while its grace period lasts."""
    customer = bills[0].subscription.customer
    grace = grace_days(customer)
    invoice = open_invoice(
        customer,
        invoice_type="subscription",
        currency=bills[-1].subscription.plan.amount_currency,
        now=now,
        status="draft" if grace else "finalized",
        grace=grace,
    )
    for bill in bills:
        _write(bill, invoice, now=now)
    if grace:
        _sum(invoice)
        emit("invoice.drafted", about=invoice, now=now)
        due_at = periods.midnight(invoice.issuing_date) + timedelta(minutes=20)
        jobs.at("finalize", due_at=due_at, invoice=invoice.id)
    else:
        finalize(invoice, now=now)
    return invoice


def grace_days(customer: Customer) -> int:
    """Return for how many days a customer's invoices are drafts; without a licence they never are."""
    return int(customer.details.get("invoice_grace_period") or 0) if switches.read("licence") else 0


def refresh(invoice: Invoice, *, now: datetime) -> None:
    """Compute a draft's usage anew: events that came late are billed until it is final."""
    for period in invoice.periods.select_related("subscription__plan"):
        invoice.fees.filter(subscription=period.subscription, fee_type="charge").delete()
        range_ = (period.charges_from_at, period.charges_to_at)
        if period.reason != "subscription_starting":
            _write_charges(period.subscription, range_, invoice, now=now)
    _sum(invoice)


def finalize_draft(payload: dict[str, Any], now: datetime) -> None:
    """Make a draft final when its grace period is over, or when it is asked for."""
    invoice = Invoice.objects.select_related("customer").filter(pk=payload["invoice"], status="draft").first()
    if invoice is None:
        return
    refresh(invoice, now=now)
    invoice.status, invoice.issuing_date = "finalized", now.date()
    invoice.payment_due_date = _due_date(invoice.customer, now)
    invoice.number = final_number(invoice.customer, invoice.sequential_id, now=now)
    finalize(invoice, now=now)


def finalize(invoice: Invoice, *, now: datetime) -> None:
    """Let credit notes and wallets pay what they can; the rest is due."""
    _sum(invoice)
    notes.apply(invoice, now=now)
    consumption.consume(invoice, now=now)
    invoice.total_amount_cents = (
        invoice.fees_amount_cents - invoice.credit_notes_amount_cents - invoice.prepaid_credit_amount_cents
    )
    if invoice.total_amount_cents == 0:
        invoice.payment_status = "succeeded"
    skips_zero = invoice.customer.details.get("finalize_zero_amount_invoice") == "skip"
    if invoice.fees_amount_cents == 0 and skips_zero:
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


def _due_date(customer: Customer, issued: datetime) -> date:
    return issued.date() + timedelta(days=int(customer.details.get("net_payment_term") or 0))


def _sum(invoice: Invoice) -> None:
    invoice.fees_amount_cents = sum(invoice.fees.values_list("amount_cents", flat=True))
    invoice.total_amount_cents = invoice.fees_amount_cents
    invoice.save()


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
        _write_charges(bill.subscription, bill.charges, invoice, now=now)


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


def _write_charges(
    subscription: Subscription, range_: tuple[datetime, datetime], invoice: Invoice, *, now: datetime
) -> None:
    for used in charges.usage(subscription, begins=range_[0], ends=range_[1]):
        if used.units or used.events or used.cents:
            _write_charge(subscription, range_, used, invoice, now=now)


def _write_charge(
    subscription: Subscription,
    range_: tuple[datetime, datetime],
    used: charges.Usage,
    invoice: Invoice,
    *,
    now: datetime,
) -> None:
    metric = used.charge.metric
    Fee.objects.create(
        created_at=now,
        invoice=invoice,
        fee_type="charge",
        subscription=subscription,
        charge=used.charge,
        item=item("charge", metric.code, metric.name, metric.id, "BillableMetric"),
        amount_cents=used.cents,
        precise_amount_cents=used.precise_cents,
        units=used.units,
        events_count=used.events,
        from_at=range_[0],
        to_at=range_[1],
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

"""Invoices, fees and credit notes as JSON."""

from typing import Any

from lago_sandbox import clock, money
from lago_sandbox.models import BillingPeriod, Credit, CreditNote, Fee, Invoice
from lago_sandbox.shapes import customers, subscriptions


def invoice(row: Invoice, *, full: bool = True) -> dict[str, Any]:
    """Return an invoice; in a list (`full=False`) it has no fees, credits, subscriptions."""
    net = row.fees_amount_cents
    found: dict[str, Any] = {
        "lago_id": str(row.id),
        "billing_entity_code": "sandbox",
        "sequential_id": row.sequential_id,
        "number": row.number,
        "issuing_date": clock.day(row.issuing_date),
        "payment_due_date": clock.day(row.payment_due_date),
        "net_payment_term": (row.payment_due_date - row.issuing_date).days,
        "invoice_type": row.invoice_type,
        "status": row.status,
        "payment_status": row.payment_status,
        "payment_overdue": is_overdue(row),
        "currency": row.currency,
        "fees_amount_cents": net,
        "coupons_amount_cents": 0,
        "credit_notes_amount_cents": row.credit_notes_amount_cents,
        "sub_total_excluding_taxes_amount_cents": net,
        "taxes_amount_cents": 0,
        "sub_total_including_taxes_amount_cents": net,
        "prepaid_credit_amount_cents": row.prepaid_credit_amount_cents,
        "prepaid_granted_credit_amount_cents": row.prepaid_granted_cents,
        "prepaid_purchased_credit_amount_cents": row.prepaid_credit_amount_cents - row.prepaid_granted_cents,
        "progressive_billing_credit_amount_cents": 0,
        "total_amount_cents": row.total_amount_cents,
        "total_due_amount_cents": row.total_amount_cents - row.total_paid_amount_cents,
        "total_paid_amount_cents": row.total_paid_amount_cents,
        "version_number": 4,
        "self_billed": False,
        "file_url": row.file_url,
        "web_url": None,
        "created_at": clock.seconds(row.created_at),
        "updated_at": clock.seconds(row.updated_at),
        "voided_at": clock.seconds(row.voided_at),
        "customer": customers.customer(row.customer),
        "metadata": [_metadata(one) for one in row.metadata.order_by("created_at", "id")],
        "applied_taxes": [],
        "applied_invoice_custom_sections": [],
        "applied_usage_thresholds": [],
    }
    if row.payment_dispute_lost_at is not None:
        found["payment_dispute_lost_at"] = clock.seconds(row.payment_dispute_lost_at)
    return found | _details(row) if full else found


def is_overdue(row: Invoice) -> bool:
    return row.status == "finalized" and row.is_payable and row.payment_due_date < clock.now().date()


def fee(row: Fee) -> dict[str, Any]:
    currency = row.invoice.currency
    exact = money.text(money.to_major(1, currency) * row.precise_amount_cents)
    unit = (
        exact
        if row.units == 0
        else money.text(row.precise_amount_cents / row.units / money.SUBUNITS[currency])
    )
    return {
        "lago_id": str(row.id),
        "lago_charge_id": str(row.charge_id) if row.charge_id else None,
        "lago_charge_filter_id": None,
        "lago_fixed_charge_id": None,
        "lago_invoice_id": str(row.invoice_id),
        "lago_true_up_fee_id": None,
        "lago_true_up_parent_fee_id": None,
        "lago_subscription_id": str(row.subscription_id) if row.subscription_id else None,
        "lago_customer_id": str(row.invoice.customer_id),
        "external_customer_id": row.invoice.customer.external_id,
        "external_subscription_id": row.subscription.external_id if row.subscription else None,
        "item": row.item,
        "amount_cents": row.amount_cents,
        "amount_currency": currency,
        "precise_amount": float(exact),  # floats, as in Lago's answers
        "precise_total_amount": float(exact),
        "taxes_amount_cents": 0,
        "taxes_precise_amount": 0.0,
        "taxes_rate": 0.0,
        "total_amount_cents": row.amount_cents,
        "total_amount_currency": currency,
        "units": money.text(row.units),
        "total_aggregated_units": money.text(row.units),
        "precise_unit_amount": unit,
        "precise_coupons_amount_cents": "0.0",
        "sub_total_excluding_taxes_amount_cents": row.amount_cents,
        "sub_total_excluding_taxes_precise_amount_cents": money.text(row.precise_amount_cents),
        "events_count": row.events_count,
        "pay_in_advance": row.pay_in_advance,
        "invoiceable": True,
        "self_billed": False,
        "from_date": clock.seconds(row.from_at),
        "to_date": clock.seconds(row.to_at),
        "payment_status": row.invoice.payment_status,
        "created_at": clock.seconds(row.created_at),
        "succeeded_at": None,
        "failed_at": None,
        "refunded_at": None,
        "event_transaction_id": None,
        "description": None,
        "amount_details": {},
        "applied_taxes": [],
    }


def credit_note(row: CreditNote) -> dict[str, Any]:
    return {
        "lago_id": str(row.id),
        "billing_entity_code": "sandbox",
        "sequential_id": row.sequential_id,
        "number": row.number,
        "lago_invoice_id": str(row.invoice_id),
        "invoice_number": row.invoice.number,
        "issuing_date": clock.day(row.created_at.date()),
        "credit_status": row.credit_status,
        "refund_status": None,
        "reason": row.reason,
        "description": None,
        "currency": row.currency,
        "total_amount_cents": row.amount_cents,
        "taxes_amount_cents": 0,
        "taxes_rate": 0.0,
        "sub_total_excluding_taxes_amount_cents": row.amount_cents,
        "balance_amount_cents": row.balance_cents,
        "credit_amount_cents": row.amount_cents,
        "refund_amount_cents": 0,
        "offset_amount_cents": 0,
        "coupons_adjustment_amount_cents": 0,
        "created_at": clock.seconds(row.created_at),
        "updated_at": clock.seconds(row.updated_at),
        "file_url": None,
        "self_billed": False,
        "customer": customers.customer(row.customer, full=False),
        "items": [
            {
                "lago_id": str(row.id),
                "amount_cents": row.amount_cents,
                "amount_currency": row.currency,
                "fee": fee(row.fee),
            }
        ],
        "applied_taxes": [],
        "metadata": None,
        "error_details": None,
    }


def _details(row: Invoice) -> dict[str, Any]:
    periods = list(row.periods.select_related("subscription__plan").order_by("from_at"))
    return {
        "fees": [fee(one) for one in row.fees.order_by("created_at", "fee_type", "id")],
        "credits": [_credit(one) for one in row.credits.all()],
        "subscriptions": [subscriptions.subscription(one.subscription, with_plan=False) for one in periods],
        "billing_periods": [_period(one) for one in periods],
        "error_details": [],
    }


def _credit(one: Credit) -> dict[str, Any]:
    return {
        "lago_id": str(one.id),
        "amount_cents": one.amount_cents,
        "amount_currency": one.invoice.currency,
        "before_taxes": False,
        "item": {
            "lago_item_id": str(one.credit_note_id),
            "type": "credit_note",
            "code": one.credit_note.number,
            "name": one.credit_note.invoice.number,
        },
        "invoice": {"lago_id": str(one.invoice_id), "payment_status": one.invoice.payment_status},
    }


def _period(one: BillingPeriod) -> dict[str, Any]:
    return {
        "lago_subscription_id": str(one.subscription_id),
        "external_subscription_id": one.subscription.external_id,
        "lago_plan_id": str(one.subscription.plan_id),
        "subscription_from_datetime": clock.seconds(one.from_at),
        "subscription_to_datetime": clock.seconds(one.to_at),
        "charges_from_datetime": clock.seconds(one.charges_from_at),
        "charges_to_datetime": clock.seconds(one.charges_to_at),
        "invoicing_reason": one.reason,
    }


def _metadata(one: Any) -> dict[str, Any]:
    return {
        "lago_id": str(one.id),
        "key": one.key,
        "value": one.value,
        "created_at": clock.seconds(one.created_at),
    }

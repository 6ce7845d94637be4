"""Current usage: what a period's events come to so far, charges only."""

from functools import partial
from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock, money
from lago_sandbox.api import customers
from lago_sandbox.api.fields import Problems
from lago_sandbox.api.paging import page
from lago_sandbox.billing import charges, terms
from lago_sandbox.errors import NotAllowed
from lago_sandbox.models import BillingPeriod, Subscription


def current(request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Return the usage of an active subscription; 405 where there is none."""
    customer, now = customers.find(external_id), clock.now()
    row = Subscription.objects.filter(
        customer=customer, external_id=request.GET.get("external_subscription_id"), status="active"
    ).first()
    if row is None:
        raise NotAllowed("no_active_subscription")
    period = terms.period(row, now.date())
    begins, ends = terms.charges_range(row, period)
    used = charges.usage(row, begins=begins, ends=ends, visible_at=now)
    if code := request.GET.get("billable_metric_code"):
        used = [one for one in used if one.charge.metric.code == code]
    total = sum(one.cents for one in used)
    return {
        "customer_usage": {
            "from_datetime": clock.milliseconds(begins),
            "to_datetime": clock.milliseconds(ends),
            "issuing_date": clock.day(period.next_begins_at.date()),
            "currency": row.plan.amount_currency,
            "amount_cents": total,
            "taxes_amount_cents": 0,
            "total_amount_cents": total,
            "lago_invoice_id": None,
            "charges_usage": [_charge(one, row.plan.amount_currency) for one in used],
        }
    }


def past(request: HttpRequest, external_id: str) -> dict[str, Any]:
    """Return the usage that was invoiced; an unknown customer has none, and is not 404."""
    problems = Problems()
    problems.require(
        {"external_subscription_id": request.GET.get("external_subscription_id")}, "external_subscription_id"
    )
    problems.stop()
    rows = BillingPeriod.objects.filter(
        subscription__external_id=request.GET["external_subscription_id"],
        subscription__customer__external_id=external_id,
        invoice__status="finalized",
    )
    rows = rows.exclude(reason="subscription_starting").select_related("invoice", "subscription__plan")
    code = request.GET.get("billable_metric_code")
    return page(request, rows.order_by("-from_at"), name="usage_periods", shape=partial(_period, code=code))


def _period(row: BillingPeriod, *, code: str | None) -> dict[str, Any]:
    fees = row.invoice.fees.filter(subscription=row.subscription, fee_type="charge").select_related(
        "charge__metric"
    )
    if code:
        fees = fees.filter(charge__metric__code=code)
    total = sum(fee.amount_cents for fee in fees)
    return {
        "from_datetime": clock.seconds(row.charges_from_at),
        "to_datetime": clock.seconds(row.charges_to_at),
        "issuing_date": clock.day(row.invoice.issuing_date),
        "currency": row.invoice.currency,
        "amount_cents": total,
        "taxes_amount_cents": 0,
        "total_amount_cents": total,
        "lago_invoice_id": str(row.invoice.id),
        "charges_usage": [
            _charge(
                charges.Usage(fee.charge, fee.units, fee.events_count or 0, fee.precise_amount_cents),
                row.invoice.currency,
            )
            for fee in fees
            if fee.charge is not None
        ],
    }


def _charge(one: charges.Usage, currency: str) -> dict[str, Any]:
    charge, metric = one.charge, one.charge.metric
    return {
        "units": money.text(one.units),
        "total_aggregated_units": money.text(one.units),
        "events_count": one.events,
        "amount_cents": one.cents,
        "amount_currency": currency,
        "pricing_unit_details": None,
        "charge": {
            "lago_id": str(charge.id),
            "code": charge.code,
            "charge_model": charge.charge_model,
            "invoice_display_name": charge.invoice_display_name or None,
        },
        "billable_metric": {
            "lago_id": str(metric.id),
            "name": metric.name,
            "code": metric.code,
            "aggregation_type": metric.aggregation_type,
        },
        "filters": [],
        "grouped_usage": [],
        "presentation_breakdowns": [],
    }

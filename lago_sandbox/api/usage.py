"""Current usage: what a period's events come to so far, charges only."""

from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock, money
from lago_sandbox.api import customers
from lago_sandbox.billing import charges, terms
from lago_sandbox.errors import NotAllowed
from lago_sandbox.models import Subscription


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

"""Metrics, plans and charges as JSON."""

from typing import Any

from lago_sandbox import clock
from lago_sandbox.models import BillableMetric, Charge, Plan
from lago_sandbox.shapes import features


def metric(row: BillableMetric) -> dict[str, Any]:
    kept = row.details
    return {
        "lago_id": str(row.id),
        "name": row.name,
        "code": row.code,
        "description": kept.get("description"),
        "aggregation_type": row.aggregation_type,
        "weighted_interval": kept.get("weighted_interval"),
        "recurring": bool(kept.get("recurring")),
        "rounding_function": kept.get("rounding_function"),
        "rounding_precision": kept.get("rounding_precision"),
        "created_at": clock.seconds(row.created_at),
        "field_name": row.field_name or None,
        "expression": kept.get("expression") or "",
        "filters": kept.get("filters") or [],
    }


def plan(row: Plan) -> dict[str, Any]:
    kept = row.details
    return {
        "lago_id": str(row.id),
        "name": row.name,
        "invoice_display_name": kept.get("invoice_display_name") or "",
        "created_at": clock.seconds(row.created_at),
        "code": row.code,
        "interval": row.interval,
        "description": kept.get("description") or "",
        "amount_cents": row.amount_cents,
        "amount_currency": row.amount_currency,
        "trial_period": row.trial_period,
        "pay_in_advance": row.pay_in_advance,
        "bill_charges_monthly": bool(kept.get("bill_charges_monthly")),
        "bill_fixed_charges_monthly": False,
        "customers_count": 0,  # fixed at 0, at Lago too
        "active_subscriptions_count": 0,
        "draft_invoices_count": 0,
        "parent_id": None,
        "pending_deletion": row.pending_deletion,
        "charges": [charge(one) for one in row.charges.filter(deleted_at=None).order_by("created_at", "id")],
        "fixed_charges": [],
        "taxes": [],
        "usage_thresholds": [],
        "entitlements": features.of_plan(row),
        "metadata": kept.get("metadata"),
    }


def charge(row: Charge) -> dict[str, Any]:
    return {
        "lago_id": str(row.id),
        "lago_billable_metric_id": str(row.metric_id),
        "code": row.code or None,
        "invoice_display_name": row.invoice_display_name or None,
        "billable_metric_code": row.metric.code,
        "created_at": clock.seconds(row.created_at),
        "charge_model": row.charge_model,
        "invoiceable": row.invoiceable,
        "regroup_paid_fees": None,
        "pay_in_advance": row.pay_in_advance,
        "prorated": row.prorated,
        "min_amount_cents": 0,
        "properties": row.properties,
        "applied_pricing_unit": None,
        "accepts_target_wallet": None,
        "lago_parent_id": None,
        "filters": [],
        "taxes": [],
    }

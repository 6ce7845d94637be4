"""Alerts as JSON."""

from decimal import Decimal
from typing import Any

from lago_sandbox import clock
from lago_sandbox.models import Alert, BillableMetric, Customer
from lago_sandbox.shapes import catalogue

ORGANIZATION_ID = "1a901a90-1a90-1a90-1a90-1a901a901a90"


def alert(row: Alert) -> dict[str, Any]:
    metric = BillableMetric.objects.filter(code=row.billable_metric_code, deleted_at=None).first()
    return {
        "lago_id": str(row.id),
        "lago_organization_id": ORGANIZATION_ID,
        "external_subscription_id": row.external_subscription_id or None,
        "lago_wallet_id": str(row.wallet_id) if row.wallet_id else None,
        "wallet_code": row.wallet.code if row.wallet else None,
        "billable_metric": catalogue.metric(metric) if metric else None,
        "alert_type": row.alert_type,
        "code": row.code,
        "name": row.name,
        "direction": "decreasing" if row.is_decreasing else "increasing",
        "previous_value": float(row.previous_value),
        "last_processed_at": clock.seconds(row.last_processed_at),
        "thresholds": row.thresholds,
        "created_at": clock.seconds(row.created_at),
    }


def triggered(
    row: Alert, *, subscription: Any, customer: Customer, value: Decimal, crossed: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what alert.triggered says."""
    return {
        "lago_id": str(row.id),
        "lago_organization_id": ORGANIZATION_ID,
        "lago_alert_id": str(row.id),
        "lago_subscription_id": str(subscription.id) if subscription else None,
        "external_subscription_id": row.external_subscription_id or None,
        "lago_wallet_id": str(row.wallet_id) if row.wallet_id else None,
        "wallet_code": row.wallet.code if row.wallet else None,
        "external_customer_id": customer.external_id,
        "billable_metric_code": row.billable_metric_code or None,
        "alert_type": row.alert_type,
        "alert_code": row.code,
        "alert_name": row.name,
        "current_value": float(value),
        "previous_value": float(row.previous_value),
        "triggered_at": clock.seconds(clock.now()),
        "crossed_thresholds": crossed,
    }

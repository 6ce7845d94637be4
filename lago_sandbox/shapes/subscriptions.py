"""Subscriptions and events as JSON."""

from typing import Any

from lago_sandbox import clock, switches
from lago_sandbox.billing import terms
from lago_sandbox.models import Event, Subscription
from lago_sandbox.shapes import catalogue, customers, features


def subscription(row: Subscription, *, with_plan: bool = True, with_customer: bool = False) -> dict[str, Any]:
    """Return a subscription; nested in an invoice it has no plan, in a webhook it has plan and customer."""
    following = row.following.exclude(status="canceled").order_by("created_at").last()
    is_planned = following is not None and following.status == "pending"
    period = terms.current_period(row)
    found: dict[str, Any] = {
        "lago_id": str(row.id),
        "external_id": row.external_id,
        "lago_customer_id": str(row.customer_id),
        "external_customer_id": row.customer.external_id,
        "billing_entity_code": "sandbox",
        "name": row.name or None,
        "plan_code": row.plan.code,
        "plan_amount_cents": row.plan.amount_cents,
        "plan_amount_currency": row.plan.amount_currency,
        "status": row.status,
        "billing_time": row.billing_time,
        "subscription_at": clock.seconds(row.subscription_at),
        "started_at": clock.milliseconds(row.started_at),
        "activated_at": clock.seconds(row.started_at),
        "trial_ended_at": clock.seconds(row.trial_ended_at),
        "ending_at": clock.seconds(row.ending_at),
        "terminated_at": clock.seconds(row.terminated_at),
        "canceled_at": clock.seconds(row.canceled_at),
        "created_at": clock.seconds(row.created_at),
        "previous_plan_code": row.previous.plan.code if row.previous else None,
        "next_plan_code": following.plan.code if following else None,
        "downgrade_plan_date": clock.day(terms.downgrade_day(row)) if is_planned else None,
        "current_billing_period_started_at": clock.seconds(period[0]) if period else None,
        "current_billing_period_ending_at": clock.seconds(period[1]) if period else None,
        "on_termination_credit_note": row.on_termination_credit_note if row.plan.pay_in_advance else None,
        "on_termination_invoice": row.on_termination_invoice,
        "consolidate_invoice": True,
        "activation_rules": [],
        "applied_invoice_custom_sections": [],
        "payment_method": {"payment_method_type": "provider"},
        "purchase_order_number": None,
    }
    if with_plan:
        found |= {
            "plan": catalogue.plan(row.plan),
            "entitlements": features.of_subscription(row),
            "applicable_usage_thresholds": [],
        }
    if with_customer:
        found["customer"] = customers.customer(row.customer)
    return found


def event(row: Event) -> dict[str, Any]:
    """Return an event; whose it is, Lago does not say (both ids are always null), and from ClickHouse not which it is."""
    is_row = switches.read("events_store") == "postgres"
    return {
        "lago_id": str(row.id) if is_row else None,
        "transaction_id": row.transaction_id,
        "lago_customer_id": None,
        "code": row.code,
        "timestamp": clock.milliseconds(row.timestamp),
        "precise_total_amount_cents": row.precise_total_amount_cents,
        "properties": row.properties,
        "lago_subscription_id": None,
        "external_subscription_id": row.external_subscription_id,
        "created_at": clock.seconds(row.created_at) if is_row else None,
    }

"""What deleting leaves to the background: customers and plans take their relations with them."""

from datetime import datetime
from typing import Any

from lago_sandbox.billing import lifecycle, wallets
from lago_sandbox.models import Customer, Plan, Subscription, Wallet


def remove_customer(payload: dict[str, Any], now: datetime) -> None:
    """End a deleted customer's subscriptions and wallets."""
    customer = Customer.objects.get(pk=payload["customer"])
    _end(Subscription.objects.filter(customer=customer, status="active"), now)
    for wallet in Wallet.objects.filter(customer=customer, status="active"):
        wallets.terminate(wallet, now=now)


def remove_plan(payload: dict[str, Any], now: datetime) -> None:
    """End the subscriptions of a plan that is being deleted, and delete it."""
    plan = Plan.objects.get(pk=payload["plan"])
    _end(Subscription.objects.filter(plan=plan, status="active"), now)
    Plan.objects.filter(pk=plan.pk).update(deleted_at=now)


def _end(subscriptions: Any, now: datetime) -> None:
    for row in subscriptions.select_related("plan", "customer"):
        lifecycle.terminate(row, credit_note="credit", invoice="generate", now=now)

"""Recurring rules of a wallet: at most one, any wrong value is the same refusal."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from lago_sandbox import clock, switches
from lago_sandbox.api.fields import decimal_text, is_blank
from lago_sandbox.billing.periods import INTERVALS
from lago_sandbox.errors import ApiError, Invalid


def of_new_wallet(given: Any, now: datetime) -> list[dict[str, Any]]:
    """Return the rules of a wallet that is being made; without a licence a real Lago answers 500 here (B42)."""
    if not given:
        return []
    if not switches.read("licence"):
        raise ApiError
    return _rules(given, [], now)


def changed(given: Any, before: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return the rules after an update: named by lago_id they are changed; without a licence nothing happens, silently."""
    if not isinstance(given, list) or not switches.read("licence"):
        return before
    return _rules(given, before, now)


def _rules(given: list[dict[str, Any]], before: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    if len(given) > 1:
        raise Invalid({"recurring_transaction_rules": ["invalid_number_of_recurring_rules"]})
    known = {one["lago_id"]: one for one in before}
    found = [_rule(known.get(str(one.get("lago_id")), {}) | one, now) for one in given]
    if any(one is None for one in found):
        raise Invalid({"recurring_transaction_rules": ["invalid_recurring_rule"]})
    return [one for one in found if one is not None]


def _rule(given: dict[str, Any], now: datetime) -> dict[str, Any] | None:
    method, trigger = given.get("method") or "fixed", given.get("trigger")
    texts = {name: given.get(name) for name in ("paid_credits", "granted_credits", "threshold_credits")}
    is_right = (
        method in ("fixed", "target")
        and trigger in ("interval", "threshold")
        and (trigger != "interval" or given.get("interval") in INTERVALS)
        and all(is_blank(one) or decimal_text(one) is not None for one in texts.values())
        and (trigger != "threshold" or not is_blank(texts["threshold_credits"]))
        and (method != "target" or decimal_text(given.get("target_ongoing_balance")) is not None)
    )
    if not is_right:
        return None
    return {
        "lago_id": str(given.get("lago_id") or uuid4()),
        "trigger": trigger,
        "method": method,
        "interval": given.get("interval"),
        "status": "active",
        "threshold_credits": texts["threshold_credits"] or "0.0",
        "paid_credits": texts["paid_credits"] or "0.0",
        "granted_credits": texts["granted_credits"] or "0.0",
        "grants_target_top_up": bool(given.get("grants_target_top_up")),
        "started_at": given.get("started_at"),
        "target_ongoing_balance": given.get("target_ongoing_balance"),
        "created_at": given.get("created_at") or clock.seconds(now),
        "expiration_at": given.get("expiration_at"),
        "invoice_requires_successful_payment": bool(given.get("invoice_requires_successful_payment")),
        "transaction_metadata": given.get("transaction_metadata") or [],
        "transaction_name": given.get("transaction_name"),
        "ignore_paid_top_up_limits": bool(given.get("ignore_paid_top_up_limits")),
        "applied_invoice_custom_sections": [],
        "payment_method": {"payment_method_type": "provider"},
        "purchase_order_number": None,
    }

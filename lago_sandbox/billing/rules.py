"""Lago's own automatic top-ups (with a licence): at a threshold of the ongoing balance, or every so often.

As at v1.51.0: one increment at a time, and a declined one is tried again at the next look.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from lago_sandbox import clock, jobs, money
from lago_sandbox.billing import periods, wallets
from lago_sandbox.models import Wallet


def top_up(payload: dict[str, Any], now: datetime) -> None:
    """Top up a wallet whose ongoing balance, with what is on its way, is not above the threshold."""
    wallet = Wallet.objects.filter(pk=payload["wallet"], status="active").first()
    rule = rule_of(wallet, "threshold", now) if wallet else None
    if wallet is None or rule is None:
        return
    expected = wallet.balance_cents - wallet.ongoing_usage_cents + _on_its_way(wallet)
    if wallet.credits(expected) <= Decimal(rule["threshold_credits"]):
        _add(wallet, rule, missing=wallet.credits(expected), now=now)


def top_up_regularly(payload: dict[str, Any], now: datetime) -> None:
    """Top up a wallet by its interval, and plan the next time."""
    wallet = Wallet.objects.filter(pk=payload["wallet"], status="active").first()
    rule = rule_of(wallet, "interval", now) if wallet else None
    if wallet is None or rule is None:
        return
    ongoing = wallet.credits(wallet.balance_cents - wallet.ongoing_usage_cents + _on_its_way(wallet))
    _add(wallet, rule, missing=ongoing, now=now)
    plan_interval(wallet, now=now)


def plan_interval(wallet: Wallet, *, now: datetime) -> None:
    """Plan the next regular top-up."""
    rule = rule_of(wallet, "interval", now)
    if rule is None:
        return
    anchor = clock.parse(rule["started_at"]) or clock.parse(rule["created_at"]) or now
    if anchor > now:
        due_at = anchor
    else:
        present = periods.containing(
            interval=rule["interval"], billing_time="anniversary", anchor=anchor.date(), day=now.date()
        )
        due_at = present.next_begins_at
    jobs.once("interval_top_up", key=f"interval:{wallet.id}", due_at=due_at, wallet=wallet.id)


def rule_of(wallet: Wallet, trigger: str, now: datetime) -> dict[str, Any] | None:
    """Return the wallet's living rule of a kind."""
    for rule in wallet.rules:
        ends = clock.parse(rule["expiration_at"])
        if rule["trigger"] == trigger and rule["status"] == "active" and (ends is None or ends > now):
            found: dict[str, Any] = rule
            return found
    return None


def _on_its_way(wallet: Wallet) -> int:
    return sum(wallet.transactions.filter(status="pending").values_list("amount_cents", flat=True))


def _add(wallet: Wallet, rule: dict[str, Any], *, missing: Decimal, now: datetime) -> None:
    amounts = {"purchased": Decimal(rule["paid_credits"]), "granted": Decimal(rule["granted_credits"])}
    if rule["method"] == "target":
        gap = max(Decimal(0), Decimal(rule["target_ongoing_balance"] or 0) - missing)
        amounts = {"granted" if rule["grants_target_top_up"] else "purchased": gap}
    for kind, credits in amounts.items():
        if money.top_up(credits, wallet.rate_amount, wallet.currency)[0] > 0:
            wallets.add(
                wallet,
                kind=kind,
                credits=credits,
                now=now,
                source=rule["trigger"],
                metadata=rule["transaction_metadata"],
                name=rule["transaction_name"],
                invoice_requires_successful_payment=rule["invoice_requires_successful_payment"],
            )

"""Wallets."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock, jobs, money, switches
from lago_sandbox.api import customers, rules
from lago_sandbox.api.fields import Problems, decimal_text, is_blank, moment
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing import consumption
from lago_sandbox.billing import rules as recurring_top_ups
from lago_sandbox.billing import wallets as filling
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Customer, Wallet
from lago_sandbox.shapes import wallets as shape
from lago_sandbox.webhooks.emit import emit


def create(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    """Make a wallet; its answer shows 0, what it starts with arrives a moment later."""
    given, now = root(request, "wallet"), clock.now()
    customer = _customer(external_id or given.get("external_customer_id"))
    rate = _check(given, customer)
    recurring = rules.of_new_wallet(given.get("recurring_transaction_rules"), now)
    applies_to = given.get("applies_to") or {}
    row = Wallet.objects.create(
        created_at=now,
        updated_at=now,
        customer=customer,
        code=given.get("code"),
        name=given.get("name"),
        currency=given.get("currency") or customer.currency,
        rate_amount=rate,
        priority=given.get("priority") or 50,
        fee_types=applies_to.get("fee_types") or [],
        metric_codes=applies_to.get("billable_metric_codes") or [],
        invoice_requires_successful_payment=bool(given.get("invoice_requires_successful_payment")),
        minimum_cents=given.get("paid_top_up_min_amount_cents"),
        maximum_cents=given.get("paid_top_up_max_amount_cents"),
        metadata=given.get("metadata"),
        rules=recurring,
        expiration_at=moment(Problems(), given, "expiration_at"),
    )
    customer.currency = customer.currency or row.currency
    customer.save(update_fields=["currency"])
    jobs.soon(
        "fill_wallet",
        now=now,
        wallet=row.id,
        purchased=given.get("paid_credits") or "0",
        granted=given.get("granted_credits") or "0",
        metadata=given.get("transaction_metadata") or [],
        name=given.get("transaction_name") or "",
    )
    _plan_expiry(row)
    recurring_top_ups.plan_interval(row, now=now)
    emit("wallet.created", about=row, now=now)
    return {"wallet": shape.wallet(row)}


def index(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    rows = Wallet.objects.select_related("customer").order_by("-created_at", "id")
    if name := external_id or request.GET.get("external_customer_id"):
        rows = rows.filter(customer=customers.find(name))
    return page(request, rows, name="wallets", shape=shape.wallet)


def show(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"wallet": shape.wallet(find(lago_id))}


def update(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Change what may be changed: rate and currency may not."""
    row, given, now = find(lago_id), root(request, "wallet"), clock.now()
    problems = Problems()
    row.name = given.get("name", row.name)
    row.priority = given.get("priority") or row.priority
    if "expiration_at" in given:
        row.expiration_at = moment(problems, given, "expiration_at")
    problems.stop()
    if isinstance(given.get("applies_to"), dict):
        row.fee_types = given["applies_to"].get("fee_types") or []
        row.metric_codes = given["applies_to"].get("billable_metric_codes") or []
    row.metadata = given.get("metadata", row.metadata)
    row.rules = rules.changed(given.get("recurring_transaction_rules"), row.rules, now)
    row.updated_at = now
    row.save()
    _plan_expiry(row)
    consumption.refresh_ongoing(row, now=now)
    emit("wallet.updated", about=row, now=now)
    return {"wallet": shape.wallet(row)}


def delete(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = find(lago_id)
    filling.terminate(row, now=clock.now())
    return {"wallet": shape.wallet(row)}


def _customer(external_id: Any) -> Customer:
    """Return the customer; an unknown one is 422 here, not 404."""
    try:
        return customers.find(str(external_id or ""))
    except NotFound:
        raise Invalid({"customer": ["customer_not_found"]}) from None


def _check(given: dict[str, Any], customer: Customer) -> Decimal:
    problems = Problems()
    rate = decimal_text(given.get("rate_amount"))
    if rate is None or rate <= 0:
        problems.add("rate_amount", "invalid_rate_amount" if rate is None else "value_is_out_of_range")
    for name in ("paid_credits", "granted_credits"):
        if not is_blank(given.get(name)) and decimal_text(given[name]) is None:
            problems.add(name, f"invalid_{name}", "invalid_amount")
    if not money.is_known(given.get("currency") or customer.currency):
        problems.add("currency", "value_is_invalid")
    elif customers.is_other_currency(customer, given.get("currency")):
        problems.add("currency", "currencies_does_not_match")
    _check_place(problems, given, customer)
    expires_at = moment(problems, given, "expiration_at")
    if expires_at is not None and expires_at <= clock.now():
        problems.add("expiration_at", "invalid_date")
    problems.stop()
    return rate or Decimal(1)


def _check_place(problems: Problems, given: dict[str, Any], customer: Customer) -> None:
    active = customer.wallets.filter(status="active")
    if active.count() >= switches.read("wallet_limit"):
        problems.add("customer", "wallet_limit_reached")
    if given.get("code") and active.filter(code=given["code"]).exists():
        problems.add("code", "value_already_exist")


def find(lago_id: UUID) -> Wallet:
    """Return a wallet or answer 404."""
    found = Wallet.objects.select_related("customer").filter(pk=lago_id).first()
    if found is None:
        raise NotFound("wallet")
    return found


def _plan_expiry(row: Wallet) -> None:
    if row.expiration_at is not None:
        due_at: datetime = row.expiration_at
        jobs.once("expire_wallet", key=f"expire:{row.id}", due_at=due_at, wallet=row.id)

"""Wallets and top-ups; a top-up has no idempotency key: sent twice it is made twice."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock, jobs, money, settings, switches
from lago_sandbox.api import customers
from lago_sandbox.api.fields import Problems, decimal_text, is_blank, moment
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing import consumption, payments
from lago_sandbox.billing import wallets as filling
from lago_sandbox.errors import ApiError, Invalid, NotFound
from lago_sandbox.models import Customer, Wallet, WalletTransaction
from lago_sandbox.shapes import wallets as shape
from lago_sandbox.webhooks.emit import emit

LIMIT: Final = 6  # wallets of a customer
KINDS: Final = {"paid_credits": "purchased", "granted_credits": "granted", "voided_credits": "voided"}


def create(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    """Make a wallet; its answer shows 0, what it starts with arrives a moment later."""
    given, now = root(request, "wallet"), clock.now()
    customer = _customer(external_id or given.get("external_customer_id"))
    rate = _check(given, customer)
    if given.get("recurring_transaction_rules") and not switches.read("licence"):
        raise ApiError  # a real Lago without a licence answers 500 here
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
    emit("wallet.created", about=row, now=now)
    return {"wallet": shape.wallet(row)}


def index(request: HttpRequest, external_id: str | None = None) -> dict[str, Any]:
    rows = Wallet.objects.select_related("customer").order_by("-created_at", "id")
    if name := external_id or request.GET.get("external_customer_id"):
        rows = rows.filter(customer=customers.find(name))
    return page(request, rows, name="wallets", shape=shape.wallet)


def show(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"wallet": shape.wallet(_wallet(lago_id))}


def update(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Change what may be changed: rate and currency may not."""
    row, given, now = _wallet(lago_id), root(request, "wallet"), clock.now()
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
    row.updated_at = now
    row.save()
    _plan_expiry(row)
    consumption.refresh_ongoing(row, now=now)
    emit("wallet.updated", about=row, now=now)
    return {"wallet": shape.wallet(row)}


def delete(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    row = _wallet(lago_id)
    filling.terminate(row, now=clock.now())
    return {"wallet": shape.wallet(row)}


def top_up(request: HttpRequest) -> dict[str, Any]:
    """Make one transaction for each kind that is not zero; paid and granted add up."""
    given, now = root(request, "wallet_transaction"), clock.now()
    wallet = _active_wallet(given.get("wallet_id"))
    amounts = _amounts(given, wallet)
    metadata = _metadata(given.get("metadata"))
    rows = [
        filling.add(
            wallet,
            kind=kind,
            credits=credits,
            now=now,
            metadata=metadata,
            name=given.get("name"),
            priority=given.get("priority") or 50,
            invoice_requires_successful_payment=bool(
                given.get("invoice_requires_successful_payment", wallet.invoice_requires_successful_payment)
            ),
        )
        for kind, credits in amounts.items()
    ]
    return {"wallet_transactions": [shape.transaction(row) for row in rows]}


def index_transactions(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Return a wallet's transactions; a filter value that does not exist is ignored."""
    rows = WalletTransaction.objects.filter(wallet=_wallet(lago_id)).select_related("wallet")
    for name, allowed in (
        ("status", ("pending", "settled", "failed")),
        ("transaction_status", ("purchased", "granted", "voided", "invoiced")),
        ("transaction_type", ("inbound", "outbound")),
    ):
        if request.GET.get(name) in allowed:
            rows = rows.filter(**{name: request.GET[name]})
    wanted = {name[9:-1]: value for name, value in request.GET.items() if name.startswith("metadata[")}
    if wanted:
        matching = [
            pk
            for pk, kept in rows.values_list("pk", "metadata")
            if all({"key": key, "value": value} in kept for key, value in wanted.items())
        ]
        rows = rows.filter(pk__in=matching)
    return page(
        request, rows.order_by("-created_at", "id"), name="wallet_transactions", shape=shape.transaction
    )


def show_transaction(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    return {"wallet_transaction": shape.transaction(_transaction(lago_id))}


def payment_url(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Return where a top-up is paid; asked before its invoice is made it is 422."""
    row = _transaction(lago_id)
    customer = row.wallet.customer
    if row.transaction_status != "purchased":
        raise Invalid({"base": ["wallet_transaction_not_purchased"]})
    if row.status == "settled":
        raise Invalid({"base": ["wallet_transaction_already_settled"]})
    if row.invoice is None:
        raise Invalid({"base": ["wallet_transaction_has_no_attached_invoice"]})
    payments.require_provider(customer)
    if not row.invoice.is_payable:
        raise Invalid({"base": ["invalid_invoice_status_or_payment_status"]})
    return {
        "wallet_transaction_payment_details": {
            "lago_customer_id": str(customer.id),
            "external_customer_id": customer.external_id,
            "payment_provider": customer.payment_provider,
            "lago_wallet_transaction_id": str(row.id),
            "payment_url": f"{settings.URL}/pay/{row.invoice.payment_token}",
        }
    }


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
    elif customer.currency and given.get("currency") not in (None, "", customer.currency):
        problems.add("currency", "currencies_does_not_match")
    _check_place(problems, given, customer)
    expires_at = moment(problems, given, "expiration_at")
    if expires_at is not None and expires_at <= clock.now():
        problems.add("expiration_at", "invalid_date")
    problems.stop()
    return rate or Decimal(1)


def _check_place(problems: Problems, given: dict[str, Any], customer: Customer) -> None:
    active = customer.wallets.filter(status="active")
    if active.count() >= LIMIT:
        problems.add("customer", "wallet_limit_reached")
    if given.get("code") and active.filter(code=given["code"]).exists():
        problems.add("code", "value_already_exist")


def _amounts(given: dict[str, Any], wallet: Wallet) -> dict[str, Decimal]:
    """Return the credits of each kind that is not zero."""
    problems, found = Problems(), {}
    for name, kind in KINDS.items():
        if is_blank(given.get(name)):
            continue
        credits = decimal_text(given[name])
        if credits is None:
            problems.add(name, f"invalid_{name}", "invalid_amount")
        elif credits:
            found[kind] = credits
            _check_amount(problems, name, credits, given, wallet)
    problems.stop()
    return found


def _check_amount(
    problems: Problems, name: str, credits: Decimal, given: dict[str, Any], wallet: Wallet
) -> None:
    cents, _ = money.top_up(credits, wallet.rate_amount, wallet.currency)
    if cents == 0:
        problems.add(name, "amount_rounds_to_zero")
    elif name == "voided_credits" and cents > wallet.balance_cents:
        problems.add(name, "insufficient_credits")
    elif name == "paid_credits" and not given.get("ignore_paid_top_up_limits"):
        if wallet.minimum_cents is not None and cents < wallet.minimum_cents:
            problems.add(name, "amount_below_minimum")
        if wallet.maximum_cents is not None and cents > wallet.maximum_cents:
            problems.add(name, "amount_above_maximum")


def _metadata(given: Any) -> list[dict[str, str]]:
    """Return a transaction's metadata; what is wrong is a bare code, not a list."""
    if given is None:
        return []
    if not isinstance(given, list):
        raise Invalid({"metadata": "invalid_type"})
    if len(given) > 15:
        raise Invalid({"metadata": "too_many_keys"})
    for one in given:
        if not isinstance(one, dict) or set(one) != {"key", "value"}:
            raise Invalid({"metadata": "invalid_key_value_pair"})
        if len(str(one["key"])) > 20:
            raise Invalid({"metadata": "key_too_long"})
        if len(str(one["value"])) > 100:
            raise Invalid({"metadata": "value_too_long"})
    return [{"key": str(one["key"]), "value": str(one["value"])} for one in given]


def _active_wallet(lago_id: Any) -> Wallet:
    try:
        row = Wallet.objects.select_related("customer").filter(pk=UUID(str(lago_id))).first()
    except ValueError:
        row = None
    if row is None:
        raise Invalid({"wallet_id": ["wallet_not_found"]})
    if row.status == "terminated":
        raise Invalid({"wallet_id": ["wallet_is_terminated"]})
    return row


def _wallet(lago_id: UUID) -> Wallet:
    found = Wallet.objects.select_related("customer").filter(pk=lago_id).first()
    if found is None:
        raise NotFound("wallet")
    return found


def _transaction(lago_id: UUID) -> WalletTransaction:
    rows = WalletTransaction.objects.select_related("wallet__customer", "invoice__customer")
    found = rows.filter(pk=lago_id).first()
    if found is None:
        raise NotFound("wallet_transaction")
    return found


def _plan_expiry(row: Wallet) -> None:
    if row.expiration_at is not None:
        due_at: datetime = row.expiration_at
        jobs.once("expire_wallet", key=f"expire:{row.id}", due_at=due_at, wallet=row.id)

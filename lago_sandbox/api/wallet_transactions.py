"""Top-ups; they have no idempotency key: sent twice it is made twice."""

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest

from lago_sandbox import clock, money, settings
from lago_sandbox.api import wallets
from lago_sandbox.api.fields import Problems, decimal_text, is_blank
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import root
from lago_sandbox.billing import payments
from lago_sandbox.billing import wallets as filling
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import Wallet, WalletTransaction
from lago_sandbox.shapes import wallets as shape

KINDS: Final = {"paid_credits": "purchased", "granted_credits": "granted", "voided_credits": "voided"}


def create(request: HttpRequest) -> dict[str, Any]:
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


def index(request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
    """Return a wallet's transactions; a filter value that does not exist is ignored."""
    rows = WalletTransaction.objects.filter(wallet=wallets.find(lago_id)).select_related("wallet")
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


def show(_request: HttpRequest, lago_id: UUID) -> dict[str, Any]:
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


def _transaction(lago_id: UUID) -> WalletTransaction:
    rows = WalletTransaction.objects.select_related("wallet__customer", "invoice__customer")
    found = rows.filter(pk=lago_id).first()
    if found is None:
        raise NotFound("wallet_transaction")
    return found

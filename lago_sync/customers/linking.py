"""Which customer and wallet of Lago an organization is: made at the first purchase or subscription, found ever after.

Each step finds what an earlier try left, at Lago or here, so a crash between two of them is healed by the next call.
"""

from datetime import datetime
from typing import Any

from django.conf import settings

from kit import transactions
from lago_sync.client import customers, wallets
from lago_sync.client.transport import Json
from lago_sync.customers import restrictions
from lago_sync.errors import LagoRefused, PurchasesStopped
from lago_sync.models import LagoCustomer
from orgs.models import Membership, Organization


def ensure_customer(*, organization: Organization, now: datetime) -> LagoCustomer:
    """Return the organization's customer, made at Lago if there is none. Opens the transaction around its own row.

    Raises LagoUnavailable, LagoRefused; PurchasesStopped where Lago has the customer in another currency.
    """
    known = LagoCustomer.objects.filter(organization=organization).first()
    if known is not None:
        return known
    found = customers.get(organization.public_id)
    made = _adopt(organization, found) if found is not None else _make(organization, now)
    with transactions.durable():
        LagoCustomer.objects.bulk_create(
            [
                LagoCustomer(
                    organization=organization,
                    lago_id=made["lago_id"],
                    currency=made.get("currency") or organization.currency,
                    created_at=now,
                )
            ],
            ignore_conflicts=True,  # another worker was as far as we are
        )
        return LagoCustomer.objects.select_related("organization").get(organization=organization)


def ensure_wallet(*, customer: LagoCustomer, now: datetime) -> LagoCustomer:
    """Return the customer with its one wallet, made at Lago if there is none, and checked each time.

    Raises PurchasesStopped where one of the customer's wallets would bill twice, or where ours was terminated: what is
    on its way to a terminated wallet could not be found in a new one. LagoUnavailable, LagoRefused.
    """
    public_id = customer.organization.public_id
    found = list(wallets.of_customer(public_id))
    ours = _ours(found)
    if ours is None and customer.wallet_id is None:
        ours = _make_wallet(public_id, customer.currency)
        found = [*found, ours]
    _require_safe(public_id, found)
    if ours is None or str(customer.wallet_id or ours["lago_id"]) != ours["lago_id"]:
        raise PurchasesStopped(
            f"The wallet of {public_id} was terminated at Lago.",
            do="See that no purchase is open, then clear the wallet of the organization's Lago customer in the admin.",
        )
    if ours["currency"] != customer.currency:
        raise PurchasesStopped(
            f"The wallet of {public_id} is in {ours['currency']}, its purchases in {customer.currency}.",
            do="In Lago, terminate it while nothing was bought with it; the next purchase makes a right one.",
        )
    if customer.wallet_id is None:
        with transactions.durable():
            LagoCustomer.objects.filter(pk=customer.pk).update(wallet_id=ours["lago_id"])
        customer.refresh_from_db(fields=["wallet_id"])
    return customer


def _adopt(organization: Organization, found: Json) -> Json:
    """Tell a customer that was there before us who it is; without `metadata`, which may be sent only when it is made."""
    currency = found.get("currency")
    if currency and currency != organization.currency:
        raise PurchasesStopped(
            f"Lago has {organization.public_id} in {currency}, the portal in {organization.currency}.",
            do="Make both the same: Lago's customer while it has no invoice, or the organization before it buys.",
        )
    return customers.upsert(_facts(organization))


def _make(organization: Organization, now: datetime) -> Json:
    try:
        return customers.upsert(_facts(organization) | {"metadata": _metadata(organization, now)})
    except LagoRefused as refusal:
        if not refusal.has("value_already_exist"):
            raise
    return customers.upsert(_facts(organization))  # another worker made it just now


def _facts(organization: Organization) -> dict[str, Any]:
    """Return what Lago knows of an organization; what is empty here is left to Lago."""
    facts: dict[str, Any] = {
        "external_id": organization.public_id,
        "name": organization.name,
        "email": organization.billing_email,
        "legal_name": organization.legal_name,
        "tax_identification_number": organization.tax_number,
        "address_line1": organization.billing_address,
        "currency": organization.currency,
    }
    if settings.LAGO_PAYMENT_PROVIDER:
        facts["billing_configuration"] = {
            "payment_provider": settings.LAGO_PAYMENT_PROVIDER,
            "payment_provider_code": settings.LAGO_PAYMENT_PROVIDER_CODE,
            "sync_with_provider": True,  # without it Lago charges no card
        }
    return {name: value for name, value in facts.items() if value}


def _metadata(organization: Organization, now: datetime) -> list[dict[str, Any]]:
    """Return contract.md §5's entries, of which Lago takes 5 with keys of 20 characters."""
    owner = organization.memberships.filter(role=Membership.Role.OWNER).order_by("joined_at", "pk").first()
    entries = {"created_at": now.isoformat(timespec="seconds"), "billing_type": "organization"}
    if owner is not None:
        entries["created_by_user_id"] = owner.user.public_id
    return [
        {"key": key, "value": value, "display_in_invoice": False} for key, value in sorted(entries.items())
    ]


def _ours(found: list[Json]) -> Json | None:
    return next(
        (one for one in found if restrictions.is_active(one) and one.get("code") == restrictions.CODE), None
    )


def _make_wallet(public_id: str, currency: str) -> Json:
    fields = {
        "external_customer_id": public_id,
        "name": "Credits",
        "code": restrictions.CODE,
        "rate_amount": str(restrictions.RATE),
        "currency": currency,
        "applies_to": {"billable_metric_codes": [restrictions.METRIC]},
    }
    try:
        return wallets.make(fields)
    except LagoRefused as refusal:
        if not refusal.has("value_already_exist"):
            raise
        other = _ours(list(wallets.of_customer(public_id)))
        if other is None:
            raise
        return other


def _require_safe(public_id: str, found: list[Json]) -> None:
    stopping = restrictions.problems(of=public_id, found=found)
    if stopping:
        raise PurchasesStopped(stopping[0].what, do=stopping[0].do)

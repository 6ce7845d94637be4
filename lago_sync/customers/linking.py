"""Which customer and wallet of Lago an organization is: made at the first purchase or subscription, found ever after.

Each step finds what an earlier try left, at Lago or here, so a crash between two of them is healed by the next call.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from kit import transactions
from lago_sync.client import customers, wallets
from lago_sync.client.transport import Json
from lago_sync.customers import restrictions
from lago_sync.errors import LagoIntegrationError, LagoRefused, PurchasesStopped
from lago_sync.models import LagoCustomer
from orgs.models import Membership, Organization

logger = logging.getLogger(__name__)

AT_ONCE: Final = 25
"""Customers whose changed details one run tells."""
_TOLD: Final = ("name", "email", "legal_name", "tax_identification_number", "address_line1")


def ensure_customer(
    *, organization: Organization, now: datetime, metadata: Mapping[str, str] | None = None
) -> LagoCustomer:
    """Return the organization's customer, made at Lago if there is none. Opens the transaction around its own row.

    `metadata` is written beside our own entries where the customer is made now; Lago keeps 5 entries in all.
    Raises LagoUnavailable, LagoRefused; PurchasesStopped where Lago has the customer in another currency.
    """
    known = LagoCustomer.objects.filter(organization=organization).first()
    if known is not None:
        return known
    found = customers.get(organization.public_id)
    made = _adopt(organization, found) if found is not None else _make(organization, now, metadata or {})
    with transactions.durable():
        LagoCustomer.objects.bulk_create(
            [
                LagoCustomer(
                    organization=organization,
                    lago_id=made["lago_id"],
                    currency=made.get("currency") or organization.currency,
                    created_at=now,
                    facts_digest=_digest(organization),
                    body=_plain(made),
                    synced_at=now,
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


def note_seen(*, organization: Organization, found: Json, at: datetime) -> None:
    """Keep what Lago showed of the organization's customer, asked `at`; an older look changes nothing."""
    rows = LagoCustomer.objects.filter(Q(synced_at=None) | Q(synced_at__lte=at), organization=organization)
    rows.update(body=_plain(found), synced_at=at)


def _plain(found: Json) -> Json:
    """Return the object as a row keeps it: numbers with decimals become texts."""
    plain: Json = json.loads(json.dumps(found, default=str))
    return plain


def tell_changes() -> int:
    """Tell Lago of billing details that were changed since it was told; returns of how many organizations.

    Asks Lago, so no transaction may be open. One that Lago refuses stops no other and is tried again by the next
    change; a Lago that is away stops the run.
    """
    told = 0
    for customer in LagoCustomer.objects.select_related("organization").order_by("pk").iterator():
        if customer.facts_digest == _digest(customer.organization):
            continue
        try:
            tell_change(customer=customer)
        except LagoRefused as refusal:
            logger.error("the billing details of %s: %s", customer.organization.public_id, refusal.message)  # noqa: TRY400 - no trace is needed
            _note_told(customer)
        except LagoIntegrationError:
            break
        told += 1
        if told == AT_ONCE:
            break
    return told


def tell_change(*, customer: LagoCustomer) -> Json:
    """Tell Lago of one organization's billing details as they are now, and return its answer. Asks Lago.

    Raises LagoUnavailable, LagoRefused.
    """
    shown = customers.upsert(_facts_to_change(customer))
    _note_told(customer)
    return shown


def _note_told(customer: LagoCustomer) -> None:
    with transactions.durable():
        LagoCustomer.objects.filter(pk=customer.pk).update(facts_digest=_digest(customer.organization))


def _facts_to_change(customer: LagoCustomer) -> dict[str, Any]:
    """Return what is sent: what was told once and is empty now is emptied, what never was told is left to Lago."""
    facts = _facts(customer.organization)
    facts.pop("currency", None)  # fixed once the customer is made
    told = int(customer.facts_digest.partition(":")[0] or "0", 16)
    emptied = {name: None for place, name in enumerate(_TOLD) if told >> place & 1 and name not in facts}
    return facts | emptied


def _digest(organization: Organization) -> str:
    """Return what says which details Lago was told, and tells them from others: one bit a name, and a hash."""
    facts = _facts(organization)
    names = sum(1 << place for place, name in enumerate(_TOLD) if name in facts)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{names:02x}:{digest[:60]}"


def _adopt(organization: Organization, found: Json) -> Json:
    """Tell a customer that was there before us who it is; without `metadata`, which may be sent only when it is made."""
    currency = found.get("currency")
    if currency and currency != organization.currency:
        raise PurchasesStopped(
            f"Lago has {organization.public_id} in {currency}, the portal in {organization.currency}.",
            do="Make both the same: Lago's customer while it has no invoice, or the organization before it buys.",
        )
    return customers.upsert(_facts(organization))


def _make(organization: Organization, now: datetime, metadata: Mapping[str, str]) -> Json:
    try:
        return customers.upsert(_facts(organization) | {"metadata": _metadata(organization, now, metadata)})
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


def _metadata(organization: Organization, now: datetime, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return contract.md §5's entries, of which Lago takes 5 with keys of 20 characters."""
    owner = organization.memberships.filter(role=Membership.Role.OWNER).order_by("joined_at", "pk").first()
    entries = {"created_at": now.isoformat(timespec="seconds"), "billing_type": "organization"}
    if owner is not None:
        entries["created_by_user_id"] = owner.user.public_id
    entries |= given
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

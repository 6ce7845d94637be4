"""Stored cards and accounts of an organization: kept by the payment provider, mirrored here with "as of"."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, QuerySet

from kit import transactions
from kit.errors import Conflict, NotFound
from lago_sync.client import customers, payment_methods
from lago_sync.customers import linking
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable
from lago_sync.models import LagoCustomer, PaymentMethod
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

STALE_AFTER: Final = timedelta(hours=1)
AT_ONCE: Final = 25
"""Organizations of one run."""


def of_organization(*, organization: Organization) -> QuerySet[PaymentMethod]:
    """Return what is stored, as Lago showed it last: the default one first."""
    kept = PaymentMethod.objects.filter(organization=organization, removed_at=None)
    return kept.order_by("-is_default", "pk")


def as_of(*, organization: Organization) -> datetime | None:
    """Return when Lago was last asked, None if never."""
    known = LagoCustomer.objects.filter(organization=organization)
    return known.values_list("methods_synced_at", flat=True).first()


def has_default(*, organization: Organization) -> bool:
    """Tell whether Lago would charge a stored card or account, as it showed last; it charges none without a provider."""
    if not settings.LAGO_PAYMENT_PROVIDER:
        return False
    return of_organization(organization=organization).filter(is_default=True).exists()


def name_of(method: PaymentMethod) -> str:
    """Return what people call one: its brand or kind and last digits; where Lago tells neither, who keeps it."""
    called = method.brand or method.kind or "card"
    if called == settings.LAGO_PAYMENT_PROVIDER:
        called = f"card at {called.capitalize()}"
    return called[0].upper() + called[1:] + (f" •••• {method.last4}" if method.last4 else "")


def refresh(*, organization: Organization, now: datetime) -> None:
    """Mirror what Lago shows; an organization that Lago does not know has none. Raises LagoUnavailable, LagoRefused."""
    try:
        found = list(payment_methods.of_customer(organization.public_id))
    except LagoRefused as refusal:
        if refusal.http_status != 404:
            raise
        found = []
    rows = _rows(organization, found, now)
    with transactions.durable():
        # whoever looked earlier writes nothing over a later look
        customer = LagoCustomer.objects.select_for_update(no_key=True, of=("self",)).filter(
            pk=organization.pk
        )
        known = customer.first()
        if known is None or (known.methods_synced_at is not None and known.methods_synced_at > now):
            return
        _mirror(organization, rows, now)
        customer.update(methods_synced_at=now)


def refresh_one(*, public_id: str, now: datetime) -> None:
    """Mirror what Lago shows of an organization that may be gone. Raises LagoUnavailable, LagoRefused."""
    found = Organization.objects.filter(public_id=public_id).first()
    if found is not None:
        refresh(organization=found, now=now)


def refresh_due(*, now: datetime) -> int:
    """Refresh those that were looked at longest ago; one that Lago refuses stops no other. Returns how many."""
    if not settings.LAGO_PAYMENT_PROVIDER:
        return 0
    stale = LagoCustomer.objects.exclude(methods_synced_at__gt=now - STALE_AFTER).select_related(
        "organization"
    )
    count = 0
    for customer in stale.order_by(F("methods_synced_at").asc(nulls_first=True), "pk")[:AT_ONCE]:
        try:
            refresh(organization=customer.organization, now=now)
        except LagoRefused:
            LagoCustomer.objects.filter(pk=customer.pk).update(methods_synced_at=now)
        except LagoUnavailable:
            break
        count += 1
    return count


def page_to_store(*, organization: Organization, now: datetime) -> str:
    """Return the payment provider's page where a card is stored; makes the customer at Lago if there is none.

    Asks Lago, so no transaction may be open. Raises Conflict without a payment provider; LagoUnavailable, LagoRefused.
    """
    if not settings.LAGO_PAYMENT_PROVIDER:
        raise Conflict("There is no payment provider.")
    linking.ensure_customer(organization=organization, now=now)
    address = customers.checkout_url(organization.public_id)
    if not address.startswith(("https://", "http://")):
        raise LagoUnavailable("Lago answers no address.")
    return address


def make_default(*, organization: Organization, method_id: UUID, by: Actor, now: datetime) -> None:
    """Have this one charged from now on. Asks Lago, so no transaction may be open.

    Raises NotFound for one that is not stored; LagoUnavailable, where nothing is noted here: the next look shows it.
    """
    chosen = _stored(organization, method_id)
    try:
        payment_methods.make_default(organization.public_id, str(method_id))
    except LagoRefused as refusal:
        if refusal.http_status != 404:
            raise
        raise NotFound("There is no such payment method any more.") from refusal
    with transactions.durable():
        mine = PaymentMethod.objects.filter(organization=organization, removed_at=None)
        mine.update(is_default=False)
        mine.filter(pk=method_id).update(is_default=True)
        _record(organization, by, "payment_method.made_default", chosen)


def remove(*, organization: Organization, method_id: UUID, by: Actor, now: datetime) -> None:
    """Have the payment provider forget one. Asks Lago, so no transaction may be open.

    Raises NotFound for one that is not stored; LagoUnavailable, where nothing is noted here: the next look shows it.
    """
    chosen = _stored(organization, method_id)
    payment_methods.remove(organization.public_id, str(method_id))
    with transactions.durable():
        if PaymentMethod.objects.filter(pk=method_id, removed_at=None).update(
            removed_at=now, is_default=False
        ):
            _record(organization, by, "payment_method.removed", chosen)
    with suppress(LagoIntegrationError):  # another one may be the default now; the job shows it otherwise
        refresh(organization=organization, now=now)


def _stored(organization: Organization, method_id: UUID) -> PaymentMethod:
    found = of_organization(organization=organization).filter(pk=method_id).first()
    if found is None:
        raise NotFound("There is no such payment method.")
    return found


def _rows(organization: Organization, found: Iterable[dict[str, Any]], now: datetime) -> list[PaymentMethod]:
    """Return the rows of an answer. Raises LagoUnavailable for another shape than Lago's."""
    try:
        return [_row(organization, one, now) for one in found]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LagoUnavailable("Lago answers JSON of another shape.") from error


def _row(organization: Organization, one: dict[str, Any], now: datetime) -> PaymentMethod:
    """Return one method; card details are in none of Lago's documented fields, and are shown where it sends them."""
    card = one.get("details") or {}
    year, month = card.get("expiration_year"), card.get("expiration_month")
    return PaymentMethod(
        lago_id=UUID(one["lago_id"]),
        organization=organization,
        kind=str(card.get("type") or one.get("payment_provider_type") or "")[:32],
        brand=str(card.get("brand") or "")[:32],
        last4=str(card.get("last4") or "")[:4],
        expires=f"{int(year):04d}-{int(month):02d}" if year and month else "",
        is_default=bool(one["is_default"]),
        synced_at=now,
    )


def _mirror(organization: Organization, rows: list[PaymentMethod], now: datetime) -> None:
    PaymentMethod.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["lago_id"],
        update_fields=["kind", "brand", "last4", "expires", "is_default", "removed_at", "synced_at"],
    )
    mine = PaymentMethod.objects.filter(organization=organization, removed_at=None)
    mine.exclude(pk__in=[row.pk for row in rows]).update(removed_at=now, is_default=False)


def _record(organization: Organization, by: Actor, action: str, chosen: PaymentMethod) -> None:
    events.record(
        organization=organization.public_id,
        by=by,
        action=action,
        target=str(chosen.pk),
        after={"method": str(chosen)},
    )

"""Auto top-up: what an organization buys by itself, set by its people and stopped by the first payment that fails.

The portal does this itself: Lago's own is not in its free edition (reference/lago.md §1.6).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from credits import amounts
from kit import transactions
from kit.errors import Conflict, ValidationError
from lago_sync.customers import methods
from lago_sync.models import AutoTopUp, Package, Purchase
from lago_sync.purchases import packages, telling
from orgs.audit import events
from orgs.audit.events import SYSTEM, Actor
from orgs.models import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is bought below which threshold (credits), and at most for how much (minor units) a day and a month."""

    is_on: bool
    threshold: Decimal
    package_code: str | None
    credits: Decimal | None
    day_cap_cents: int
    month_cap_cents: int


def of_organization(*, organization: Organization) -> AutoTopUp | None:
    """Return what is set, None if nothing ever was."""
    return AutoTopUp.objects.filter(organization=organization).select_related("package").first()


def configure(*, organization: Organization, terms: Terms, by: Actor, now: datetime) -> AutoTopUp:
    """Set what is bought by itself, on or off; turning it on forgets why it was stopped.

    Raises ValidationError for what is not offered, or for caps below one purchase; Conflict for turning it on without
    a stored card.
    """
    transactions.require()
    package = _package(organization, terms)
    _check(organization, terms, package)
    if terms.is_on and not methods.has_default(organization=organization):
        raise Conflict("Auto top-up needs a stored card or account: store one first.")
    before = _locked(organization)
    row = before or AutoTopUp(organization=organization)
    was = facts(before) if before is not None else None
    row.is_on, row.threshold = terms.is_on, terms.threshold
    row.package, row.credits = package, terms.credits
    row.day_cap_cents, row.month_cap_cents = terms.day_cap_cents, terms.month_cap_cents
    row.currency, row.changed_by, row.changed_at = organization.currency, by.public_id, now
    if terms.is_on:
        row.stopped_at, row.stopped_because, row.capped_on = None, "", None
    row.save()
    _record(organization, by, "auto_top_up.set", was, facts(row))
    return row


def turn_off(*, organization: Organization, by: Actor, now: datetime) -> None:
    """Buy nothing by itself any more; what was ordered stands. Raises Conflict where it is off."""
    transactions.require()
    row = _locked(organization)
    if row is None or not row.is_on:
        raise Conflict("Auto top-up is off.")
    row.is_on, row.changed_by, row.changed_at = False, by.public_id, now
    row.save(update_fields=["is_on", "changed_by", "changed_at"])
    _record(organization, by, "auto_top_up.turned_off", {"is_on": True}, {"is_on": False})


def stop_after(purchase: Purchase, *, because: str, now: datetime) -> None:
    """Stop after an automatic purchase that did not go through, and tell who may turn it on again; else do nothing."""
    if purchase.is_automatic:
        stop(organization=purchase.organization, because=because, subject=purchase.key, now=now)


def stop(*, organization: Organization, because: str, subject: str, now: datetime) -> None:
    """Stop until somebody turns it on again, once, and tell who may."""
    transactions.require()
    row = _locked(organization)
    if row is None or not row.is_on:
        return
    row.is_on, row.stopped_at, row.stopped_because = False, now, because
    row.save(update_fields=["is_on", "stopped_at", "stopped_because"])
    telling.top_up_stopped(organization, because=because, subject=subject)
    _record(organization, SYSTEM, "auto_top_up.stopped", {"is_on": True}, {"is_on": False, "why": because})


def price_of(row: AutoTopUp) -> int:
    """Return what one purchase costs now, in minor units. Raises ValidationError for what is no longer offered."""
    if row.package is not None:
        if not row.package.is_active:
            raise ValidationError(package_code="The package is no longer offered.")
        return row.package.amount_cents
    return packages.price_of(credits=row.credits or amounts.ZERO, currency=row.currency)


def facts(row: AutoTopUp) -> dict[str, Any]:
    """Return what the audit log keeps of the settings."""
    return {
        "is_on": row.is_on,
        "threshold": amounts.text(row.threshold),
        "package": row.package.code if row.package else None,
        "credits": amounts.text(row.credits) if row.credits is not None else None,
        "day_cap_cents": row.day_cap_cents,
        "month_cap_cents": row.month_cap_cents,
        "currency": row.currency,
    }


def _package(organization: Organization, terms: Terms) -> Package | None:
    if (terms.package_code is None) == (terms.credits is None):
        raise ValidationError(package_code="Either a package or a number of credits is needed.")
    if terms.package_code is None:
        return None
    for one in packages.offered(currency=organization.currency):
        if one.code == terms.package_code:
            return one
    raise ValidationError(package_code="No such package is offered to this organization.")


def _check(organization: Organization, terms: Terms, package: Package | None) -> None:
    """Raise ValidationError for figures that could never buy anything."""
    if not amounts.is_movable(terms.threshold):
        raise ValidationError(threshold="must be from 0 to 1,000,000,000")
    if package is not None:
        cents = package.amount_cents
    else:
        cents = packages.price_of(credits=terms.credits or amounts.ZERO, currency=organization.currency)
    if terms.day_cap_cents < cents:
        raise ValidationError(day_cap_cents="One purchase costs more than this.")
    if terms.month_cap_cents < terms.day_cap_cents:
        raise ValidationError(month_cap_cents="must be at least what a day may cost")


def _locked(organization: Organization) -> AutoTopUp | None:
    rows = AutoTopUp.objects.select_for_update(no_key=True, of=("self",)).select_related("package")
    return rows.filter(organization=organization).first()


def _record(
    organization: Organization,
    by: Actor,
    action: str,
    before: dict[str, Any] | None,
    after: dict[str, Any],
) -> None:
    events.record(
        organization=organization.public_id,
        by=by,
        action=action,
        target=organization.public_id,
        before=before,
        after=after,
    )

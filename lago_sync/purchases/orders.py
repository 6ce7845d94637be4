"""Orders of credits: recorded before anything else happens, once per key, whatever is clicked or sent again."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.http import url_has_allowed_host_and_scheme

from credits import amounts
from credits.ledger.standing import OrganizationSuspended
from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from lago_sync.models import Package, Purchase
from lago_sync.purchases import packages
from lago_sync.setup import guard
from orgs.access import idempotency
from orgs.access.idempotency import IdempotencyConflict
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

_LONGEST_URL: Final = 500


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants to buy: a package, a number of credits, or what a price buys; the rate is ours to say."""

    package_code: str | None
    credits: Decimal | None
    return_url: str = ""
    amount_cents: int | None = None


def place(
    *,
    organization: Organization,
    order: Order,
    idempotency_key: str,
    by: Actor,
    now: datetime,
    is_automatic: bool = False,
) -> tuple[Purchase, bool]:
    """Record an order; returns the purchase and whether it is new. The same order under the same key is the first one.

    Asks Lago nothing: call `tasks.enqueue_advance` once this is committed. Raises IdempotencyConflict for another order
    under the key, InvalidRequest for a key that is none, OrganizationSuspended, NotFound for an archived organization,
    ValidationError for what is not offered, PurchasesStopped, and Conflict for a second open automatic one; a repeat of
    what was ordered before is never refused.
    """
    transactions.require()
    idempotency.check_key(idempotency_key)
    _check_order(order)
    known = _known(organization, idempotency_key, by)
    if known is not None:
        return _same(known, order), False
    _check_buyer(organization)
    guard.require_safe(organization=organization.public_id)
    bought = _priced(organization, order)
    bought.made_by, bought.idempotency_key = by.public_id, idempotency_key
    bought.created_at = bought.due_at = now
    bought.is_automatic = is_automatic
    Purchase.objects.bulk_create(
        [bought], ignore_conflicts=True
    )  # of two at once one waits here for the other
    stored = _known(organization, idempotency_key, by)
    if stored is None:
        raise Conflict("Auto top-up has an open purchase already.")
    if stored.pk != bought.pk:
        return _same(stored, order), False
    events.record(
        organization=organization.public_id,
        by=by,
        action="credits.purchase_ordered",
        target=bought.key,
        after=facts(bought),
    )
    return bought, True


def of_organization(*, organization: Organization) -> QuerySet[Purchase]:
    """Return the organization's purchases, newest first."""
    return Purchase.objects.filter(organization=organization).select_related("package").order_by("-pk")


def find(*, organization: Organization, purchase_id: UUID) -> Purchase | None:
    return of_organization(organization=organization).filter(pk=purchase_id).first()


def newest_of(*, made_by: str, since: datetime) -> Purchase | None:
    """Return the latest purchase that this user or key (public id) ordered at `since` or later."""
    mine = Purchase.objects.filter(made_by=made_by, created_at__gte=since)
    return mine.select_related("organization").order_by("-pk").first()


def flagged() -> QuerySet[Purchase]:
    """Return purchases for which Lago has something that was not ordered so: staff must look; newest first."""
    return Purchase.objects.exclude(drift="").select_related("organization").order_by("-pk")


def unflag(*, purchase: Purchase, by: Actor) -> None:
    """Take a purchase off the list of those that staff must look at; raises Conflict for one that is not on it."""
    transactions.require()
    locked = Purchase.objects.select_for_update(no_key=True, of=("self",)).get(pk=purchase.pk)
    if not locked.drift:
        raise Conflict("This purchase is not flagged.")
    before, locked.drift = locked.drift, ""
    locked.save(update_fields=["drift"])
    events.record(
        organization=purchase.organization.public_id,
        by=by,
        action="credits.purchase_unflagged",
        target=purchase.key,
        before={"why": before},
    )


def facts(purchase: Purchase) -> dict[str, str | int]:
    """Return what the audit log keeps of a purchase."""
    return {
        "credits": amounts.text(purchase.credits),
        "amount_cents": purchase.amount_cents,
        "currency": purchase.currency,
    }


def _check_order(order: Order) -> None:
    """Raise ValidationError unless one thing is ordered, to come back to a page of ours."""
    said = [one for one in (order.package_code, order.credits, order.amount_cents) if one is not None]
    if len(said) != 1:
        raise ValidationError(package_code="Either package_code or credits is needed.")
    ours = urlsplit(settings.SITE_URL)
    if order.return_url and (
        len(order.return_url) > _LONGEST_URL
        or not url_has_allowed_host_and_scheme(
            order.return_url, allowed_hosts={ours.netloc}, require_https=ours.scheme == "https"
        )
    ):
        raise ValidationError(return_url="An address of this portal is expected.")


def _check_buyer(organization: Organization) -> None:
    status = Organization.objects.values_list("status", flat=True).get(pk=organization.pk)
    if status == Organization.Status.SUSPENDED:
        raise OrganizationSuspended("The organization is suspended; it cannot buy credits now.")
    if status == Organization.Status.ARCHIVED:
        raise NotFound("There is no such organization.")


def _priced(organization: Organization, order: Order) -> Purchase:
    """Return the purchase that an order comes to, at our price in the organization's currency."""
    bought = Purchase(organization=organization, currency=organization.currency, return_url=order.return_url)
    if order.credits is not None:
        bought.credits = order.credits
        bought.amount_cents = packages.price_of(credits=order.credits, currency=organization.currency)
        return bought
    if order.amount_cents is not None:
        bought.amount_cents = order.amount_cents
        bought.credits = packages.credits_for(amount_cents=order.amount_cents, currency=organization.currency)
        return bought
    package = Package.objects.filter(
        code=order.package_code, currency=organization.currency, is_active=True
    ).first()
    if package is None:
        raise ValidationError(package_code="No such package is offered to this organization.")
    bought.package, bought.credits, bought.amount_cents = package, package.credits, package.amount_cents
    return bought


def _known(organization: Organization, key: str, by: Actor) -> Purchase | None:
    return (
        of_organization(organization=organization).filter(made_by=by.public_id, idempotency_key=key).first()
    )


def _same(first: Purchase, order: Order) -> Purchase:
    """Return the first purchase under a key if it was this order; prices may have changed since."""
    by_price = order.amount_cents is not None and first.package is None
    ordered = Order(
        package_code=first.package.code if first.package else None,
        credits=None if first.package or by_price else first.credits,
        return_url=first.return_url,
        amount_cents=first.amount_cents if by_price else None,
    )
    if ordered != order:
        raise IdempotencyConflict
    return first

"""What an organization can buy and what it then has, as the pages of buying show it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from credits import amounts
from credits.reports import figures
from kit.errors import ValidationError
from lago_sync import money
from lago_sync.errors import LagoIntegrationError
from lago_sync.models import Package, Purchase
from lago_sync.purchases import orders, packages
from lago_sync.purchases.orders import Order
from lago_sync.setup import guard
from orgs.models import Organization, User

RECENT: Final = 10
_THOUSAND: Final = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One package; `saving` is the percentage below the smallest package's rate, None for that one."""

    package: Package
    per_thousand_cents: int
    saving: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An order with its price, and the pool before and after it."""

    order: Order
    credits: Decimal
    amount_cents: int
    currency: str
    per_thousand_cents: int
    available: Decimal

    @property
    def credits_text(self) -> str:
        """The credits as a form carries them."""
        return amounts.text(self.credits)

    @property
    def available_after(self) -> Decimal:
        """What the pool has free once it is paid, if nothing is spent meanwhile."""
        return self.available + self.credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One purchase of the list, with the name of who ordered it where they have one."""

    purchase: Purchase
    ordered_by: str


def offers(*, currency: str) -> list[Offer]:
    """Return the packages in a currency, the smallest first."""
    found = packages.offered(currency=currency)
    return [_offer(package, found[0]) for package in found]


def quote(*, organization: Organization, order: Order) -> Quote:
    """Return the order with its present price; raises ValidationError for what is not offered."""
    currency = organization.currency
    if order.credits is None:
        package = _package(order.package_code, currency)
        credits, cents = package.credits, package.amount_cents
    else:
        credits, cents = order.credits, packages.price_of(credits=order.credits, currency=currency)
    return Quote(
        order=order,
        credits=credits,
        amount_cents=cents,
        currency=currency,
        per_thousand_cents=money.share(cents, _THOUSAND, credits),
        available=figures.own_pool(organization=organization),
    )


def why_stopped(*, organization: Organization) -> str:
    """Return why nothing can be bought now, "" where it can."""
    if organization.status == Organization.Status.SUSPENDED:
        return f"{organization.name} is suspended."
    try:
        guard.require_safe(organization=organization.public_id)
    except LagoIntegrationError as error:
        problem = error.details.get("problem")
        return f"{problem}." if problem else error.message
    return ""


def key_for(*, organization: Organization, user: User, order: Order) -> str:
    """Return the key of the form for this order: the same in every tab until the person's next purchase is ordered."""
    mine = orders.of_organization(organization=organization).filter(made_by=user.public_id)
    latest = mine.values_list("pk", flat=True).first()
    what = f"{order.package_code}|{order.credits}"
    return f"page-{hashlib.sha256(what.encode()).hexdigest()[:16]}-{latest or 'first'}"


def open_twin(*, organization: Organization, user: User, order: Order) -> Purchase | None:
    """Return the same order by the same person that is still open, so that nobody buys twice by going back."""
    mine = orders.of_organization(organization=organization).filter(
        made_by=user.public_id, status__in=Purchase.OPEN
    )
    if order.credits is None:
        return mine.filter(package__code=order.package_code).first()
    return mine.filter(package=None, credits=order.credits).first()


def recent(*, organization: Organization) -> list[Line]:
    """Return the latest purchases, newest first."""
    found = list(orders.of_organization(organization=organization)[:RECENT])
    names = _names(purchase.made_by for purchase in found)
    return [Line(purchase=one, ordered_by=_orderer(one, names)) for one in found]


def ordered_by(purchase: Purchase) -> str:
    """Return the name of who ordered it."""
    return _orderer(purchase, _names([purchase.made_by]))


def _orderer(purchase: Purchase, names: Mapping[str, str]) -> str:
    return "auto top-up" if purchase.is_automatic else names.get(purchase.made_by, "an API key")


def _names(public_ids: Iterable[str]) -> dict[str, str]:
    users = User.objects.filter(public_id__in=set(public_ids))
    return {user.public_id: user.name or user.email or "" for user in users}


def _package(code: str | None, currency: str) -> Package:
    for package in packages.offered(currency=currency):
        if package.code == code:
            return package
    raise ValidationError(package_code="No such package is offered to this organization.")


def _offer(package: Package, smallest: Package) -> Offer:
    at_smallest_rate = money.share(smallest.amount_cents, package.credits, smallest.credits)
    saved = Decimal(at_smallest_rate - package.amount_cents)
    return Offer(
        package=package,
        per_thousand_cents=money.share(package.amount_cents, _THOUSAND, package.credits),
        saving=amounts.percentage(saved, Decimal(at_smallest_rate)) if saved > 0 else None,
    )

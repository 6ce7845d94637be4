"""What people are told of a purchase: it was paid, its payment was declined, or it could not be ordered."""

from collections.abc import Sequence

from django.urls import reverse

from credits import amounts
from lago_sync import money
from lago_sync.models import Purchase
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind


def paid(purchase: Purchase, *, invoice_number: str) -> None:
    """Tell of credits that were paid for and are added now."""
    _tell(
        purchase,
        Kind.PURCHASE_PAID,
        "paid",
        title=f"{amounts.display(purchase.credits)} credits were added to {purchase.organization.name}",
        lines=[f"Invoice {invoice_number} of {_price(purchase)} is paid.", "The credits can be spent now."],
        level="success",
    )


def declined(purchase: Purchase) -> None:
    """Tell of a declined payment, which can be tried again."""
    _tell(
        purchase,
        Kind.PURCHASE_FAILED,
        f"declined:{purchase.invoice_number}",
        title=f"The payment for {amounts.display(purchase.credits)} credits was declined",
        lines=[
            f"{purchase.organization.name} ordered them for {_price(purchase)}. Nothing was charged, none were added.",
            "The order stands: pay it another way on its page.",
        ],
        level="warning",
    )


def failed(purchase: Purchase) -> None:
    """Tell of an order that Lago did not take."""
    _tell(
        purchase,
        Kind.PURCHASE_FAILED,
        "failed",
        title=f"The order of {amounts.display(purchase.credits)} credits failed",
        lines=[
            f"{purchase.organization.name} ordered them for {_price(purchase)}, and the billing system refused the order.",
            "Nothing is owed and none were added. Order again, or ask who runs this portal.",
        ],
        level="danger",
    )


def _tell(
    purchase: Purchase, kind: Kind, crossing: str, *, title: str, lines: Sequence[str], level: str
) -> None:
    """Tell who may buy, and who ordered."""
    organization = purchase.organization
    notices.once(
        kind=kind,
        subject=purchase.key,
        crossing=crossing,
        to=[*audience.admins(organization), *audience.member(organization, purchase.made_by)],
        organization=organization,
        title=title,
        lines=lines,
        action="Look at the purchase",
        path=reverse("purchases:purchase", args=[organization.slug, purchase.pk]),
        level=level,
    )


def _price(purchase: Purchase) -> str:
    return money.display(purchase.amount_cents, purchase.currency)

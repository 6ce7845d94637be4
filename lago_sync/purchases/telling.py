"""What people are told of purchases: paid, declined, failed, given up, taken back; and of auto top-up."""

from collections.abc import Sequence
from datetime import date

from django.urls import reverse

from credits import amounts
from lago_sync import money
from lago_sync.models import AutoTopUp, Purchase, Refund
from orgs.models import Organization
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


def too_old(purchase: Purchase) -> None:
    """Tell of an order that nobody paid in 7 days."""
    _tell(
        purchase,
        Kind.PURCHASE_FAILED,
        "too_old",
        title=f"The order of {amounts.display(purchase.credits)} credits is given up",
        lines=[
            f"{purchase.organization.name} ordered them for {_price(purchase)} 7 days ago, and nobody paid.",
            "Its invoice is voided, so nothing is owed. Order again when the credits are needed.",
        ],
        level="info",
    )


def taken_back(refund: Refund) -> None:
    """Tell of a refund, or of a lost dispute: which credits are gone, and which had been spent."""
    purchase, organization = refund.purchase, refund.purchase.organization
    taken, owed = amounts.display(refund.withdrawn), amounts.display(refund.owed)
    amount = money.display(refund.amount_cents, purchase.currency)
    is_dispute = refund.kind == Refund.Kind.DISPUTE
    why = (
        f"The dispute over invoice {purchase.invoice_number} was lost: its payment of {amount} is gone."
        if is_dispute
        else f"{amount} of invoice {purchase.invoice_number} are given back. Staff return them at the payment provider."
    )
    gone = f"{taken} credits were taken out of the pools of {organization.name}."
    spent = (
        f"{owed} had been spent already, and stay owed." if refund.owed else "None of them had been spent."
    )
    _tell(
        purchase,
        Kind.PURCHASE_FAILED,
        f"{refund.kind}:{refund.pk}",
        title=f"A purchase of {amounts.display(purchase.credits)} credits was {'disputed' if is_dispute else 'refunded'}",
        lines=[why, gone, spent],
        level="warning",
    )


def top_up_stopped(organization: Organization, *, because: str, subject: str) -> None:
    """Tell that nothing is bought by itself any more."""
    _tell_of_top_up(
        organization,
        f"stopped:{subject}",
        title=f"Auto top-up of {organization.name} has stopped",
        lines=[because, "It buys nothing by itself until somebody turns it on again."],
        level="danger",
    )


def top_up_capped(row: AutoTopUp, *, cap: str, today: date) -> None:
    """Tell, once a day, that a cap keeps the pool low."""
    limit = row.day_cap_cents if cap == "day" else row.month_cap_cents
    _tell_of_top_up(
        row.organization,
        f"capped:{today}",
        title=f"Auto top-up of {row.organization.name} has reached its cap",
        lines=[
            f"The pool is below {amounts.display(row.threshold)} credits.",
            f"Another purchase would come to more than {money.display(limit, row.currency)} a {cap}.",
            "Buy credits by hand, or raise the cap.",
        ],
        level="warning",
    )


def _tell_of_top_up(
    organization: Organization, crossing: str, *, title: str, lines: Sequence[str], level: str
) -> None:
    notices.once(
        kind=Kind.AUTO_TOP_UP,
        subject=organization.public_id,
        crossing=crossing,
        to=audience.admins(organization),
        organization=organization,
        title=title,
        lines=lines,
        action="Look at auto top-up",
        path=reverse("methods:auto-top-up", args=[organization.slug]),
        level=level,
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

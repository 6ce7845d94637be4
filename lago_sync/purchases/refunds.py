"""Money given back for a purchase, or lost in a dispute: its credits are taken back, and what was spent is owed.

Staff return the money at the payment provider; Lago's wallet is told afterwards (`voids`).
"""

from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import withdrawals
from kit import transactions
from kit.errors import Conflict, ValidationError
from kit.identifiers import uuid7
from lago_sync import money
from lago_sync.models import Purchase, Refund
from lago_sync.purchases import telling
from orgs.audit import events
from orgs.audit.events import SYSTEM, Actor


class RefundConflict(Conflict):
    """The reference was used for another refund, or nothing of the purchase is left to refund."""


def refund(
    *,
    purchase: Purchase,
    credits: Decimal | None,
    reference: str,
    reason: str,
    by: Actor,
    now: datetime,
) -> Refund:
    """Take back credits of a completed purchase, None for all that was not taken back before.

    What is still there leaves the books; the rest is `owed`, and is nobody's here to collect. `reference` is what the
    refund is called at the payment provider, unique per purchase: again with the same terms it is the first one.
    Raises Conflict for a purchase that has no grant, RefundConflict for other terms, ValidationError for more than
    there is.
    """
    transactions.require()
    locked = _locked(purchase)
    if locked.status not in Purchase.GRANTED:
        raise Conflict(f"This purchase is {locked.status}; only a completed one is refunded.")
    earlier = Refund.objects.filter(purchase=locked, reference=reference).first()
    if earlier is not None:
        return _same(earlier, credits)
    asked = Refund(
        kind=Refund.Kind.REFUND, credits=_asked(locked, credits), reference=reference, reason=reason
    )
    made = _take_back(locked, asked, by, now)
    if not _left(locked):
        Purchase.objects.filter(pk=locked.pk).update(status=Purchase.Status.REFUNDED)
    _tell(made, by)
    return made


def dispute(*, purchase: Purchase, invoice_number: str, now: datetime) -> Refund | None:
    """Take back all that is left of a purchase whose payment was lost in a dispute, once; None if it was already."""
    transactions.require()
    locked = _locked(purchase)
    if locked.status not in Purchase.GRANTED or locked.status == Purchase.Status.DISPUTED:
        return None
    made = None
    if left := _left(locked):
        lost = Refund(
            kind=Refund.Kind.DISPUTE,
            credits=left,
            reference=f"dispute:{invoice_number or locked.key}",
            reason="The dispute over its payment was lost.",
        )
        made = _take_back(locked, lost, SYSTEM, now)
    Purchase.objects.filter(pk=locked.pk).update(status=Purchase.Status.DISPUTED)
    if made is not None:
        _tell(made, SYSTEM)
    return made


def of_purchase(purchase: Purchase) -> list[Refund]:
    """Return what was taken back of a purchase, oldest first."""
    return list(Refund.objects.filter(purchase=purchase).order_by("pk"))


def _take_back(locked: Purchase, asked: Refund, by: Actor, now: datetime) -> Refund:
    """Withdraw the credits, and write the row that says so."""
    asked.id, asked.purchase, asked.made_by = uuid7(), locked, by.public_id
    asked.amount_cents = _part(locked, asked.credits)
    taken = withdrawals.withdraw(
        organization=locked.organization,
        grant_source="purchase",
        grant_reference=locked.key,
        credits=asked.credits,
        reference=f"refund:{asked.pk}",
        reason=f"{asked.reason} ({asked.reference})"[:500],
        by=by,
    )
    asked.withdrawn, asked.owed = taken.withdrawn, taken.owed
    asked.created_at = asked.due_at = now
    if not asked.amount_cents:  # less than a minor unit: there is nothing that Lago could take back
        asked.voided_at = now
    asked.save(force_insert=True)
    return asked


def _part(locked: Purchase, credits: Decimal) -> int:
    """Return the part of the price: what is due of all refunds, less what the earlier ones came to."""
    before = Refund.objects.filter(purchase=locked).aggregate(
        credits=Sum("credits"), cents=Sum("amount_cents")
    )
    due = money.share(locked.amount_cents, (before["credits"] or ZERO) + credits, locked.credits)
    return due - int(before["cents"] or 0)


def _left(locked: Purchase) -> Decimal:
    before: Decimal = (
        Refund.objects.filter(purchase=locked).aggregate(credits=Sum("credits"))["credits"] or ZERO
    )
    return locked.credits - before


def _asked(locked: Purchase, credits: Decimal | None) -> Decimal:
    left = _left(locked)
    if not left:
        raise RefundConflict("All credits of this purchase were taken back before.")
    asked = left if credits is None else credits
    if not amounts.is_movable(asked) or not ZERO < asked <= left:
        raise ValidationError(
            credits=f"must be above 0 and at most the {amounts.text(left)} not taken back yet"
        )
    return asked


def _same(earlier: Refund, credits: Decimal | None) -> Refund:
    """Return the earlier refund of this reference; raises RefundConflict where it was another.

    All of a purchase is what nobody had taken back before that one.
    """
    if credits is None:
        others = Refund.objects.filter(purchase=earlier.purchase, created_at__lt=earlier.created_at)
        credits = earlier.purchase.credits - (others.aggregate(asked=Sum("credits"))["asked"] or ZERO)
    if earlier.kind != Refund.Kind.REFUND or credits != earlier.credits:
        raise RefundConflict(
            "This reference was used for another refund.", credits=amounts.text(earlier.credits)
        )
    return earlier


def _locked(purchase: Purchase) -> Purchase:
    rows = Purchase.objects.select_for_update(no_key=True, of=("self",)).select_related("organization")
    return rows.get(pk=purchase.pk)


def _tell(made: Refund, by: Actor) -> None:
    """Tell who may buy, and audit it."""
    telling.taken_back(made)
    events.record(
        organization=made.purchase.organization.public_id,
        by=by,
        action="credits.purchase_disputed"
        if made.kind == Refund.Kind.DISPUTE
        else "credits.purchase_refunded",
        target=made.purchase.key,
        after={
            "refund": str(made.pk),
            "credits": amounts.text(made.credits),
            "amount_cents": made.amount_cents,
            "currency": made.purchase.currency,
            "withdrawn": amounts.text(made.withdrawn),
            "owed": amounts.text(made.owed),
            "reference": made.reference,
            "reason": made.reason,
        },
    )

"""Marking a purchase as paid: money that came past Lago, noted by a system admin and then told to Lago.

Nothing is granted for the note: Lago's invoice becomes paid by it, and that is verified as any payment is.
"""

from datetime import datetime

from django.conf import settings

from kit import transactions
from kit.errors import Conflict
from lago_sync.client import invoices
from lago_sync.errors import LagoRefused
from lago_sync.models import Purchase
from lago_sync.purchases import abandoning, auto_top_ups, keeping
from lago_sync.purchases.topups import TopUp
from orgs.audit import events
from orgs.audit.events import Actor


def mark_paid(
    *, purchase: Purchase, reference: str, reason: str, by: Actor, beside_provider: bool = False
) -> Purchase:
    """Note who says that a purchase was paid, where the money is and why; told to Lago by the next `advancing.advance`.

    Asks Lago nothing: call `tasks.enqueue_advance` once this is committed. `beside_provider` says that it was paid past
    the payment provider that there is. Raises Conflict for one that is not waiting for its payment, was given up, or
    was marked otherwise.
    """
    transactions.require()
    locked = (
        Purchase.objects.select_for_update(no_key=True, of=("self",))
        .select_related("organization")
        .get(pk=purchase.pk)
    )
    told = (by.public_id, reference, reason)
    if (locked.marked_paid_by, locked.payment_reference, locked.marked_paid_because) == told:
        return locked
    _require_payable(locked, beside_provider=beside_provider)
    locked.marked_paid_by, locked.payment_reference, locked.marked_paid_because = told
    locked.save(update_fields=["marked_paid_by", "payment_reference", "marked_paid_because"])
    events.record(
        organization=locked.organization.public_id,
        by=by,
        action="credits.purchase_marked_paid",
        target=locked.key,
        before={"status": locked.status},
        after={"reference": reference, "reason": reason, "invoice_number": locked.invoice_number},
    )
    return locked


def tell(purchase: Purchase, topup: TopUp, *, now: datetime) -> None:
    """Have Lago take the invoice of a marked purchase for paid; a repeat is harmless. Raises LagoUnavailable, LagoRefused.

    A voided one stays void: the purchase is abandoned with its flag, for staff must look where the money is. Until they
    did, nothing is bought by itself.
    """
    if topup.invoice_id is None:  # Lago writes it a moment after the top-up
        return
    try:
        invoices.update(str(topup.invoice_id), {"payment_status": "succeeded"})
    except LagoRefused as refusal:
        if refusal.http_status != 405:
            raise
        keeping.flag(
            purchase,
            f"it is marked as paid, and Lago does not take its invoice for paid: {refusal.lago_code}",
        )
        if purchase.status in Purchase.OPEN and abandoning.abandon_if_void(purchase, topup):
            with transactions.durable():
                auto_top_ups.stop_after(purchase, because="The invoice of its order is void.", now=now)


def _require_payable(locked: Purchase, *, beside_provider: bool) -> None:
    if locked.status not in {Purchase.Status.AWAITING_PAYMENT, Purchase.Status.DECLINED}:
        raise Conflict(
            f"This purchase is {locked.status}; it does not wait for a payment.", status=locked.status
        )
    if locked.abandoning_since is not None:
        raise Conflict("This purchase was given up.", status=locked.status)
    if locked.marked_paid_by:
        raise Conflict("This purchase was marked as paid before.", reference=locked.payment_reference)
    if settings.LAGO_PAYMENT_PROVIDER and not beside_provider:
        raise Conflict("There is a payment provider; say that this was paid past it.")

"""Giving an order up: noted here first, then its invoice is voided at Lago, and only then is it abandoned.

A void that Lago refuses because the payment came first is no failure: the purchase is completed.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from kit import transactions
from kit.errors import Conflict
from lago_sync.client import invoices
from lago_sync.errors import LagoRefused
from lago_sync.models import Purchase
from lago_sync.purchases import auto_top_ups, keeping, telling
from lago_sync.purchases.leases import Lease
from lago_sync.purchases.topups import TopUp
from orgs.audit import events
from orgs.audit.events import SYSTEM, Actor

logger = logging.getLogger(__name__)

WAITS: Final = timedelta(days=7)
"""How long an order waits for its payment (product.md §8)."""


def give_up(*, purchase: Purchase, by: Actor, now: datetime) -> Purchase:
    """Note that an order is given up; its invoice is voided by the next `advancing.advance`. Again changes nothing.

    Asks Lago nothing: call `tasks.enqueue_advance` once this is committed. Raises Conflict for one that has ended, or
    that a system admin marked as paid.
    """
    transactions.require()
    locked = (
        Purchase.objects.select_for_update(no_key=True, of=("self",))
        .select_related("organization", "package")
        .get(pk=purchase.pk)
    )
    if locked.status == Purchase.Status.ABANDONED or is_given_up(locked):
        return locked
    if locked.status not in Purchase.OPEN:
        raise Conflict(f"This purchase is {locked.status}; it cannot be given up.", status=locked.status)
    if locked.marked_paid_by:
        raise Conflict("This purchase was marked as paid; it cannot be given up.", status=locked.status)
    _note(locked, by=by, now=now)
    return locked


def give_up_if_old(purchase: Purchase, *, now: datetime) -> None:
    """Note that nobody paid an order for 7 days, once; opens the transaction around it."""
    is_old = purchase.status in Purchase.OPEN and now - purchase.created_at >= WAITS
    if not is_old or is_given_up(purchase) or purchase.marked_paid_by:
        return
    with transactions.durable():
        locked = (
            Purchase.objects.select_for_update(no_key=True, of=("self",))
            .select_related("organization")
            .get(pk=purchase.pk)
        )
        if locked.status in Purchase.OPEN and not is_given_up(locked) and not locked.marked_paid_by:
            telling.too_old(locked)
            _note(locked, by=SYSTEM, now=now)
    purchase.abandoning_since = now


def is_given_up(purchase: Purchase) -> bool:
    """Tell whether what Lago has of it is to be voided: it is given up, or was found after it had been."""
    return purchase.abandoning_since is not None and purchase.status not in Purchase.GRANTED


def never_ordered(lease: Lease) -> None:
    """Abandon what Lago has nothing of; the lease says that nobody is sending it."""
    with transactions.durable():
        if lease.end(status=Purchase.Status.ABANDONED, last_error=""):
            keeping.record(lease.purchase, "credits.purchase_abandoned")


def void(purchase: Purchase, topup: TopUp) -> None:
    """Void the invoice of a purchase that is given up, and abandon it once Lago says so.

    Raises LagoUnavailable, after which the next look finds out what became of it; LagoRefused (401, 403).
    """
    if topup.invoice_id is None:  # Lago writes it a moment after the top-up
        return
    try:
        invoices.void(str(topup.invoice_id))
    except LagoRefused as refusal:
        if refusal.http_status != 405:
            raise
        if not abandon_if_void(purchase, topup):  # it is being paid: the next look sees it settled
            keeping.write(purchase, last_error="Lago does not void its invoice; it may be paid just now.")
        return
    _abandon(purchase)


def abandon_if_void(purchase: Purchase, topup: TopUp) -> bool:
    """Abandon a purchase whose invoice Lago shows as void; False where it is not. Raises LagoUnavailable, LagoRefused."""
    if not _is_void(topup):
        return False
    _abandon(purchase)
    return True


def _is_void(topup: TopUp) -> bool:
    invoice = invoices.get(str(topup.invoice_id))
    return invoice is not None and invoice.get("status") == "voided"


def _abandon(purchase: Purchase) -> None:
    with transactions.durable():
        still_open = Purchase.objects.filter(pk=purchase.pk, status__in=Purchase.OPEN)
        if still_open.update(status=Purchase.Status.ABANDONED, last_error="", leased_until=None):
            keeping.record(
                purchase, "credits.purchase_abandoned", invoice_number=purchase.invoice_number or ""
            )


def _note(locked: Purchase, *, by: Actor, now: datetime) -> None:
    locked.abandoning_since = locked.due_at = now
    locked.save(update_fields=["abandoning_since", "due_at"])
    auto_top_ups.stop_after(locked, because="Its order was given up.", now=now)
    events.record(
        organization=locked.organization.public_id,
        by=by,
        action="credits.purchase_given_up",
        target=locked.key,
        before={"status": locked.status},
        after={"invoice_number": locked.invoice_number},
    )

"""A purchase that Lago knows: its invoice, where it is paid, what became of the payment. Only looks, but for doubles."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from kit import transactions
from lago_sync.client import invoices, wallets
from lago_sync.errors import LagoRefused
from lago_sync.models import LagoCustomer, Purchase
from lago_sync.purchases import (
    abandoning,
    auto_top_ups,
    completion,
    keeping,
    marking,
    schedule,
    telling,
    topups,
)
from lago_sync.purchases.completion import NotAsOrdered
from lago_sync.purchases.topups import Found, TopUp, understood

logger = logging.getLogger(__name__)

_PAGE_LASTS: Final = timedelta(days=1)
"""A payment provider's page may end after a day: then each look asks for a new one."""
_ENDED: Final = {Purchase.Status.FAILED, Purchase.Status.ABANDONED}
"""Of these Lago has nothing that is to be paid; what shows up there all the same is looked at again."""
_NO_INVOICE: Final = {"invoice_id": None, "invoice_number": "", "payment_url": ""}


def watch(purchase: Purchase, *, now: datetime) -> None:
    """Bring our row to what Lago shows of the purchase, and complete it if it is paid.

    Needs no lease: whoever looks at the same time sees the same, and completion locks. Raises LagoIntegrationError.
    """
    wallet_id = purchase.wallet_id or _wallet_of(purchase)
    if wallet_id is None:
        return
    found = topups.of_purchase(purchase, wallet_id=wallet_id)
    adopt(purchase, found, now=now)
    for double in found.doubles:
        _void(purchase, double)
    if found.kept is None:
        return
    if found.kept.is_settled:
        _complete(purchase, now=now)
    elif abandoning.is_given_up(purchase):
        abandoning.void(purchase, found.kept)
    else:
        _show(purchase, found.kept, now=now)


def adopt(purchase: Purchase, found: Found, *, now: datetime) -> None:
    """Note which top-up is the purchase's, and flag what was not ordered so; asks Lago nothing."""
    kept = found.kept
    if purchase.status in _ENDED and not found.is_any:  # as it should be
        return
    changes: dict[str, Any] = {"leased_until": None, "last_error": "", "attempts": purchase.attempts + 1}
    if kept is None:
        changes["last_error"] = "Lago shows no top-up with its key over what was ordered."
    elif purchase.wallet_transaction_id != kept.id:
        changes |= {"wallet_id": kept.wallet_id, "wallet_transaction_id": kept.id, **_NO_INVOICE}
    if kept is not None and purchase.is_automatic and purchase.status == Purchase.Status.FAILED:
        changes["abandoning_since"] = now  # people were told that nothing is owed; another may be open by now
    elif kept is not None and purchase.status in {Purchase.Status.PENDING, Purchase.Status.FAILED}:
        changes["status"] = Purchase.Status.AWAITING_PAYMENT
    keeping.write(purchase, **changes, due_at=schedule.next_look(purchase=purchase, now=now))
    for stranger in found.strangers:
        keeping.flag(purchase, topups.differs(purchase, stranger, wallet_id=stranger.wallet_id) or "unknown")


def _complete(purchase: Purchase, *, now: datetime) -> None:
    try:
        payment = completion.verify(purchase)
    except NotAsOrdered as error:
        keeping.flag(purchase, error.message)
        keeping.write(purchase, last_error=error.message[:500])
        return
    with transactions.durable():
        completion.complete(purchase_id=purchase.pk, payment=payment, now=now)


def _show(purchase: Purchase, topup: TopUp, *, now: datetime) -> None:
    """Note the invoice, where it is paid, and whether the payment was declined; tell Lago of one that came past it."""
    if topup.invoice_id is None:  # Lago writes it a moment after the top-up
        return
    changes: dict[str, Any] = {}
    if not purchase.invoice_number and (invoice := invoices.get(str(topup.invoice_id))):
        with understood():
            changes |= {"invoice_id": UUID(invoice["lago_id"]), "invoice_number": str(invoice["number"])[:64]}
    is_new_decline = topup.is_declined and purchase.status != Purchase.Status.DECLINED
    if is_new_decline or not purchase.payment_url or now - purchase.created_at > _PAGE_LASTS:
        changes |= _payment_page(topup)
    keeping.write(purchase, **changes)
    if is_new_decline:
        _decline(purchase, now=now)
    if purchase.marked_paid_by:
        marking.tell(purchase, topup, now=now)


def _payment_page(topup: TopUp) -> dict[str, str]:
    """Return the address where a top-up is paid; nothing where there is no payment provider, or not yet a page."""
    if not settings.LAGO_PAYMENT_PROVIDER:
        return {}
    with suppress(LagoRefused), understood():
        address = wallets.payment_url(str(topup.id))
        if address.startswith(("https://", "http://")) and len(address) <= 2000:
            return {"payment_url": address}
    return {}


def _decline(purchase: Purchase, *, now: datetime) -> None:
    """Note a declined payment once; the invoice can still be paid. What was bought by itself is bought so no more."""
    with transactions.durable():
        waiting = Purchase.objects.filter(pk=purchase.pk, status=Purchase.Status.AWAITING_PAYMENT)
        if waiting.update(status=Purchase.Status.DECLINED):
            telling.declined(purchase)
            auto_top_ups.stop_after(purchase, because="The payment was declined.", now=now)
            keeping.record(purchase, "credits.purchase_declined", invoice_number=purchase.invoice_number)


def _void(purchase: Purchase, double: TopUp) -> None:
    """Void the invoice of a second top-up for the same purchase; one that is paid already is for people to return."""
    if double.is_settled:
        keeping.flag(purchase, f"it was paid twice: transaction {double.id} too is settled")
        return
    invoice = invoices.get(str(double.invoice_id)) if double.invoice_id else None
    if invoice is None or invoice.get("status") == "voided":
        return
    try:
        invoices.void(str(double.invoice_id))
    except LagoRefused as refusal:  # paid this moment: the next look sees it settled
        logger.warning("purchase %s: the double %s was not voided: %s", purchase.pk, double.id, refusal)
        return
    with transactions.durable():
        keeping.record(purchase, "credits.purchase_double_voided", transaction=str(double.id))


def _wallet_of(purchase: Purchase) -> UUID | None:
    return (
        LagoCustomer.objects.filter(organization=purchase.organization_id)
        .values_list("wallet_id", flat=True)
        .first()
    )

"""Bringing a purchase forward: from an order to one top-up at Lago, and on to its payment and its one grant.

Whatever dies in between, the next `advance` carries on from what our row and Lago say.
"""

import logging
import time
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F

from kit import transactions
from lago_sync.customers import linking
from lago_sync.errors import LagoIntegrationError, LagoRefused, PurchasesStopped
from lago_sync.models import LagoCustomer, Purchase
from lago_sync.purchases import abandoning, auto_top_ups, leases, schedule, telling, topups, watching
from lago_sync.purchases.leases import Lease
from lago_sync.purchases.topups import Found, OutcomeUnknown
from lago_sync.setup import guard
from orgs.audit import events
from orgs.audit.events import SYSTEM

logger = logging.getLogger(__name__)

_STARTS_WITHIN: Final = 3.0  # seconds: one run of the job begins no further look after this
_NOT_ABOUT_THE_ORDER: Final = (401, 403)
"""A wrong key of ours; the order waits until it is put right."""


def advance(*, purchase_id: UUID, now: datetime) -> Purchase:
    """Do what can be done for a purchase now, and return it. Asks Lago; safe at any time, for anybody, any number of times.

    What goes wrong at Lago is not raised: it stands in `last_error`, and the purchase is looked at again at `due_at`.
    Raises Purchase.DoesNotExist.
    """
    purchase = _read(purchase_id)
    abandoning.give_up_if_old(purchase, now=now)
    if purchase.status == Purchase.Status.PENDING and purchase.wallet_transaction_id is None:
        _order(purchase, now=now)
        purchase = _read(purchase_id)
        if purchase.wallet_transaction_id is None:
            return purchase
    _watch(purchase, now=now)
    return _read(purchase_id)


def advance_due(*, now: datetime) -> int:
    """Bring forward the open purchases whose time has come, and return how many; one that fails stops no other."""
    began, count = time.monotonic(), 0
    for purchase_id in schedule.claim_due(now=now):
        advance(purchase_id=purchase_id, now=now)
        count += 1
        if time.monotonic() - began > _STARTS_WITHIN:
            break
    return count


def _order(purchase: Purchase, *, now: datetime) -> None:
    """Order at Lago under the lease, and give it back unless what became of the order is unknown."""
    lease = leases.take(purchase=purchase, now=now)
    if lease is None:  # somebody else is at it, or its outcome is not known yet
        return
    try:
        found = _find_or_send(lease, now=now)
    except OutcomeUnknown as error:
        lease.note(error.message)
    except LagoRefused as refusal:
        _refused(lease, refusal, now=now)
    except LagoIntegrationError as error:
        _later(lease, error.message, now=now)
    else:
        if not found.is_any and abandoning.is_given_up(lease.purchase):
            abandoning.never_ordered(lease)
        else:
            watching.adopt(lease.purchase, found, now=now)


def _watch(purchase: Purchase, *, now: datetime) -> None:
    try:
        if purchase.status not in Purchase.GRANTED:
            watching.watch(purchase, now=now)
    except LagoIntegrationError as error:
        logger.warning("purchase %s: %s", purchase.pk, error.message)
        Purchase.objects.filter(pk=purchase.pk, status__in=Purchase.OPEN).update(
            last_error=error.message[:500],
            attempts=F("attempts") + 1,
            due_at=schedule.next_look(purchase=purchase, now=now),
        )


def _find_or_send(lease: Lease, *, now: datetime) -> Found:
    """Return what Lago has with the purchase's key, having sent it only where no page of the wallet shows any."""
    purchase = lease.purchase
    looked_in, found = _in_the_known_wallet(purchase)
    if found.is_any or abandoning.is_given_up(purchase):
        return found
    guard.require_safe(organization=purchase.organization.public_id)
    with topups.understood():
        customer = linking.ensure_customer(organization=purchase.organization, now=now)
        customer = linking.ensure_wallet(customer=customer, now=now)
    wallet_id = customer.wallet_id
    if wallet_id is None or customer.currency != purchase.currency:
        raise PurchasesStopped(f"The wallet at Lago is not in {purchase.currency}.")
    if wallet_id != looked_in and (found := topups.of_purchase(purchase, wallet_id=wallet_id)).is_any:
        return found
    lease.check()
    return topups.send(purchase, wallet_id=wallet_id)


def _in_the_known_wallet(purchase: Purchase) -> tuple[UUID | None, Found]:
    """Look before anything else that Lago may refuse: a purchase has failed only if no top-up of it is there."""
    known = LagoCustomer.objects.filter(organization=purchase.organization, wallet_id__isnull=False).first()
    if known is None or known.wallet_id is None:
        return None, Found(None)
    try:
        return known.wallet_id, topups.of_purchase(purchase, wallet_id=known.wallet_id)
    except LagoRefused as refusal:
        if refusal.http_status == 404:  # a Lago that was set up anew
            return None, Found(None)
        raise


def _later(lease: Lease, why: str, *, now: datetime) -> None:
    logger.warning("purchase %s: %s", lease.purchase.pk, why)
    lease.end(last_error=why[:500], due_at=schedule.next_look(purchase=lease.purchase, now=now))


def _refused(lease: Lease, refusal: LagoRefused, *, now: datetime) -> None:
    """Note that Lago did not take the order: it has failed, unless it is our key that Lago did not take."""
    said = f"{refusal.message} {refusal.codes or ''}".strip()[:500]
    if refusal.http_status in _NOT_ABOUT_THE_ORDER:
        _later(lease, said, now=now)
        return
    logger.warning("purchase %s: %s", lease.purchase.pk, said)
    with transactions.durable():
        lease.end(last_error=said, status=Purchase.Status.FAILED)
        telling.failed(lease.purchase)
        auto_top_ups.stop_after(lease.purchase, because="The billing system refused the order.", now=now)
        events.record(
            organization=lease.purchase.organization.public_id,
            by=SYSTEM,
            action="credits.purchase_failed",
            target=lease.purchase.key,
            after={"status": Purchase.Status.FAILED, "why": said},
        )


def _read(purchase_id: UUID) -> Purchase:
    return Purchase.objects.select_related("organization").get(pk=purchase_id)

"""The poll: finds what no webhook told. Lago tries three times within half a minute and then forgets (lago.md §3)."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable
from lago_sync.invoices import mirror
from lago_sync.models import LagoSubscription
from lago_sync.purchases import advancing
from lago_sync.reconcile import drift, watermarks
from lago_sync.reconcile.kinds.every import KINDS
from lago_sync.reconcile.kinds.kind import Kind
from lago_sync.subscriptions import plans
from orgs.models import Organization

logger = logging.getLogger(__name__)

STALE_AFTER: Final = timedelta(minutes=5)
AT_ONCE: Final = 25
"""Subscriptions of one run."""
SECONDS: Final = 60
"""After so long no further list is begun; the next run goes on."""


@dataclass(frozen=True, slots=True)
class Polled:
    """How many were looked at, and how many differed from the mirror."""

    purchases: int
    subscriptions: int
    invoices: int
    drifted: int


def poll(*, now: datetime) -> Polled:
    """Look at what falls due here and at what is new in Lago's lists. Asks Lago.

    Due are open purchases, and the live subscriptions and invoices that were seen longest ago.
    """
    started = time.monotonic()
    purchases, looked_at = advancing.advance_due(now=now), _refresh_subscriptions(now)
    return Polled(purchases, looked_at, mirror.catch_up(now=now), _read_lists(now, ends=started + SECONDS))


def _read_lists(now: datetime, *, ends: float) -> int:
    """Read each list down to its watermark; one that Lago refuses stops no other, a Lago that is away stops the run."""
    count = 0
    try:
        drift.look_again(now=now)
        for kind in KINDS:
            if time.monotonic() > ends:
                break
            count += _read(kind, now)
    except LagoIntegrationError as error:
        logger.warning("Lago's lists are read later: %s", error.message)
    return count


def _read(kind: Kind, now: datetime) -> int:
    count = 0
    try:
        for rows in watermarks.read(kind, now=now):
            count += sum(1 for _ in drift.judge(kind, rows, now=now, at_once=False))
    except LagoRefused as refusal:
        # An older Lago has no such list, or wants a customer named: the books are compared by customer all the same.
        logger.warning("the list of %s is not read: %s", kind.name, refusal.message)
    return count


def _refresh_subscriptions(now: datetime) -> int:
    """Refresh a bounded number; one that Lago refuses stops no other, a Lago that is away stops the run."""
    stale = (
        LagoSubscription.objects.filter(ended_at=None)
        .values("organization")
        .annotate(seen=Min("synced_at"))
        .filter(seen__lt=now - STALE_AFTER)
        .order_by("seen")
    )
    count = 0
    for organization_id in list(stale.values_list("organization", flat=True)[:AT_ONCE]):
        try:
            plans.refresh(organization=Organization.objects.get(pk=organization_id), now=now)
        except LagoRefused as refusal:
            logger.error("the subscription of %s is not refreshed: %s", organization_id, refusal.message)  # noqa: TRY400 - no trace is needed
            _let_others_go_first(organization_id, now)
        except LagoUnavailable:
            break
        count += 1
    return count


def _let_others_go_first(organization_id: int, now: datetime) -> None:
    LagoSubscription.objects.filter(organization=organization_id, ended_at=None).update(synced_at=now)

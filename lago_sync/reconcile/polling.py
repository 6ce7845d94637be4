"""The poll: finds what no webhook told. Lago tries three times within half a minute and then forgets (lago.md §3)."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.models import LagoSubscription
from lago_sync.purchases import advancing
from lago_sync.subscriptions import plans
from orgs.models import Organization

logger = logging.getLogger(__name__)

STALE_AFTER: Final = timedelta(minutes=5)
AT_ONCE: Final = 25
"""Subscriptions of one run."""


@dataclass(frozen=True, slots=True)
class Polled:
    """How many were looked at."""

    purchases: int
    subscriptions: int


def poll(*, now: datetime) -> Polled:
    """Look at open purchases whose time has come and at the live subscriptions seen longest ago. Asks Lago."""
    return Polled(advancing.advance_due(now=now), _refresh_subscriptions(now))


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

"""The lease under which one process tells Lago of a change: one UPDATE, committed before anything is sent."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from kit import transactions
from lago_sync.errors import LagoIntegrationError
from lago_sync.models import PlanChange

logger = logging.getLogger(__name__)

LASTS: Final = timedelta(minutes=5)
"""After an unknown outcome this is also how long Lago has to show what it did, before anything is sent again."""
_SENDS_WITHIN: Final = timedelta(minutes=3)
"""Whoever stood still for longer sends nothing any more: its request could come after the lease."""
_ONE_LOOK: Final = timedelta(minutes=2)
_SLOWEST: Final = timedelta(minutes=2)
_AT_ONCE: Final = 50


class LeaseOver(LagoIntegrationError):
    """The process was too slow; another may be at work by now, so this one sends nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to tell Lago of one change, from one attempt's begin."""

    change: PlanChange
    began: float

    def check(self) -> None:
        """Raise LeaseOver if there is no longer time to send and hear an answer."""
        if time.monotonic() - self.began > _SENDS_WITHIN.total_seconds():
            raise LeaseOver("The change took too long; it is tried again.")

    def keep(self, why: str, *, now: datetime) -> None:
        """Note an unknown outcome: nothing is sent again until the lease is over, and Lago is looked at meanwhile."""
        self._mine().update(last_error=_said(self.change, why), due_at=now + timedelta(seconds=10))

    def give_back(self, why: str, *, now: datetime) -> None:
        """Note that Lago was told nothing, so that anybody may try again."""
        wait = min(timedelta(seconds=5 * self.change.attempts), _SLOWEST)
        self._mine().update(last_error=_said(self.change, why), leased_until=None, due_at=now + wait)

    def _mine(self) -> QuerySet[PlanChange]:
        rows = PlanChange.objects.filter(pk=self.change.pk, status=PlanChange.Status.PENDING)
        return rows.filter(attempts=self.change.attempts)


def take(*, change: PlanChange, now: datetime) -> Lease | None:
    """Take the lease of a change that is under way; None while another has it, or where it has ended."""
    began = time.monotonic()
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    with transactions.durable():
        taken = PlanChange.objects.filter(free, pk=change.pk, status=PlanChange.Status.PENDING).update(
            leased_until=now + LASTS, due_at=now + _ONE_LOOK, attempts=F("attempts") + 1
        )
    if not taken:
        return None
    return Lease(PlanChange.objects.select_related("organization").get(pk=change.pk), began)


def end(*, change: PlanChange, status: PlanChange.Status, now: datetime, why: str = "") -> bool:
    """Write how a change ended, once; returns whether that was now. Needs a transaction."""
    transactions.require()
    values: dict[str, Any] = {
        "status": status,
        "ended_at": now,
        "leased_until": None,
        "last_error": why[:500],
    }
    return bool(PlanChange.objects.filter(pk=change.pk, status=PlanChange.Status.PENDING).update(**values))


def claim_due(*, now: datetime) -> Iterator[UUID]:
    """Yield changes whose time has come, each to one caller only: two jobs side by side share the work."""
    due = PlanChange.objects.filter(status=PlanChange.Status.PENDING, due_at__lte=now)
    for found in due.order_by("due_at").values_list("pk", flat=True)[:_AT_ONCE]:
        if due.filter(pk=found).update(due_at=now + _ONE_LOOK):
            yield found


def _said(change: PlanChange, why: str) -> str:
    logger.warning("change of plan %s: %s", change.pk, why)
    return why[:500]

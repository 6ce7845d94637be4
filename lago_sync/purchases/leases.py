"""The lease under which one worker orders a purchase at Lago: one UPDATE, committed before anything is sent."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet

from kit import transactions
from lago_sync.errors import LagoIntegrationError
from lago_sync.models import Purchase

logger = logging.getLogger(__name__)

LASTS: Final = timedelta(minutes=5)
"""How long nobody else sends anything; after an unknown outcome this is also how long Lago has to show it."""
SENDS_WITHIN: Final = timedelta(minutes=3)
"""A worker that stood still for longer sends nothing any more: its answer could come after the lease."""


class LeaseOver(LagoIntegrationError):
    """The worker was too slow; another may be at work by now, so this one sends nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to order one purchase at Lago, from one attempt's begin."""

    purchase: Purchase
    began: float

    def check(self) -> None:
        """Raise LeaseOver if there is no longer time to send and hear an answer."""
        if time.monotonic() - self.began > SENDS_WITHIN.total_seconds():
            raise LeaseOver("The order took too long; it is tried again.")

    def note(self, why: str) -> None:
        """Say what is known of an attempt that keeps its lease."""
        logger.warning("purchase %s: %s", self.purchase.pk, why)
        self._mine().update(last_error=why[:500])

    def end(self, **values: Any) -> bool:
        """Write what came of it and give the lease back; False where another attempt has begun since."""
        return bool(self._mine().update(leased_until=None, **values))

    def _mine(self) -> QuerySet[Purchase]:
        attempt = Purchase.objects.filter(pk=self.purchase.pk, attempts=self.purchase.attempts)
        return attempt.exclude(status__in=Purchase.GRANTED)


def take(*, purchase: Purchase, now: datetime) -> Lease | None:
    """Take the lease of a purchase that is not known at Lago; None while another has it or where nothing is to order."""
    began = time.monotonic()
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    with transactions.durable():
        taken = Purchase.objects.filter(
            free, pk=purchase.pk, status=Purchase.Status.PENDING, wallet_transaction_id=None
        ).update(leased_until=now + LASTS, due_at=now + LASTS, attempts=F("attempts") + 1)
    if not taken:
        return None
    return Lease(Purchase.objects.select_related("organization").get(pk=purchase.pk), began)

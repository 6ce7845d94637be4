"""When an open purchase is looked at again: every few seconds while its buyer waits, seldom later, but for ever."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lago_sync.models import Purchase

_WAITS_IN_FRONT_OF_IT: Final = timedelta(minutes=10)
_FIRST_DAY: Final = timedelta(days=1)
_LONGEST_IN_FRONT: Final = timedelta(seconds=30)
_ONE_LOOK: Final = timedelta(minutes=2)
"""Above what one look takes; if its process dies, the next one comes after this."""
_AT_ONCE: Final = 50


def next_look(*, purchase: Purchase, now: datetime) -> datetime:
    """Return when to look again: after 1, 2, 3 … 30 seconds, after ten minutes every 2 minutes, after a day hourly.

    What somebody gave up or marked as paid waits for an answer of Lago: 30 seconds at most.
    """
    age = now - purchase.created_at
    is_asked_for = purchase.abandoning_since is not None or purchase.marked_paid_by
    if is_asked_for or age < _WAITS_IN_FRONT_OF_IT:
        return now + min(timedelta(seconds=1 + purchase.attempts), _LONGEST_IN_FRONT)
    return now + (timedelta(minutes=2) if age < _FIRST_DAY else timedelta(hours=1))


def claim_due(*, now: datetime) -> Iterator[UUID]:
    """Yield open purchases whose time has come, each to one caller only: two jobs side by side share the work."""
    due = Purchase.objects.filter(status__in=Purchase.OPEN, due_at__lte=now)
    for found in due.order_by("due_at").values_list("pk", flat=True)[:_AT_ONCE]:
        if due.filter(pk=found).update(due_at=now + _ONE_LOOK):
            yield found

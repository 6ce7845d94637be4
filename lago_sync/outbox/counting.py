"""Counting usage in the outbox: what Lago took of a period, and what was recorded in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from credits.ledger import statements
from lago_sync.models import OutboxEvent
from lago_sync.outbox.writing import CREDITS_USED

_MARGIN: Final = timedelta(hours=1)
"""Rows are written in the order of their ids but for what is settled side by side: seconds, not an hour."""
_DELIVERED: Final = """
SELECT code, count(*), sum((payload->>'credits')::numeric) FROM lago_sync_outboxevent
WHERE organization = %s AND id >= %s AND state = 'delivered' AND (payload->>'timestamp')::numeric >= %s
GROUP BY code
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a metric comes to: its credits, or how often it happened."""

    units: Decimal
    events: int


NOTHING: Final = Counted(Decimal(0), 0)


def delivered(*, organization: str, since: datetime) -> dict[str, Counted]:
    """Return what Lago took of an organization's usage (public id) that happened at `since` or later, by event code.

    Reads the rows that were written since then, however many came before.
    """
    rows = statements.rows(_DELIVERED, organization, _first_row(since - _MARGIN), since.timestamp())
    return {
        code: Counted(Decimal(credits if code == CREDITS_USED else count), count)
        for code, count, credits in rows
    }


def recorded(*, organization: str, since: datetime, at_most: int, code: str = "") -> int:
    """Return how many events that are no charges were recorded for an organization since then, counted up to `at_most`."""
    rows = OutboxEvent.objects.filter(organization=organization, created_at__gte=since)
    rows = rows.filter(code=code) if code else rows
    return rows.exclude(code=CREDITS_USED).order_by("created_at")[:at_most].count()


def _first_row(since: datetime) -> int:
    """Return the id from which on rows were written at `since` or later: halved towards, since no index has the time."""
    low, high = 0, OutboxEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    while low < high:
        middle = (low + high) // 2
        row = OutboxEvent.objects.filter(pk__gt=middle).order_by("pk").values_list("pk", "created_at").first()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = row[0]
    return low + 1

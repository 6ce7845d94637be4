"""Usage events at Lago."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from lago_sync.client import transport
from lago_sync.client.transport import Json

MOST: Final = 100
"""Events in one batch."""


def send(events: list[Json]) -> list[Json]:
    """Send a batch of at most 100, all or nothing. Stable ids make it safe to repeat.

    Does not wait for a limit: LagoUnreachable says that nothing was sent. Raises LagoRefused with `codes` by index where one is invalid or was stored before.
    """
    answer = transport.post("events/batch", {"events": events}, repeats=True, waits=False)
    stored: list[Json] = transport.inside(answer, "events", list)
    return stored


def of_subscription(external_subscription_id: str, *, since: datetime, until: datetime) -> Iterator[Json]:
    """Yield the events that Lago keeps of a subscription, of these times of use, whether it counts them or not."""
    return transport.pages(
        "events",
        "events",
        {
            "external_subscription_id": external_subscription_id,
            "timestamp_from": _instant(since),
            "timestamp_to": _instant(until),
        },
    )


def get(transaction_id: str) -> Json | None:
    """Return the first event with this id, of whatever subscription; None if Lago has none."""
    answer = transport.get(transport.path("events", transaction_id))
    return transport.inside(answer, "event") if answer is not None else None


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

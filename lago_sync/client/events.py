"""Usage events at Lago."""

from typing import Final

from lago_sync.client import transport
from lago_sync.client.transport import Json

MOST: Final = 100
"""Events in one batch."""


def send(events: list[Json]) -> list[Json]:
    """Send a batch of at most 100, all or nothing. Stable ids make it safe to repeat.

    Raises LagoRefused with `codes` by index where one is invalid or was stored before.
    """
    stored: list[Json] = transport.post("events/batch", {"events": events}, repeats=True).get("events", [])
    return stored

"""The sandbox's one clock: the wall clock and an offset that the control plane moves."""

import time
from datetime import UTC, date, datetime
from typing import Any, Final

from lago_sandbox import switches

LONGEST: Final = 5.0  # seconds


def now() -> datetime:
    """Return the sandbox's present time (UTC)."""
    return datetime.fromtimestamp(time.time() + switches.clock_offset(), UTC)


def until(moment: datetime | None) -> float:
    """Return the seconds until a moment, between a blink and the longest that a thread sleeps."""
    return LONGEST if moment is None else min(LONGEST, max(0.001, (moment - now()).total_seconds()))


def seconds(moment: datetime | None) -> str | None:
    """Return a time as Lago writes most of them: ISO 8601, whole seconds, Z."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime | None) -> str | None:
    """Return a time with milliseconds, as `started_at` and an event's `timestamp` have it."""
    return (
        None
        if moment is None
        else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    )


def day(when: date | None) -> str | None:
    return None if when is None else when.isoformat()


def parse(text: Any) -> datetime | None:
    """Return the time that an ISO 8601 text names, or None if it names none; without a zone it is UTC."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

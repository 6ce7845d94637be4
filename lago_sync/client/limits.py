"""Lago Cloud's rate limits (reference/lago.md §1.7): a bucket of tokens for each class of requests, and what Lago itself says.

A bucket is filled every tenth of a second with so many tokens that never more than the limit go out in any second,
whoever of our processes sends them. A self-hosted Lago has no limits: LAGO_RATE_LIMITED is off, and only what its
answers say is obeyed.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Final

from django.conf import settings

from lago_sync.client import shared
from lago_sync.errors import LagoUnreachable

PER_SECOND: Final = {"events": 500, "current_usage": 200, "rest": 50}
"""Of the whole Lago organization. Whether a batch of events counts among the events is not documented: as the rest."""
LONGEST_WAIT: Final = 5.0
"""Seconds that a request waits for its turn, and no longer: it was not sent then."""

_SLICE: Final = 0.1
_TOUCHED: Final = 11  # slices that a second can touch


def wait(resource: str, *, sleeps: bool = True) -> None:
    """Return when a request may be sent. Raises LagoUnreachable where that is too far off, or at once if not `sleeps`."""
    name = _class(resource)
    ends = time.monotonic() + (LONGEST_WAIT if sleeps else 0.0)
    while (pause := max(_closed_for(name), _empty_for(name))) > 0:
        if time.monotonic() + pause > ends:
            raise LagoUnreachable("Lago's limit of requests is reached.")
        time.sleep(pause)


def note(resource: str, headers: Mapping[str, str]) -> None:
    """Remember what an answer says: with nothing remaining nobody asks until the limit starts anew."""
    remaining, reset = headers.get("X-RateLimit-Remaining", ""), headers.get("X-RateLimit-Reset", "")
    if remaining == "0" and reset.isdecimal() and int(reset) > 0:
        seconds = min(int(reset), 3600)
        shared.keep(_key(_class(resource), "closed"), time.time() + seconds, seconds=seconds)


def _class(resource: str) -> str:
    if resource == "events":
        return "events"
    return "current_usage" if resource.endswith("/current_usage") else "rest"


def _closed_for(name: str) -> float:
    key = _key(name, "closed")
    until = shared.read([key]).get(key)
    return float(until) - time.time() if until is not None else 0.0


def _empty_for(name: str) -> float:
    """Take a token; returns the seconds until there are new ones where the bucket is empty."""
    if not settings.LAGO_RATE_LIMITED:
        return 0.0
    now = time.time()
    number = int(now / _SLICE)
    if shared.count(_key(name, str(number)), seconds=2) <= PER_SECOND[name] // _TOUCHED:
        return 0.0
    return max((number + 1) * _SLICE - now, 0.001)


def _key(name: str, what: str) -> str:
    address = hashlib.sha256(settings.LAGO_API_URL.encode()).hexdigest()[:12]
    return f"lago:limit:{address}:{name}:{what}"

"""The circuit breaker: after several failures in a row Lago is not asked for a while, so that nobody waits again and again.

Two circuits, since one event that Lago cannot bear must be found by sending smaller and smaller batches (the outbox
does), which are failures in a row without Lago being away. An open one raises LagoUnreachable at once. When its pause
is over one request is let through: if that is answered the circuit closes, else the pause is twice as long.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings

from lago_sync.client import shared
from lago_sync.errors import LagoUnavailable, LagoUnreachable

logger = logging.getLogger(__name__)

FAILURES: Final = {"api": 5, "events": 12}
"""In a row, of all processes together."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0

_REMEMBERED: Final = 3600
_IN_A_ROW: Final = 300
"""Seconds within which failures are in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a circuit stands: whether it is open, since when, after how many failures in a row and why."""

    is_open: bool
    opened_at: datetime | None = None
    failures: int = 0
    why: str = ""


@dataclass(slots=True)
class Passage:
    """One request on its way through; `failed` says that its answer was none."""

    known: dict[str, Any]
    why: str = field(default="")

    def failed(self, why: str) -> None:
        self.why = why


@contextmanager
def passing(resource: str, *, always: bool = False) -> Iterator[Passage]:
    """Let a request pass, and note what came of it; `always` asks also where the circuit is open.

    Raises LagoUnreachable where it is open.
    """
    name = "events" if resource.startswith("events") else "api"
    passage = Passage(_known(name))
    if not always:
        _require_closed(name, passage.known)
    try:
        yield passage
    except LagoUnavailable as error:
        passage.failed(error.message)
        _failed(name, passage)
        raise
    if passage.why:
        _failed(name, passage)
    else:
        _succeeded(name, passage)


def standing() -> Standing:
    """Return where the worse of the two stands: the one that is open, else the one with more failures."""
    found = [_standing(name) for name in FAILURES]
    return max(found, key=lambda one: (one.is_open, one.failures))


def forget() -> None:
    """Close both and count anew: for whoever has just mended Lago, and for tests."""
    shared.forget(_key(name, what) for name in FAILURES for what in ("open", "failures", "probe"))


def _standing(name: str) -> Standing:
    known = _known(name)
    opened = known.get("open")
    if opened is None:
        return Standing(is_open=False, failures=int(known.get("failures") or 0))
    return Standing(
        is_open=True,
        opened_at=datetime.fromtimestamp(opened["at"], UTC),
        failures=int(opened["failures"]),
        why=opened["why"],
    )


def _require_closed(name: str, known: dict[str, Any]) -> None:
    opened = known.get("open")
    if opened is None:
        return
    longest = round(2 * settings.LAGO_TIMEOUT_SECONDS + 10)
    if time.time() < opened["until"] or not shared.take(_key(name, "probe"), seconds=longest):
        raise LagoUnreachable("Lago cannot be reached.")


def _failed(name: str, passage: Passage) -> None:
    opened = passage.known.get("open")
    count = shared.count(_key(name, "failures"), seconds=_IN_A_ROW)
    if opened is None and count < FAILURES[name]:
        return
    now = time.time()
    pause = min(opened["pause"] * 2, LONGEST_PAUSE) if opened else FIRST_PAUSE
    if opened is None:
        logger.error("Lago is not asked for a while (%s): %s failures in a row", name, count)
    entry = {
        "at": opened["at"] if opened else now,
        "until": now + pause,
        "pause": pause,
        "failures": count if opened is None else opened["failures"] + 1,
        "why": passage.why[:200],
    }
    shared.keep(_key(name, "open"), entry, seconds=_REMEMBERED)
    shared.forget([_key(name, "probe")])


def _succeeded(name: str, passage: Passage) -> None:
    if not passage.known:
        return
    if "open" in passage.known:
        logger.warning("Lago answers again (%s)", name)
    shared.forget(_key(name, what) for what in ("open", "failures", "probe"))


def _known(name: str) -> dict[str, Any]:
    keys = {_key(name, what): what for what in ("open", "failures")}
    return {keys[key]: value for key, value in shared.read(keys).items()}


def _key(name: str, what: str) -> str:
    """Return the fact's name: one of this Lago, so that another address begins anew."""
    address = hashlib.sha256(settings.LAGO_API_URL.encode()).hexdigest()[:12]
    return f"lago:circuit:{address}:{name}:{what}"

"""Who may ask: API keys that are made and revoked; the events' door takes a revoked one for a while, from its cache (B58)."""

from datetime import datetime, timedelta
from typing import Any, Final

from lago_sandbox import clock, settings, switches

_NAME: Final = "api_keys"  # {key: the time when it was revoked, or None}


def everything() -> dict[str, str | None]:
    """Return the keys, with the time when one was revoked."""
    found: dict[str, str | None] = switches.kept(_NAME, {settings.API_KEY: None})
    return found


def make(key: str) -> None:
    """Let one more key in, beside the others: the first step of a rotation."""
    if not key or key.strip() != key:
        raise ValueError("a key is a text without blanks")
    switches.keep(_NAME, everything() | {key: None})


def revoke(key: str, *, now: datetime) -> None:
    known = everything()
    if known.get(key, "") is not None:
        raise ValueError("there is no such key, or it was revoked before")
    switches.keep(_NAME, known | {key: now.isoformat()})


def is_valid(key: str, *, for_events: bool) -> bool:
    """Say whether a key is let in; for events a revoked one is, until the cache forgets it."""
    known: dict[str, Any] = everything()
    if key not in known:
        return False
    if known[key] is None:
        return True
    kept_for = timedelta(seconds=switches.read("key_cache"))
    return for_events and clock.now() < datetime.fromisoformat(known[key]) + kept_for

"""A few small facts that all processes share through the cache; while it is away each process keeps its own.

Losing them costs nothing but a request too many.
"""

import time
from collections.abc import Iterable
from threading import Lock
from typing import Any, Final

from django.core.cache import cache
from redis.exceptions import RedisError

_AWAY: Final = (RedisError, OSError)
_LEFT_ALONE: Final = 30.0
"""Seconds for which a cache that failed is not asked: each question to one that is away costs its time limits."""

_lock = Lock()
_own: dict[str, tuple[Any, float]] = {}
_away_until = 0.0


def read(names: Iterable[str]) -> dict[str, Any]:
    """Return those of the facts that there are."""
    asked = list(names)
    if _is_here():
        try:
            return dict(cache.get_many(asked))
        except _AWAY:
            _is_away()
    with _lock:
        return {name: _own[name][0] for name in asked if name in _own and _own[name][1] > time.monotonic()}


def keep(name: str, value: Any, *, seconds: int) -> None:
    if _is_here():
        try:
            cache.set(name, value, seconds)
        except _AWAY:
            _is_away()
        else:
            return
    with _lock:
        _own[name] = (value, time.monotonic() + seconds)


def take(name: str, *, seconds: int) -> bool:
    """Return true to one caller only until the seconds are over."""
    if _is_here():
        try:
            return bool(cache.add(name, 1, seconds))
        except _AWAY:
            _is_away()
    return _add_to_own(name, 1, seconds) == 1


def count(name: str, *, seconds: int) -> int:
    """Count one more and return how many that are; begins anew when nobody counted for these seconds."""
    if _is_here():
        try:
            cache.add(name, 0, seconds)
            return int(cache.incr(name))
        except ValueError:  # it ended between the two
            return 1
        except _AWAY:
            _is_away()
    return _add_to_own(name, 1, seconds)


def forget(names: Iterable[str]) -> None:
    listed = list(names)
    with _lock:
        for name in listed:
            _own.pop(name, None)
    if _is_here():
        try:
            cache.delete_many(listed)
        except _AWAY:
            _is_away()


def _add_to_own(name: str, more: int, seconds: int) -> int:
    now = time.monotonic()
    with _lock:
        for old in [one for one, (_, ends) in _own.items() if ends <= now]:
            del _own[old]
        value, ends = _own.get(name, (0, now + seconds))
        _own[name] = (value + more, ends)
        return int(value + more)


def _is_here() -> bool:
    return time.monotonic() >= _away_until


def _is_away() -> None:
    global _away_until  # noqa: PLW0603 - one fact of this process
    _away_until = time.monotonic() + _LEFT_ALONE

"""Lago Cloud's limits of requests in a second (B57): by class, with headers on every answer; off as at a Lago of one's own."""

import math
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from lago_sandbox import switches

_USAGE: Final = re.compile(r"/api/v1/customers/[^/]+/current_usage")


@dataclass
class _Window:
    ends: float = 0.0
    taken: int = 0


@dataclass
class _Windows:
    lock: threading.Lock = field(default_factory=threading.Lock)
    by_class: dict[str, _Window] = field(default_factory=dict)


_windows = _Windows()


def take(method: str, path: str) -> tuple[bool, dict[str, str]]:
    """Count a request; return whether it is let in, and the headers of its answer."""
    if not switches.read("rate_limits"):
        return True, {}
    name = class_of(method, path)
    most = int(switches.read(f"rate_limit_{name}"))
    now, length = time.monotonic(), switches.read("rate_limit_window")
    with _windows.lock:
        window = _windows.by_class.setdefault(name, _Window())
        if now >= window.ends:
            window.ends, window.taken = now + length, 0
        window.taken += 1
        left, reset = most - window.taken, window.ends - now
    headers = {
        "X-RateLimit-Limit": str(most),
        "X-RateLimit-Remaining": str(max(0, left)),
        "X-RateLimit-Reset": str(math.ceil(reset)),
    }
    return left >= 0, headers


def class_of(method: str, path: str) -> str:
    """Return events, usage or other; a batch counts as other, the class that is safe to assume."""
    if method == "POST" and path == "/api/v1/events":
        return "events"
    return "usage" if method == "GET" and _USAGE.fullmatch(path) else "other"


def forget() -> None:
    with _windows.lock:
        _windows.by_class.clear()

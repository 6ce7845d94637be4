"""Faults by plan: the next N requests that match are slow, refused, or cut off after their work was committed."""

import re
import threading
from dataclasses import dataclass
from typing import Any

_FIELDS = {"method", "path", "times", "latency", "status", "body", "drop", "after_commit"}


@dataclass
class Fault:
    """One line of the plan; a restart forgets it."""

    method: str = ".*"  # regular expression
    path: str = ".*"  # regular expression, anywhere in the path
    times: int = 1
    latency: float = 0.0  # seconds
    status: int | None = None  # answer this instead
    body: str = (
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    )
    drop: bool = False  # close the connection without an answer
    after_commit: bool = True  # the request's work is done first; False: it never reaches the application

    def matches(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path))


_lock = threading.Lock()
_plan: list[Fault] = []


def plan(given: list[dict[str, Any]]) -> None:
    """Replace the plan; a wrong field is a ValueError."""
    made = []
    for one in given:
        if unknown := set(one) - _FIELDS:
            raise ValueError(
                f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(_FIELDS))}"
            )
        # A refusal stands for a proxy that never passed the request on, unless it is said otherwise.
        before = one.get("status") is not None and not one.get("drop")
        made.append(Fault(**({"after_commit": not before} | one)))
    with _lock:
        _plan[:] = made


def take(method: str, path: str) -> Fault | None:
    """Return the fault of a request and count it off."""
    with _lock:
        for fault in _plan:
            if fault.times > 0 and fault.matches(method, path):
                fault.times -= 1
                return fault
    return None


def left() -> list[dict[str, Any]]:
    """Return what of the plan is still to come."""
    with _lock:
        return [dict(vars(fault)) for fault in _plan if fault.times > 0]

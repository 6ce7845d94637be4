"""Background work as rows: what the answer leaves for a moment later survives the death of the process."""

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from lago_sandbox import switches
from lago_sandbox.models import Job


class Bell:
    """Wakes every thread that waits; one that was busy hears of it at its next wait."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.rung = 0

    def ring(self) -> None:
        with self._condition:
            self.rung += 1
            self._condition.notify_all()

    def wait(self, *, heard: int, seconds: float) -> None:
        """Return when it has rung since `heard`, or after some seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self.rung != heard, seconds)


bell = Bell()  # something is new, or the clock was moved: look again


def soon(kind: str, *, now: datetime, **payload: Any) -> None:
    """Have work done "a moment later" (the switch `moment`)."""
    at(kind, due_at=now + timedelta(seconds=switches.read("moment")), **payload)


def at(kind: str, *, due_at: datetime, **payload: Any) -> None:
    """Have work done at a time of the sandbox's clock."""
    Job.objects.create(kind=kind, due_at=due_at, payload=_plain(payload))
    transaction.on_commit(bell.ring)


def once(kind: str, *, key: str, due_at: datetime, **payload: Any) -> None:
    """Have work done once: a job with the same key is moved to the new time."""
    Job.objects.update_or_create(
        key=key, defaults={"kind": kind, "due_at": due_at, "payload": _plain(payload)}
    )
    transaction.on_commit(bell.ring)


def _plain(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, UUID) else value for name, value in payload.items()}

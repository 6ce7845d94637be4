"""Settling together, without a thread: whoever finds nobody settling settles for all who wait.

The leader works on its own thread and connection, wakes those it settled and hands the lead to the first who came
meanwhile. No timer: a batch is what waits when the last one has committed, so a lone request waits for no one. If
settling fails, each waiter settles its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from credits.ledger import charging
from credits.ledger.commands import Command, Outcome

_PATIENCE_SECONDS: Final = 30.0
"""How long a waiter trusts its leader; then it settles alone. The ledger's own timeouts are far below."""


@dataclass(slots=True, eq=False)
class _Waiter:
    command: Command
    woken: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None
    leads: bool = False


class Combiner:
    """One queue of a process. `settle` is `charging.settle`; tests put another in its place to break it."""

    def __init__(self, settle: Callable[[Sequence[Command]], list[Outcome]] = charging.settle) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._queue: deque[_Waiter] = deque()
        self._led = False

    def submit(self, command: Command) -> Outcome:
        """Settle the command with whatever else waits, and return its outcome."""
        waiter = _Waiter(command)
        with self._lock:
            self._queue.append(waiter)
            waiter.leads, self._led = not self._led, True
        if not waiter.leads:
            waiter.woken.wait(_PATIENCE_SECONDS)
        if waiter.leads:
            self._lead()
        elif waiter.outcome is None:
            self._leave(waiter)
        return waiter.outcome if waiter.outcome is not None else self._settle([command])[0]

    def _lead(self) -> None:
        """Settle what waits, the leader's own among it, then hand on. Whatever happens, nobody is left asleep."""
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), charging.MOST_TOGETHER))]
        try:
            outcomes = self._settle([waiter.command for waiter in batch])
            for waiter, outcome in zip(batch, outcomes, strict=True):
                waiter.outcome = outcome
        except Exception:
            if len(batch) == 1:
                raise
        finally:
            self._hand_on()
            for waiter in batch:
                waiter.woken.set()

    def _hand_on(self) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].woken.set()
            else:
                self._led = False

    def _leave(self, waiter: _Waiter) -> None:
        """Take back a command that nobody has begun to settle; one that is under way resolves by its key."""
        with self._lock:
            if waiter in self._queue:
                self._queue.remove(waiter)


submit = Combiner().submit
"""Settle one command together with whatever else this process has waiting."""

"""Settling together, without a thread: whoever finds nobody settling settles for all who wait.

The leader works on its own thread and connection, wakes those it settled and hands the lead to the first who came
meanwhile. No timer: a batch is what waits when the last one has committed, so a lone request waits for no one.

The front settles what needs no waiting. What waits for a payer that somebody else holds goes to that payer's lane, which
combines in the same way: a stuck row fills its lane and delays nobody else.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from credits.ledger import charging, guesses
from credits.ledger.charging import MOST_TOGETHER
from credits.ledger.commands import Command, Outcome
from credits.ledger.payers import Ref
from credits.ledger.rounds import Attempt
from kit.errors import TryAgain

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

PATIENCE_SECONDS: Final = 2.5
"""How long a request waits for its leader; after that nobody knows, and its retry will. Locks time out before."""
_LANES: Final = 64
_CROWDED_SECONDS: Final = 0.25
"""How long a payer that two processes met at is taken for crowded: its requests spare the front's vain try."""
_MOST_CROWDED: Final = 10_000


@dataclass(slots=True, eq=False)
class _Waiter(Generic[_Item, _Result]):
    item: _Item
    woken: threading.Event = field(default_factory=threading.Event)
    results: list[_Result] = field(default_factory=list)
    leads: bool = False


class Combiner(Generic[_Item, _Result]):
    """One queue. `settle` decides a list of items; where it fails for many, each of them decides its own."""

    def __init__(self, settle: Callable[[Sequence[_Item]], Sequence[_Result]]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._queue: deque[_Waiter[_Item, _Result]] = deque()
        self._led = False

    def submit(self, item: _Item) -> _Result:
        """Settle the item with whatever else waits, and return its result; raises TryAgain when patience ends."""
        waiter: _Waiter[_Item, _Result] = _Waiter(item)
        with self._lock:
            self._queue.append(waiter)
            waiter.leads, self._led = not self._led, True
        if not waiter.leads:
            self._wait(waiter)
        if waiter.leads:
            self._lead()
        return waiter.results[0] if waiter.results else self._settle([item])[0]

    def _lead(self) -> None:
        """Settle what waits, the leader's own among it, then hand on. Whatever happens, nobody is left asleep."""
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_TOGETHER))]
        try:
            results = self._settle([waiter.item for waiter in batch])
            for waiter, result in zip(batch, results, strict=True):
                waiter.results.append(result)
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

    def _wait(self, waiter: _Waiter[_Item, _Result]) -> None:
        """Sleep until the result or the lead is there; whoever runs out of patience, or is broken off, leaves."""
        try:
            woken = waiter.woken.wait(PATIENCE_SECONDS)
        except BaseException:
            self._leave(waiter, even_leading=True)
            if waiter.leads:
                self._hand_on()
            raise
        if not woken and self._leave(waiter):
            raise TryAgain

    def _leave(self, waiter: _Waiter[_Item, _Result], *, even_leading: bool = False) -> bool:
        """Leave the queue and return True; whoever was made leader or was settled in this very moment stays."""
        with self._lock:
            if waiter in self._queue and (even_leading or not waiter.leads):
                self._queue.remove(waiter)
            return not (waiter.leads or waiter.results)


_front: Combiner[Command, Outcome | Attempt] = Combiner(charging.settle_free)
_lanes: list[Combiner[Attempt, Outcome]] = [Combiner(charging.settle_waiting) for _ in range(_LANES)]
_crowded_until: dict[Ref, float] = {}


def submit(command: Command) -> Outcome:
    """Settle one command together with whatever else this process has waiting."""
    try:
        payer = guesses.payer(command)
        if payer is not None and _crowded_until.get(payer, 0.0) > time.monotonic():
            return _wait_in_lane(Attempt(command, waits_for=payer))
        decided = _front.submit(command)
        if isinstance(
            decided, Attempt
        ):  # two processes met at a payer by chance: by the next batch it is free
            decided = _front.submit(command)
        return _wait_in_lane(decided) if isinstance(decided, Attempt) else decided
    except TryAgain as unknown:
        return unknown


def _wait_in_lane(attempt: Attempt) -> Outcome:
    """Settle what waits for one payer's lock; whoever asks for that payer next comes straight here for a while."""
    if attempt.waits_for is not None:
        if len(_crowded_until) >= _MOST_CROWDED:
            _crowded_until.clear()
        _crowded_until[attempt.waits_for] = time.monotonic() + _CROWDED_SECONDS
    return _lanes[hash(attempt.waits_for) % _LANES].submit(attempt)

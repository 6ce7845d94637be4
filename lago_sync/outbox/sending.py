"""Sending a claimed batch: Lago takes all or nothing, so what it refuses is taken out and the rest sent again at once."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lago_sync.client import events as lago
from lago_sync.client.transport import Json
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnreachable
from lago_sync.outbox import claims, events
from lago_sync.outbox.claims import Batch, Claimed

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

STORED_BEFORE: Final = "value_already_exist"
_FOR_GOOD: Final = frozenset(
    {
        "value_is_mandatory",
        "value_is_invalid",
        "value_is_out_of_range",
        "value_is_too_long",
        "invalid_format",
        "invalid_date",
    }
)
"""Lago's codes for an event that no second try makes valid (reference/lago.md §1.2)."""
_ABOUT_THE_BODY: Final = frozenset({400, 413, 422})
_SUSPICIOUS: Final = 3
_IN_A_ROW: Final = 8
"""Requests without an answer after which Lago is away, and not one event of the batch too much for it: 2^7 > 100."""


@dataclass(slots=True)
class Delivered:
    """What came of batches: events that Lago took, had before, never gets, refused, refused for good, did not judge."""

    sent: int = 0
    duplicates: int = 0
    not_applicable: int = 0
    failed: int = 0
    dead: int = 0
    unanswered: int = 0

    @property
    def is_any_at_lago(self) -> bool:
        return bool(self.sent or self.duplicates)


class Sending:
    """One run of a deliverer: sends batches, and remembers whether Lago took anything in it."""

    def __init__(self, clock: Clock) -> None:
        self.total = Delivered()
        self._clock = clock
        self._misses = 0
        self._alone: list[Claimed] = []
        self._batch = Batch([], clock())
        self._events: dict[int, Json] = {}

    def deliver(self, batch: Batch) -> None:
        """Send a batch and write what became of each of its rows. No transaction is open while Lago is asked."""
        if not batch.rows:
            return
        self._batch, self._events, self._alone, self._misses = batch, {}, [], 0
        waiting = self._sift(events.of(batch.rows))
        if waiting:
            self._send(waiting)
        self._judge_those_alone()
        batch.finish()

    def _sift(self, made: Mapping[int, Json | events.Broken | None]) -> list[Claimed]:
        """Take out what is no business of Lago's and what no event can be made of; return the rest."""
        batch, waiting = self._batch, []
        for row in batch.rows:
            event = made[row.id]
            if event is None:
                batch.not_applicable([row])
                self.total.not_applicable += 1
            elif isinstance(event, events.Broken):
                self._fail(row, event.why)
            else:
                self._events[row.id] = event
                waiting.append(row)
        return waiting

    def _send(self, rows: list[Claimed]) -> None:
        if self._misses >= _IN_A_ROW or self._clock() > self._batch.lease - claims.longest_request():
            self._put_back(rows, "Lago was away or too slow.")
            return
        try:
            stored = lago.send([self._events[row.id] for row in rows])
        except LagoRefused as refusal:
            self._refused(rows, refusal)
        except LagoUnreachable as error:
            self._put_back(rows, error.message)  # nothing was sent, so no event can be why
        except LagoIntegrationError as error:
            self._unanswered(rows, error.message)
        else:
            self._told(rows, stored)

    def _told(self, rows: list[Claimed], stored: list[Json]) -> None:
        """Believe that events are stored where Lago names each: a proxy's friendly 200 loses none."""
        if {one.get("transaction_id") for one in stored} == {row.transaction_id for row in rows}:
            self._take(rows)
            self.total.sent += len(rows)
        else:
            self._unanswered(rows, "Lago's answer does not name the events.")

    def _take(self, rows: Iterable[Claimed]) -> None:
        self._misses = 0
        self._batch.delivered(rows, self._clock())

    def _refused(self, rows: list[Claimed], refusal: LagoRefused) -> None:
        """Take out the events that Lago names; where it names none but blames the body, find which it was."""
        named = _by_index(refusal.codes, len(rows))
        if named:
            self._misses = 0
            for index, codes in named.items():
                self._refuse(rows[index], codes)
            rest = [row for index, row in enumerate(rows) if index not in named]
            if rest:
                self._send(rest)
        elif refusal.http_status not in _ABOUT_THE_BODY:
            self._put_back(rows, refusal.message)  # a wrong key or address: no event's fault
        elif len(rows) > 1:
            self._send_in_halves(rows)
        else:
            self._fail(rows[0], f"{refusal.message} {refusal.codes}")

    def _refuse(self, row: Claimed, codes: Any) -> None:
        if _stored_before(codes):
            self._take([row])
            self.total.duplicates += 1
        else:
            self._fail(row, f"Lago refused: {codes}", for_good=_is_for_good(codes))

    def _unanswered(self, rows: list[Claimed], why: str) -> None:
        """Put the rows back; a batch that got no answer again and again may hold one event that Lago cannot bear."""
        self._misses += 1
        if len(rows) == 1:
            self._alone += rows
        elif max(row.attempts for row in rows) >= _SUSPICIOUS:
            self._send_in_halves(rows)
        else:
            self._put_back(rows, why)

    def _send_in_halves(self, rows: list[Claimed]) -> None:
        middle = len(rows) // 2
        self._send(rows[:middle])
        self._send(rows[middle:])

    def _judge_those_alone(self) -> None:
        """Blame an event that got no answer while Lago took others; where Lago took none, Lago was away."""
        for row in self._alone:
            if self.total.is_any_at_lago:
                self._fail(row, "Lago gives no answer to this event, and does to others.")
            else:
                self._put_back([row], "Lago gives no answer.")

    def _put_back(self, rows: list[Claimed], why: str) -> None:
        self._batch.unanswered(rows, why, at=self._clock())
        self.total.unanswered += len(rows)

    def _fail(self, row: Claimed, why: str, *, for_good: bool = False) -> None:
        if self._batch.failed(row, why, for_good=for_good, at=self._clock()):
            self.total.dead += 1
            logger.error("event %s of %s is a dead letter: %s", row.transaction_id, row.organization, why)
        else:
            self.total.failed += 1


def _by_index(codes: Any, count: int) -> dict[int, Any]:
    """Return Lago's codes by position in the batch; empty for its other shapes of `error_details`."""
    if not isinstance(codes, dict):
        return {}
    return {int(key): value for key, value in codes.items() if key.isdecimal() and int(key) < count}


def _stored_before(codes: Any) -> bool:
    """Tell whether the event's only fault is that Lago has it."""
    return isinstance(codes, dict) and codes == {"transaction_id": [STORED_BEFORE]}


def _is_for_good(codes: Any) -> bool:
    if not isinstance(codes, dict):
        return False
    return any(code in _FOR_GOOD for named in codes.values() if isinstance(named, list) for code in named)

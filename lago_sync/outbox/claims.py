"""Claims on rows of the outbox: taken by a lease, counted and committed before anything is sent, ended in one statement."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from credits.ledger import statements
from kit import transactions
from lago_sync.client import events as lago
from lago_sync.models import OutboxEvent

State = OutboxEvent.State

FAILURES: Final = 5
"""How often an event may be refused, or take its deliverer down, before it waits for somebody to look at it."""

_SLOWEST: Final = timedelta(minutes=1)
_FIRST: Final = timedelta(seconds=5)
_REASON: Final = 500

# An array, since a subquery with FOR UPDATE in the FROM of an UPDATE may be run again, past its LIMIT; and it leaves the
# planner no other way to the rows than by their key.
_CLAIM: Final = """
UPDATE lago_sync_outboxevent AS event
SET attempts = least(event.attempts + 1, 30000), failures = event.failures + 1, due_at = %s
WHERE event.id = ANY (ARRAY(
  SELECT id FROM lago_sync_outboxevent WHERE state = 'waiting' AND due_at <= %s AND failures {which}
  ORDER BY due_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING event.id, event.organization, event.transaction_id, event.code,
  event.payload::text, event.attempts, event.failures
"""
_FRESH: Final = _CLAIM.format(which="= 0")
_FAILED: Final = _CLAIM.format(which="> 0")

_END: Final = """
UPDATE lago_sync_outboxevent AS event
SET state = v.state, due_at = v.due_at, failures = v.failures, last_error = v.error, delivered_at = v.delivered_at
FROM json_to_recordset(%s::json) AS v(
  id bigint, state text, due_at timestamptz, failures smallint, error text, delivered_at timestamptz
)
WHERE event.id = v.id AND (event.due_at = %s AND event.state = 'waiting'
                           OR v.state = 'delivered' AND event.state <> 'delivered')
"""
_BURY: Final = """
UPDATE lago_sync_outboxevent
SET state = 'dead', last_error = 'Whoever was sending it ended each time: ' || last_error
WHERE state = 'waiting' AND due_at <= %s AND failures >= %s
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that is ours until `lease`; `attempts` and `failures` count this attempt too."""

    id: int
    organization: str
    transaction_id: str
    code: str
    payload: dict[str, Any]
    attempts: int
    failures: int


@dataclass(slots=True)
class Batch:
    """Rows claimed together, and what became of them so far."""

    rows: list[Claimed]
    lease: datetime
    _ends: dict[int, dict[str, Any]] = field(default_factory=dict)

    def delivered(self, rows: Iterable[Claimed], at: datetime) -> None:
        for row in rows:
            self._end(row, state=State.DELIVERED, delivered_at=at.isoformat())

    def not_applicable(self, rows: Iterable[Claimed]) -> None:
        for row in rows:
            self._end(row, state=State.NOT_APPLICABLE, failures=row.failures - 1)

    def failed(self, row: Claimed, why: str, *, for_good: bool, at: datetime) -> bool:
        """Count a refusal of this very row; returns whether that was the last one it gets."""
        dead = for_good or row.failures >= FAILURES
        self._end(
            row,
            state=State.DEAD if dead else State.WAITING,
            due_at=(at + backoff(row.attempts)).isoformat(),
            error=why[:_REASON],
        )
        return dead

    def unanswered(self, rows: Iterable[Claimed], why: str, *, at: datetime) -> None:
        """Put rows back of which Lago judged none: all for the same while, and it counts against none of them."""
        put_back = list(rows)
        due = at + backoff(min((row.attempts for row in put_back), default=1))
        for row in put_back:
            self._end(row, failures=row.failures - 1, due_at=due.isoformat(), error=why[:_REASON])

    def finish(self) -> None:
        """Write what became of all rows, in one statement.

        A row whose lease ended meanwhile is somebody else's, and only that it was delivered is still told.
        """
        with transactions.durable():
            statements.run(_END, json.dumps(list(self._ends.values())), self.lease)

    def _end(self, row: Claimed, **values: Any) -> None:
        self._ends[row.id] = {
            "id": row.id,
            "state": State.WAITING,
            "due_at": self.lease.isoformat(),
            "failures": row.failures,
            "error": "",
            "delivered_at": None,
        } | values


def fresh(*, now: datetime) -> Batch:
    """Claim the next events that nothing went wrong with, at most as many as Lago takes at once."""
    return _claim(_FRESH, lago.MOST, now)


def failed(*, now: datetime) -> Batch:
    """Claim one event that failed before: it is sent alone, so that it can take no other down with it."""
    return _claim(_FAILED, 1, now)


def bury(*, now: datetime) -> int:
    """Give up rows whose every attempt ended with the process that made it; returns how many."""
    with transactions.durable():
        return statements.run(_BURY, now, FAILURES)


def longest_request() -> timedelta:
    """Return how long one request can take: two tries of the time limit each, and connecting (`client.transport`)."""
    return timedelta(seconds=2 * settings.LAGO_TIMEOUT_SECONDS + 10)


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after an attempt: twice as long each time up to a minute, a quarter more or less."""
    wait: timedelta = min(_FIRST * (1 << min(attempts - 1, 10)), _SLOWEST)
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing


def _claim(statement: str, most: int, now: datetime) -> Batch:
    """Claim rows for the time that the slowest request takes and then some; committed before anything is sent."""
    lease = now + longest_request() + timedelta(seconds=20)
    with transactions.durable():
        rows = [_claimed(*row) for row in statements.rows(statement, lease, now, most)]
    return Batch(sorted(rows, key=lambda row: row.id), lease)


def _claimed(
    row: int, organization: str, transaction_id: str, code: str, payload: str, attempts: int, failures: int
) -> Claimed:
    return Claimed(row, organization, transaction_id, code, json.loads(payload), attempts, failures)

"""Refused holds and charges: counted by hour, member and limit, and told to the audit log once the hour is over.

A refusal must stay cheap, or refusing would cost more than spending. The first of an hour is written at once; what
repeats it is added up in the process and written by whoever settles next, a second later or more, and when the process
ends. The count is exact unless a process is killed, which loses at most what it added up since the last write.
"""

import atexit
import contextlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from credits.ledger import statements
from credits.ledger.commands import Command, Spend
from credits.models import Refusal
from kit import transactions
from kit.errors import DomainError
from orgs.audit import events
from orgs.audit.events import Act
from orgs.models import Organization

logger = logging.getLogger(__name__)

STATUSES: Final = frozenset({402, 403, 429})
"""Refusals that a person can act on; a malformed request, a busy ledger or an unknown organization is none of them."""
NOBODY: Final = UUID(int=0)
"""Stands for the organization itself where no member is named, since NULLs would never be the same row."""

_BETWEEN_WRITES: Final = 1.0  # seconds
_MOST_REMEMBERED: Final = 10_000
_LATE: Final = timedelta(minutes=1)
"""How long after its hour a count may still come in."""
_EVENTS_TOGETHER: Final = 200

_BRIEFLY: Final = (
    "SELECT set_config('lock_timeout', '100ms', true), set_config('synchronous_commit', 'off', true)"
)
_ADD: Final = """
INSERT INTO credits_refusal AS r
  (organization_id, user_id, member, code, "limit", scope, hour, count, needed, remaining, first_at, last_at)
SELECT o.id, u.id, v.m, v.c, v.l, v.s, date_trunc('hour', CASE WHEN %s THEN t.now ELSE t.last END, 'UTC'),
  v.n, v.needed, v.remaining, t.first, t.last
FROM json_to_recordset(%s::json) AS v(o bigint, m uuid, c text, l text, s text, n int, needed text, remaining text,
  since float8, ago float8)
JOIN orgs_organization o ON o.id = v.o
LEFT JOIN orgs_user u ON u.id = v.m
CROSS JOIN LATERAL (SELECT clock AS now, clock - make_interval(secs => v.since) AS first,
  clock - make_interval(secs => v.ago) AS last FROM portal_clock() AS clock) t
ORDER BY v.o, v.m, v.c, v.l, v.s
ON CONFLICT (organization_id, member, code, "limit", scope, hour) DO UPDATE SET count = r.count + excluded.count,
  needed = excluded.needed, remaining = excluded.remaining,
  first_at = least(r.first_at, excluded.first_at), last_at = greatest(r.last_at, excluded.last_at)
WHERE r.audited_at IS NULL
RETURNING organization_id, member, code, "limit", scope
"""

_Key = tuple[int, UUID, str, str, str]
"""Organization, member, code, limit, scope."""


@dataclass(slots=True)
class _Tally:
    """How often, from when to when (this process's monotonic clock), and what the last answer said."""

    count: int
    first: float
    last: float
    needed: str
    remaining: str


@dataclass(slots=True)
class _Memory:
    """What this process has counted and not written, and which rows it knows to be there this hour."""

    lock: Lock = field(default_factory=Lock)
    pending: dict[_Key, _Tally] = field(default_factory=dict)
    known: set[_Key] = field(default_factory=set)
    hour: int = 0
    written: float = 0.0

    def add(self, refused: Mapping[_Key, _Tally], now: float) -> dict[_Key, _Tally]:
        """Add to the counts; returns what is to be written now: all, or nothing yet."""
        with self.lock:
            self._forget_the_last_hour()
            _merge(self.pending, refused)
            if self.known.issuperset(refused) and now - self.written < _BETWEEN_WRITES:
                return {}
            self.known.update(refused)
            self.written = now
            return self._taken()

    def take(self) -> dict[_Key, _Tally]:
        """Return all that is not written."""
        with self.lock:
            return self._taken()

    def give_back(self, tallies: Mapping[_Key, _Tally]) -> None:
        """Remember counts that could not be written."""
        with self.lock:
            _merge(self.pending, tallies)

    def _taken(self) -> dict[_Key, _Tally]:
        taken, self.pending = self.pending, {}
        return taken

    def _forget_the_last_hour(self) -> None:
        hour = int(time.time() // 3600)
        if hour != self.hour or len(self.known) > _MOST_REMEMBERED:
            self.hour, self.known = hour, set()


_memory = _Memory()


def note(commands: Sequence[Command], outcomes: Sequence[object]) -> None:
    """Count which of these commands were refused, and write what is due.

    Call it outside of any transaction, after the one that decided. It never fails a request: what cannot be written is
    kept for the next time.
    """
    refused: dict[_Key, _Tally] = {}
    now = time.monotonic()
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, DomainError) and outcome.status in STATUSES and isinstance(command, Spend):
            _merge(refused, dict([_tally(command, outcome, now)]))
    if refused or _memory.pending:
        _write(_memory.add(refused, now))


def flush() -> None:
    """Write what was counted and is not written yet."""
    _write(_memory.take())


def forget() -> None:
    """Forget what this process counted: for tests, whose rows are taken back."""
    _memory.take()
    _memory.known.clear()


def audit_due() -> int:
    """Write one audit event for each member and limit of every hour that is over; returns how many."""
    over = statements.clock() - timedelta(hours=1) - _LATE
    due = Refusal.objects.filter(audited_at=None, hour__lte=over)
    told = 0
    for organization in Organization.objects.filter(pk__in=due.values("organization").distinct()).order_by(
        "pk"
    ):
        while written := _audit(organization, over):
            told += written
    return told


def _audit(organization: Organization, over: Any) -> int:
    """Tell some of an organization's hours; whoever runs beside this takes others."""
    with transactions.durable():
        due = Refusal.objects.filter(organization=organization, audited_at=None, hour__lte=over)
        rows = list(
            due.select_for_update(skip_locked=True, of=("self",))
            .select_related("user", "organization")
            .order_by("hour", "pk")[:_EVENTS_TOGETHER]
        )
        acts = [Act(action="spending.refused", target=_target(row), after=_facts(row)) for row in rows]
        if acts:
            events.record_all(organization=organization.public_id, by=events.SYSTEM, acts=acts)
        Refusal.objects.filter(pk__in=[row.pk for row in rows]).update(audited_at=statements.clock())
    return len(rows)


def _target(row: Refusal) -> str:
    return (row.user or row.organization).public_id


def _facts(row: Refusal) -> dict[str, Any]:
    names = ("code", "limit", "scope", "count", "needed", "remaining", "first_at", "last_at")
    return {name: value for name in names if (value := getattr(row, name)) != ""}


def _tally(command: Spend, refusal: DomainError, now: float) -> tuple[_Key, _Tally]:
    found = refusal.details.get("limit")
    limit: Mapping[str, Any] = found if isinstance(found, dict) else {}
    key = (
        command.organization_id,
        command.spender.user_id or NOBODY,
        refusal.code[:64],
        str(limit.get("kind") or refusal.code)[:64],
        str(limit.get("scope") or "")[:128],
    )
    needed, remaining = (str(limit.get(name) or "")[:40] for name in ("needed", "remaining"))
    return key, _Tally(count=1, first=now, last=now, needed=needed, remaining=remaining)


def _merge(into: dict[_Key, _Tally], more: Mapping[_Key, _Tally]) -> None:
    for key, tally in more.items():
        known = into.get(key)
        if known is None:
            into[key] = tally
            continue
        latest = max(known, tally, key=lambda one: one.last)
        into[key] = _Tally(
            count=known.count + tally.count,
            first=min(known.first, tally.first),
            last=latest.last,
            needed=latest.needed,
            remaining=latest.remaining,
        )


def _write(tallies: dict[_Key, _Tally]) -> None:
    """Add the counts to their rows; an hour that has been told already is over, and late counts go to the present one."""
    if not tallies:
        return
    try:
        with transactions.durable():
            statements.run(_BRIEFLY)
            written = _add(tallies, late=False)
            late = {key: tally for key, tally in tallies.items() if key not in written}
            if late:
                _add(late, late=True)
    except (DatabaseError, InterfaceError) as error:
        _memory.give_back(tallies)
        logger.warning("refusals of %s members and limits are not written yet: %s", len(tallies), error)


def _add(tallies: Mapping[_Key, _Tally], *, late: bool) -> set[_Key]:
    now = time.monotonic()
    rows = [
        {
            **dict(zip(("o", "m", "c", "l", "s"), (key[0], str(key[1]), *key[2:]), strict=True)),
            "n": one.count,
            "needed": one.needed,
            "remaining": one.remaining,
            "since": now - one.first,
            "ago": now - one.last,
        }
        for key, one in tallies.items()
    ]
    return {(o, m, c, kind, s) for o, m, c, kind, s in statements.rows(_ADD, late, json.dumps(rows))}


def _flush_at_exit() -> None:
    """Write the last counts, if there is still a database; nobody reads a log any more that says there is none."""
    logging.disable()
    with contextlib.suppress(Exception):
        flush()


atexit.register(_flush_at_exit)

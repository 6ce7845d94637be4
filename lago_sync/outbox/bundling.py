"""Bundling of usage before it is told: one event for a minute of one member's calls of one model, where the setting asks for it.

The rows stay and name their bundle, so a reversal finds its charge and nothing is told twice. Rows that anybody tried to
send go as they are: Lago may have them. One transaction makes a bundle and ends its rows, so a death leaves both or
neither.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import statements
from kit import transactions
from kit.identifiers import uuid7
from lago_sync.models import OutboxEvent
from lago_sync.outbox import events
from lago_sync.outbox.writing import CREDITS_USED
from lago_sync.subscriptions import plans
from lago_sync.subscriptions.plans import Interval

MEMBERS: Final = "members"
"""What only a bundle's payload has: how many rows it is of."""

_AT_ONCE: Final = 200
_READ: Final = 50_000
_SUMS: Final = ("tokens", "input_tokens", "output_tokens")

# What is written by hand and is no charge of ours is left to be told apart when its event is made.
_GROUPS: Final = """
SELECT array_agg(id) FROM (
  SELECT id, organization, payload FROM lago_sync_outboxevent
  WHERE state = 'waiting' AND due_at <= %s AND attempts = 0 AND code = %s AND jsonb_typeof(payload) = 'object'
    AND payload->>'reverses' IS NULL AND NOT payload ? %s
    AND payload->>'timestamp' ~ '^[0-9]{1,11}[.][0-9]{3}$' AND payload->>'credits' ~ '^[0-9]{1,30}([.][0-9]{1,6})?$'
  ORDER BY due_at, id LIMIT %s
) AS row
GROUP BY organization, payload->'user', payload->'department', payload->'model', payload->'service',
  payload->'provider', payload->'endpoint', floor((payload->>'timestamp')::numeric / 60)
HAVING count(*) > 1 ORDER BY min(id)
"""
_LOCK: Final = """
SELECT g.n, e.id, e.organization, e.payload::text
FROM json_to_recordset(%s::json) AS g(n integer, id bigint) JOIN lago_sync_outboxevent AS e ON e.id = g.id
WHERE e.state = 'waiting' AND e.attempts = 0
ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
"""
_END: Final = """
UPDATE lago_sync_outboxevent AS event SET state = 'bundled', bundle_id = v.bundle
FROM json_to_recordset(%s::json) AS v(id bigint, bundle bigint) WHERE event.id = v.id
"""

Row = tuple[int, int, str, dict[str, Any]]
"""Number of the group, id, organization (public id), payload."""


def bundle(*, now: datetime) -> int:
    """Bundle what is due and was never sent; returns how many bundles were made. Any number may do so side by side."""
    with transactions.durable():
        groups = [ids for (ids,) in statements.rows(_GROUPS, now, CREDITS_USED, MEMBERS, _READ)]
    made = 0
    for start in range(0, len(groups), _AT_ONCE):
        with transactions.durable():
            made += _bundle(groups[start : start + _AT_ONCE], now)
    return made


def _bundle(groups: list[list[int]], now: datetime) -> int:
    wanted = [{"n": number, "id": one} for number, ids in enumerate(groups) for one in ids]
    found = [
        (number, one, organization, json.loads(payload))
        for number, one, organization, payload in statements.rows(_LOCK, json.dumps(wanted))
    ]
    made = [(event, rows) for rows in _parts(found) if (event := _event(rows, now)) is not None]
    OutboxEvent.objects.bulk_create(event for event, _ in made)
    ended = [{"id": one, "bundle": event.pk} for event, rows in made for _, one, _, _ in rows]
    statements.run(_END, json.dumps(ended))
    return len(made)


def _parts(found: list[Row]) -> Iterator[list[Row]]:
    """Cut the groups where a subscription begins or ends, and leave out what lies in none and what is alone."""
    intervals = plans.covers({organization for _, _, organization, _ in found})
    by_interval = sorted(
        ((number, part, row) for row in found for number, part in _places(row, intervals)),
        key=lambda placed: (placed[0], placed[1], placed[2][1]),
    )
    for _, together in groupby(by_interval, key=itemgetter(0, 1)):
        rows = [row for _, _, row in together]
        if len(rows) > 1:
            yield rows


def _places(row: Row, intervals: dict[str, list[Interval]]) -> Iterable[tuple[int, int]]:
    """Return the group and the interval that a row lies in; nothing for usage outside of any subscription."""
    number, _, organization, payload = row
    known = intervals.get(organization, [])
    interval = events.covering(known, Decimal(payload["timestamp"]))
    return [] if interval is None else [(number, known.index(interval))]


def _event(rows: list[Row], now: datetime) -> OutboxEvent | None:
    """Return the one event: what the rows share, their sums, and the moment of the last; None where one has no sums."""
    payloads = [payload for _, _, _, payload in rows]
    try:
        sums: dict[str, Any] = {name: sum(int(one.get(name) or 0) for one in payloads) for name in _SUMS}
    except (TypeError, ValueError):
        return None  # each goes alone, and the one that is broken fails alone
    sums["credits"] = amounts.text(sum((Decimal(one["credits"]) for one in payloads), ZERO))
    sums["timestamp"] = max((one["timestamp"] for one in payloads), key=Decimal)
    return OutboxEvent(
        organization=rows[0][2],
        transaction_id=str(uuid7()),
        code=CREDITS_USED,
        payload={**payloads[0], **sums, MEMBERS: len(rows)},
        created_at=now,
        due_at=now,
    )

"""How long answers are: what a hold or estimate that names no maximum takes for the output of a model.

The 95th percentile of *output tokens* over the charges of the last 30 days (not output over input: the requested maximum
says little about what comes). The organization's own from 50 calls on, else everybody's from 50, else the model's
default in the price table. A job refreshes the rows; a process remembers what it read for a minute.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from credits.ledger import statements
from kit import transactions
from orgs.models import Organization

FEWEST_CALLS: Final = 50
"""Of fewer calls no size is taken."""

_KEEP_SECONDS: Final = 60.0
_MOST_REMEMBERED: Final = 50_000
_SINCE: Final = timedelta(days=30)
_NEWEST: Final = 10_000
"""How many of its newest records of each organization are looked at: what bounds a statement of the job."""
_CHUNK: Final = 10

_READ: Final = """
SELECT organization_id IS NOT NULL, percentile_95 FROM credits_outputsize
WHERE model = %s AND calls >= %s AND organization_id = %s
UNION ALL
SELECT organization_id IS NOT NULL, percentile_95 FROM credits_outputsize
WHERE model = %s AND calls >= %s AND organization_id IS NULL
ORDER BY 1 DESC LIMIT 1
"""
_COUNT: Final = """
WITH calls AS MATERIALIZED (
  SELECT one.id AS organization_id, record.model, record.output_tokens
  FROM unnest(%s::bigint[]) AS one(id)
  CROSS JOIN LATERAL (
    SELECT kind, model, output_tokens, created_at FROM credits_usagerecord
    WHERE organization_id = one.id ORDER BY id DESC LIMIT %s
  ) record
  WHERE record.kind = 'charge' AND record.model <> '' AND record.output_tokens > 0 AND record.created_at > %s
), own AS (
  INSERT INTO credits_outputsize (organization_id, model, calls, percentile_95, refreshed_at)
  SELECT organization_id, model, count(*), percentile_disc(0.95) WITHIN GROUP (ORDER BY output_tokens), %s
  FROM calls GROUP BY organization_id, model ORDER BY organization_id, model
  ON CONFLICT (organization_id, model) WHERE organization_id IS NOT NULL
  DO UPDATE SET calls = excluded.calls, percentile_95 = excluded.percentile_95, refreshed_at = excluded.refreshed_at
)
SELECT model, output_tokens, count(*) FROM calls GROUP BY model, output_tokens
"""
_SAVE_EVERYBODYS: Final = """
INSERT INTO credits_outputsize (organization_id, model, calls, percentile_95, refreshed_at)
SELECT NULL, v.m, v.n, v.p, %s FROM json_to_recordset(%s::json) AS v(m text, n bigint, p bigint) ORDER BY v.m
ON CONFLICT (model) WHERE organization_id IS NULL
DO UPDATE SET calls = excluded.calls, percentile_95 = excluded.percentile_95, refreshed_at = excluded.refreshed_at
"""
_DROP_OLD: Final = "DELETE FROM credits_outputsize WHERE refreshed_at < %s"


@dataclass(frozen=True, slots=True)
class Size:
    """How many output tokens to expect, and whose calls say so: `organization` or `everybody`."""

    tokens: int
    whose: str


_remembered: dict[tuple[int | None, str], tuple[float, Size | None]] = {}


def of(organization_id: int | None, model: str) -> Size | None:
    """Return the size that the organization's estimates of a model take; None where too few calls are known.

    Asks the database at most once a minute for the same two, and never for a request that names a maximum.
    """
    known = _remembered.get((organization_id, model))
    if known is not None and time.monotonic() - known[0] <= _KEEP_SECONDS:
        return known[1]
    found = statements.rows(_READ, model, FEWEST_CALLS, organization_id, model, FEWEST_CALLS)
    size = Size(found[0][1], "organization" if found[0][0] else "everybody") if found else None
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[organization_id, model] = (time.monotonic(), size)
    return size


def forget() -> None:
    """Remember nothing: after a refresh in this process, and between tests."""
    _remembered.clear()


def refresh() -> int:
    """Count the charges of the last 30 days anew and return how many models have a size of everybody's.

    An entry point: a transaction for each chunk of organizations, each over their newest records, and one at the end.
    """
    now = statements.clock()
    everybodys: dict[str, Counter[int]] = {}
    for chunk in _chunks():
        with transactions.durable():
            for model, tokens, calls in statements.rows(_COUNT, chunk, _NEWEST, now - _SINCE, now):
                everybodys.setdefault(model, Counter())[tokens] += calls
    rows = [{"m": model, "n": sizes.total(), "p": _percentile(sizes)} for model, sizes in everybodys.items()]
    with transactions.durable():
        statements.run(_SAVE_EVERYBODYS, now, json.dumps(rows))
        statements.run(_DROP_OLD, now)
    forget()
    return len(rows)


def _chunks() -> Iterable[list[int]]:
    """Return the keys of all organizations, a few at a time."""
    last = 0
    while True:
        rows = Organization.objects.filter(pk__gt=last).order_by("pk")
        chunk = list(rows.values_list("pk", flat=True)[:_CHUNK])
        if not chunk:
            return
        yield chunk
        last = chunk[-1]


def _percentile(sizes: Counter[int]) -> int:
    """Return the smallest size that at least 95 % of the calls do not exceed: PostgreSQL's `percentile_disc(0.95)`."""
    needed = -(-sizes.total() * 95 // 100)
    for tokens in sorted(sizes):
        needed -= sizes[tokens]
        if needed <= 0:
            return tokens
    raise ValueError("no calls have no size")

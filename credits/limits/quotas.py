"""Quotas: how many calls a plan allows a day and a month, exact at the edge.

One row per organization and period, locked after the payer and counted in the transaction of the hold or charge. Only
plans with a finite quota have rows; unlimited ones write nothing here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from credits.ledger import statements
from credits.ledger.commands import Quota
from credits.ledger.standing import Standing
from credits.limits import calendar
from credits.models import QuotaUsage
from kit.errors import DomainError

Row = tuple[int, str, date]
"""(organization, period, first day)."""

_LOCK: Final = """
INSERT INTO credits_quotausage AS q (organization_id, period, starts_on, used)
SELECT v.o, v.p, v.d, 0 FROM json_to_recordset(%s::json) AS v(o bigint, p text, d date) ORDER BY 1, 2, 3
ON CONFLICT (organization_id, period, starts_on) DO UPDATE SET used = q.used
RETURNING q.organization_id, q.period, q.starts_on, q.used, q.xmax = 0
"""
_FORGET: Final = """
DELETE FROM credits_quotausage AS q USING json_to_recordset(%s::json) AS v(o bigint, p text, d date)
WHERE q.organization_id = v.o AND q.period = v.p AND q.starts_on = v.d
"""
_WRITE: Final = """
UPDATE credits_quotausage AS q SET used = v.n FROM json_to_recordset(%s::json) AS v(o bigint, p text, d date, n int)
WHERE q.organization_id = v.o AND q.period = v.p AND q.starts_on = v.d
"""


class QuotaExceeded(DomainError):
    """The plan's calls of this day or month are used up."""

    code = "quota_exceeded"
    status = 429


@dataclass(slots=True)
class Counters:
    """The locked counters of one transaction."""

    used: dict[Row, int] = field(default_factory=dict)
    changed: set[Row] = field(default_factory=set)
    made: set[Row] = field(default_factory=set)
    """Rows that this transaction made to lock them: those that nothing came to be counted in are taken out again."""

    def count(self, standing: Standing, day: date, *, beyond: bool = False) -> bool:
        """Count one call and return whether a finite quota counted it.

        Raises QuotaExceeded at the limit, unless the call has happened and counts `beyond` it.
        """
        rows = rows_of(standing, day)
        for row, limit in rows:
            if self.used[row] >= limit and not beyond:
                raise _exceeded(standing, row, limit)
        for row, _ in rows:
            self.used[row] += 1
            self.changed.add(row)
        return bool(rows)

    def give_back(self, organization_id: int, day: date) -> None:
        """Return the call of a hold that was released or expired, in the periods that counted it."""
        for row in _rows(organization_id, day):
            if self.used.get(row, 0) > 0:
                self.used[row] -= 1
                self.changed.add(row)


def lock(wanted: Iterable[Row]) -> Counters:
    """Lock the counters, in order, making those that are missing."""
    rows = [
        {"o": organization, "p": period, "d": day.isoformat()}
        for organization, period, day in sorted(set(wanted))
    ]
    if not rows:
        return Counters()
    found = statements.rows(_LOCK, json.dumps(rows))
    return Counters(
        {(o, p, d): used for o, p, d, used, _ in found},
        made={(o, p, d) for o, p, d, _, is_new in found if is_new},
    )


def write(counters: Counters) -> None:
    """Write what changed; a refusal leaves no row behind."""
    rows = [
        {"o": row[0], "p": row[1], "d": row[2].isoformat(), "n": counters.used[row]}
        for row in sorted(counters.changed)
    ]
    if rows:
        statements.run(_WRITE, json.dumps(rows))
    unused = [
        {"o": row[0], "p": row[1], "d": row[2].isoformat()}
        for row in sorted(counters.made - counters.changed)
    ]
    if unused:
        statements.run(_FORGET, json.dumps(unused))


def rows_of(standing: Standing, day: date) -> list[tuple[Row, int]]:
    """Return the counters that this organization's plan limits, with their limits."""
    if standing.daily_calls is None and standing.monthly_calls is None:
        return []
    limits = {"day": standing.daily_calls, "month": standing.monthly_calls}
    return [
        (row, limit) for row in _rows(standing.organization_id, day) if (limit := limits[row[1]]) is not None
    ]


def rows_of_hold(organization_id: int, day: date) -> list[Row]:
    """Return the counters that a hold of that day may have been counted in."""
    return _rows(organization_id, day)


def refuse_exhausted(standing: Standing) -> None:
    """Raise QuotaExceeded where the next call would go beyond a quota, without locking or counting."""
    rows = rows_of(standing, standing.day(standing.clock))
    used = read([row for row, _ in rows]) if rows else {}
    for row, limit in rows:
        if used.get(row, 0) >= limit:
            raise _exceeded(standing, row, limit)


def state(standing: Standing, counters: Counters) -> dict[str, Quota] | None:
    """Return the quota as answers show it, from locked counters where there are any; None for an unlimited plan."""
    rows = rows_of(standing, standing.day(standing.clock))
    if not rows:
        return None
    used = counters.used if all(row in counters.used for row, _ in rows) else read([row for row, _ in rows])
    return {
        row[1]: Quota(limit=limit, used=used.get(row, 0), resets_at=_resets_at(standing, row))
        for row, limit in rows
    }


def read(rows: list[Row]) -> dict[Row, int]:
    """Return counters without locking them."""
    found = QuotaUsage.objects.filter(
        organization_id__in={row[0] for row in rows}, starts_on__in={row[2] for row in rows}
    )
    return {(one.organization_id, one.period, one.starts_on): one.used for one in found}


def _rows(organization_id: int, day: date) -> list[Row]:
    return [(organization_id, "day", day), (organization_id, "month", day.replace(day=1))]


def _exceeded(standing: Standing, row: Row, limit: int) -> QuotaExceeded:
    resets_at = _resets_at(standing, row)
    return QuotaExceeded(
        f"All {limit:,} calls of this {row[1]} are used.",
        limit={
            "kind": "quota",
            "scope": row[1],
            "needed": "1",
            "remaining": "0",
            "resets_at": resets_at.isoformat(),
        },
        retry_after=max(1, int((resets_at - standing.clock).total_seconds())),
    )


def _resets_at(standing: Standing, row: Row) -> datetime:
    """Return the first instant of the next day or month in the organization's calendar, in UTC."""
    return calendar.ends_at(row[2], row[1], standing.time_zone)

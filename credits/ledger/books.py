"""What one settled batch writes: holds, usage records, rollups, each as one statement over a set of rows."""

import json
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from credits import amounts
from credits.ledger import statements
from credits.ledger.records import Usage
from credits.limits import ceilings
from credits.models import Hold, Shortfall

NOBODY: Final = UUID(int=0)
"""Stands in rollups for use that no member is named for."""

_HOLD_COLUMNS: Final = {
    "id": "uuid",
    "organization_id": "int8",
    "user_id": "uuid",
    "department_id": "int8",
    "key_id": "int8",
    "placed_by": "text",
    "pool_id": "int8",
    "allocation_id": "int8",
    "transaction_id": "text",
    "status": "text",
    "credits": "numeric",
    "service": "text",
    "provider": "text",
    "model": "text",
    "byok": "bool",
    "day": "date",
    "counts": "bool",
    "price": "jsonb",
    "metadata": "jsonb",
    "created_at": "timestamptz",
    "expires_at": "timestamptz",
    "ended_at": "timestamptz",
    "captured_content": "text",
}
_USAGE_COLUMNS: Final = {
    "id": "uuid",
    "organization_id": "int8",
    "kind": "text",
    "user_id": "uuid",
    "department_id": "int8",
    "key_id": "int8",
    "pool_id": "int8",
    "allocation_id": "int8",
    "hold_id": "uuid",
    "corrects": "uuid",
    "transaction_id": "text",
    "credits": "numeric",
    "cost": "numeric",
    "shortfall": "numeric",
    "late": "bool",
    "unpriced": "bool",
    "byok": "bool",
    "after_the_fact": "bool",
    "service": "text",
    "provider": "text",
    "model": "text",
    "input_tokens": "int8",
    "output_tokens": "int8",
    "cached_input_tokens": "int8",
    "price": "jsonb",
    "metadata": "jsonb",
    "reason": "text",
    "made_by": "text",
    "day": "date",
    "occurred_at": "timestamptz",
    "created_at": "timestamptz",
}


_HOLD_VALUES: Final = attrgetter(*_HOLD_COLUMNS)
_USAGE_VALUES: Final = attrgetter(*_USAGE_COLUMNS)
_END_HOLDS: Final = """
UPDATE credits_hold AS h SET status = v.s, ended_at = v.e, captured_content = v.c
FROM json_to_recordset(%s::json) AS v(i uuid, s text, e timestamptz, c text) WHERE h.id = v.i
"""
_ADD_UP: Final = """
INSERT INTO credits_dailyusage AS d
  (organization_id, day, department_id, user_id, service, provider, model, requests, tokens, credits)
SELECT * FROM json_to_recordset(%s::json)
  AS v(o bigint, y date, p bigint, u uuid, s text, r text, m text, n bigint, t bigint, c numeric)
ON CONFLICT (organization_id, day, department_id, user_id, service, provider, model)
DO UPDATE SET requests = d.requests + excluded.requests, tokens = d.tokens + excluded.tokens, credits = d.credits + excluded.credits
"""


def insert_holds(holds: Sequence[Hold]) -> None:
    """Insert fresh holds."""
    if holds:
        statements.insert("credits_hold", _HOLD_COLUMNS, map(_HOLD_VALUES, holds))


def end_holds(holds: Sequence[Hold]) -> None:
    """Write how these locked holds ended."""
    if holds:
        rows = [{"i": h.pk, "s": h.status, "e": h.ended_at, "c": h.captured_content} for h in holds]
        statements.run(_END_HOLDS, _json(rows))


def insert_usage(records: Sequence[Usage], *, counted: bool = False) -> None:
    """Insert usage records, add them to the rollups, and open the shortfalls they left.

    Hard budgets count them too, unless the caller has `counted` them. Their payers must be locked.
    """
    if not records:
        return
    if not counted:
        ceilings.count(records)
    statements.insert("credits_usagerecord", _USAGE_COLUMNS, map(_USAGE_VALUES, records))
    statements.run(_ADD_UP, _json(_rollup(records)))
    owed = [
        Shortfall(
            organization_id=one.organization_id,
            charge_id=one.id,
            amount=one.shortfall,
            created_at=one.created_at,
        )
        for one in records
        if one.shortfall and one.kind == "charge"
    ]
    if owed:
        Shortfall.objects.bulk_create(owed)


def _rollup(records: Sequence[Usage]) -> list[dict[str, Any]]:
    """Return one row per grain, sorted by its key so that no two transactions meet in another order.

    A request counts once, where it was charged; a settlement adds credits only, a reversal takes them off.
    """
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for one in records:
        user = (one.user_id or NOBODY).hex
        key = (
            one.organization_id,
            one.day.isoformat(),
            one.department_id or 0,
            user,
            one.service,
            one.provider,
            one.model,
        )
        total = sums.setdefault(key, [0, 0, amounts.ZERO])
        if one.kind == "charge":
            total[0] += 1
            total[1] += one.input_tokens + one.output_tokens
        total[2] += -one.credits if one.kind == "reversal" else one.credits
    return [dict(zip("oypusrmntc", (*key, *sums[key]), strict=True)) for key in sorted(sums)]


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, default=_plain, separators=(",", ":"))


def _plain(value: object) -> str:
    """Return a value as PostgreSQL reads it from text."""
    if isinstance(value, Decimal):
        return str(value)
    return value.hex if isinstance(value, UUID) else value.isoformat()  # type: ignore[attr-defined]

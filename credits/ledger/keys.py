"""Transaction keys: an organization's hold or charge happens at most once per `transaction_id` (law 5).

Claimed first, by one insert that conflicts instead of looking; a refused request gives its key back in the same
transaction, so a refusal is not remembered.
"""

import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from credits.ledger import statements
from credits.ledger.commands import MakeCharge, PlaceHold
from credits.models import TransactionKey
from kit.errors import DomainError

Key = tuple[int, str]

_CLAIM: Final = """
INSERT INTO credits_transactionkey (organization_id, transaction_id, kind, subject, content)
SELECT v.o, v.t, v.k, v.s, v.c FROM json_to_recordset(%s::json) AS v(o bigint, t text, k text, s uuid, c text)
ORDER BY v.o, v.t COLLATE "C"
ON CONFLICT DO NOTHING RETURNING organization_id, transaction_id
"""
_FORGET: Final = """
DELETE FROM credits_transactionkey AS k USING json_to_recordset(%s::json) AS v(o bigint, t text)
WHERE k.organization_id = v.o AND k.transaction_id = v.t
"""
_READ: Final = """
SELECT k.organization_id, k.transaction_id, k.kind, k.subject, k.content FROM credits_transactionkey AS k
JOIN json_to_recordset(%s::json) AS v(o bigint, t text) ON k.organization_id = v.o AND k.transaction_id = v.t
"""


class IdempotencyConflict(DomainError):
    """The key was used for another request."""

    code = "idempotency_conflict"
    status = 409


def claim(spends: Sequence[tuple[PlaceHold | MakeCharge, UUID]]) -> set[Key]:
    """Claim the keys of these requests for the subjects they would make; returns those that were free."""
    rows = [
        {
            "o": spend.organization_id,
            "t": spend.transaction_id,
            "k": "hold" if isinstance(spend, PlaceHold) else "charge",
            "s": subject.hex,
            "c": spend.content(),
        }
        for spend, subject in spends
    ]
    return set(statements.rows(_CLAIM, json.dumps(rows))) if rows else set()


def forget(keys: Sequence[Key]) -> None:
    """Give back the keys of refused requests."""
    if keys:
        statements.run(_FORGET, json.dumps([{"o": organization, "t": key} for organization, key in keys]))


def read(keys: Sequence[Key]) -> dict[Key, TransactionKey]:
    """Return what used these keys."""
    if not keys:
        return {}
    found = statements.rows(_READ, json.dumps([{"o": organization, "t": key} for organization, key in keys]))
    return {
        (organization, key): TransactionKey(
            organization_id=organization, transaction_id=key, kind=kind, subject=subject, content=content
        )
        for organization, key, kind, subject, content in found
    }

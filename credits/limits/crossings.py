"""Thresholds that are crossed now. Crossing one makes a row, going back deletes it: the next crossing is a new one.

What is compared is SQL that finds all organizations' at once: rows of (o, s, t, is_over), the organization, what crosses
in which period, the step, and whether it is at or beyond it. Who is not beyond but near keeps its row: figures that move
to and fro around a threshold, as holds come and go, cross it once.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from credits.ledger import statements
from kit import transactions
from orgs.notices.kinds import Kind

LISTED: Final = "SELECT * FROM json_to_recordset(%s::json) AS v(o bigint, s text, t int, is_over boolean)"
"""The source whose rows are `listed`."""

_UPDATE: Final = """
WITH found AS MATERIALIZED (
  SELECT f.* FROM ({source}) AS f JOIN orgs_organization AS one ON one.id = f.o AND one.status <> 'archived'
), gone AS (
  DELETE FROM credits_crossing AS c WHERE c.kind = %s AND NOT EXISTS (
    SELECT 1 FROM found WHERE found.o = c.organization_id AND found.s = c.subject AND found.t = c.step)
)
INSERT INTO credits_crossing (id, organization_id, kind, subject, step, crossed_at)
SELECT gen_random_uuid(), o, %s, s, t, portal_clock() FROM found WHERE is_over ORDER BY o, s, t
ON CONFLICT (organization_id, kind, subject, step) DO NOTHING
RETURNING organization_id, subject, step, id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """What has just been crossed: all new steps of one subject, of which people are told the highest."""

    organization_id: int
    subject: str
    steps: tuple[int, ...]
    key: UUID
    """Of the highest step's row: what a notice is said once about."""

    @property
    def step(self) -> int:
        return self.steps[-1]


def update(*, kind: Kind, source: str, parameters: Iterable[Any] = ()) -> list[Crossed]:
    """Bring the rows of a kind to what `source` finds, and return what is new; two at once never return the same."""
    transactions.require()
    new = statements.rows(_UPDATE.format(source=source), *parameters, kind.value, kind.value)
    grouped: dict[tuple[int, str], list[tuple[int, UUID]]] = {}
    for organization_id, subject, step, key in sorted(new):
        grouped.setdefault((organization_id, subject), []).append((step, key))
    return [
        Crossed(
            organization_id=organization_id,
            subject=subject,
            steps=tuple(step for step, _ in steps),
            key=steps[-1][1],
        )
        for (organization_id, subject), steps in grouped.items()
    ]


def listed(rows: Iterable[tuple[int, str, int, bool]]) -> str:
    """Return rows of (organization, subject, step, whether it is over) as the parameter of `LISTED`."""
    return json.dumps([dict(zip(("o", "s", "t", "is_over"), row, strict=True)) for row in rows])

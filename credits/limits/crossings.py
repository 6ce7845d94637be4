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

AT_ONCE: Final = 200
"""Subjects of one transaction: where so many are new, more may be."""
LISTED: Final = "SELECT * FROM json_to_recordset(%s::json) AS v(o bigint, s text, t int, is_over boolean)"
"""The source whose rows are `listed`."""

_UPDATE: Final = """
WITH found AS MATERIALIZED (
  SELECT f.* FROM ({source}) AS f JOIN orgs_organization AS one ON one.id = f.o AND one.status <> 'archived'
), gone AS (
  DELETE FROM credits_crossing AS c WHERE c.kind = %s AND NOT EXISTS (
    SELECT 1 FROM found WHERE found.o = c.organization_id AND found.s = c.subject AND found.t = c.step)
), new AS MATERIALIZED (
  SELECT o, s, t FROM found WHERE is_over AND NOT EXISTS (
    SELECT 1 FROM credits_crossing AS c
    WHERE c.kind = %s AND c.organization_id = found.o AND c.subject = found.s AND c.step = found.t)
), first AS MATERIALIZED (SELECT DISTINCT o, s FROM new ORDER BY o, s LIMIT {at_once})
INSERT INTO credits_crossing (id, organization_id, kind, subject, step, crossed_at)
SELECT gen_random_uuid(), o, %s, s, t, portal_clock() FROM new JOIN first USING (o, s) ORDER BY o, s, t
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
    """Bring the rows of a kind to what `source` finds, and return what is new of at most `AT_ONCE` subjects.

    Two at once never return the same.
    """
    transactions.require()
    update = _UPDATE.format(source=source, at_once=AT_ONCE)
    new = statements.rows(update, *parameters, *[kind.value] * 3)
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

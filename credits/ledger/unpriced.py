"""What was asked for and has no price, noted after the decision: no request fails by it, none waits long for it."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.db import DatabaseError, InterfaceError

from credits.ledger import statements
from credits.ledger.commands import CaptureHold, Command, MakeCharge, PlaceHold, Settled, Spend
from credits.ledger.records import Usage
from credits.models import Hold, UsageRecord
from credits.pricing.costs import Unpriced
from kit import transactions

logger = logging.getLogger(__name__)

_Use = tuple[int, str, str, bool]
"""Organization, kind, name, and whether it was refused."""

_MOST_NAMES: Final = 500
"""How many names of one organization are listed: a caller that makes names up fills no table."""

_BRIEFLY: Final = (
    "SELECT set_config('lock_timeout', '100ms', true), set_config('synchronous_commit', 'off', true)"
)
"""A note is worth a tenth of a second of those who wait for the decision, and no write to the disk of its own."""

_NOTE: Final = """
INSERT INTO credits_unpriceduse AS u (organization_id, kind, name, refused, charged, first_at, last_at)
SELECT v.o, v.k, v.n, v.r, v.c, portal_clock(), portal_clock()
FROM json_to_recordset(%s::json) AS v(o bigint, k text, n text, r bigint, c bigint)
WHERE EXISTS (SELECT FROM credits_unpriceduse WHERE organization_id = v.o AND kind = v.k AND name = v.n)
   OR (SELECT count(*) FROM (SELECT FROM credits_unpriceduse WHERE organization_id = v.o LIMIT %s) AS listed) < %s
ORDER BY v.o, v.k, v.n
ON CONFLICT (organization_id, kind, name)
DO UPDATE SET refused = u.refused + excluded.refused, charged = u.charged + excluded.charged, last_at = excluded.last_at
"""


def note(commands: Sequence[Command], outcomes: Sequence[object]) -> None:
    """Count what these commands asked for that has no price, refused or charged without one; replays count nothing.

    Call it outside of any transaction, after the one that decided. A note that fails is logged and lost.
    """
    uses = Counter(
        use
        for command, outcome in zip(commands, outcomes, strict=True)
        if (use := _use_of(command, outcome)) is not None
    )
    if not uses:
        return
    try:
        with transactions.durable():
            statements.run(_BRIEFLY)
            statements.run(_NOTE, json.dumps(_rows(uses)), _MOST_NAMES, _MOST_NAMES)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("unpriced use of %s names was not noted: %s", len(uses), error)


def _use_of(command: Command, outcome: object) -> _Use | None:
    if isinstance(outcome, Unpriced) and isinstance(command, Spend):
        return command.organization_id, outcome.kind, outcome.name, True
    if not isinstance(outcome, Settled) or outcome.replayed:
        return None
    row = _priced_by(command, outcome)
    if row is None or "unpriced" not in row.price:
        return None
    return row.organization_id, row.price["form"], row.price["unpriced"], False


def _priced_by(command: Command, done: Settled) -> Hold | Usage | UsageRecord | None:
    """Return what this command put a price on; a capture of what was held without one is the same use."""
    if isinstance(command, PlaceHold):
        return done.hold
    if isinstance(command, MakeCharge):
        return done.charge
    noted = done.hold is not None and "unpriced" in done.hold.price
    return done.charge if isinstance(command, CaptureHold) and not noted else None


def _rows(uses: Counter[_Use]) -> list[dict[str, Any]]:
    named: dict[tuple[int, str, str], dict[str, Any]] = {}
    for (organization_id, kind, name, refused), count in uses.items():
        new = {"o": organization_id, "k": kind, "n": name, "r": 0, "c": 0}
        named.setdefault((organization_id, kind, name), new)["r" if refused else "c"] += count
    return list(named.values())

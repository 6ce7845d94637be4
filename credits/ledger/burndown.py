"""Burn-down: which grants were used up by what payers spent, worked out afterwards so that no charge touches a grant.

Payers keep a lifetime total of what they spent, grants what was consumed of them. `burn` assigns the difference to grants,
by priority, then earliest expiry, then age. What was spent beyond all grants (an overdraft) waits for the next one. What a
reversal gave back to a grant that has expired meanwhile is granted anew, as goodwill of 30 days.
"""

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError
from django.db.models import QuerySet

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import statements
from credits.ledger.priorities import PRIORITIES
from credits.models import CreditPool, Grant, GrantBalance, LedgerEntry
from kit import transactions
from orgs.audit import events
from orgs.audit.events import SYSTEM

logger = logging.getLogger(__name__)

_TOGETHER: Final = 200
"""Organizations that are burned in one transaction."""
_RECENT: Final = timedelta(days=8)
"""How far back the job looks for use: a call may be charged 7 days after it happened."""

RETURNED_FOR: Final = timedelta(days=30)
"""How long credits live that came back after their grant had expired."""

_TOTALS: Final = """
SELECT o.id, p.spent + a.spent, p.held + a.held FROM unnest(%s::bigint[]) AS o(id)
CROSS JOIN LATERAL (SELECT coalesce(sum(spent), 0) AS spent, coalesce(sum(held), 0) AS held
  FROM credits_creditpool WHERE organization_id = o.id) p
CROSS JOIN LATERAL (SELECT coalesce(sum(spent), 0) AS spent, coalesce(sum(held), 0) AS held
  FROM credits_allocation WHERE organization_id = o.id) a
"""
_WRITE: Final = """
UPDATE credits_grantbalance AS b SET consumed = v.c, expired = v.e, withdrawn = v.w
FROM json_to_recordset(%s::json) AS v(g uuid, c numeric, e numeric, w numeric) WHERE b.grant_id = v.g
"""
_BEHIND: Final = """
SELECT o.id FROM orgs_organization o
CROSS JOIN LATERAL (SELECT coalesce(sum(consumed), 0) AS consumed, coalesce(sum(credits - consumed - expired - withdrawn), 0) AS remains
  FROM credits_grantbalance WHERE organization_id = o.id) g
CROSS JOIN LATERAL (SELECT coalesce(sum(spent), 0) AS spent FROM credits_creditpool WHERE organization_id = o.id) p
CROSS JOIN LATERAL (SELECT coalesce(sum(spent), 0) AS spent FROM credits_allocation WHERE organization_id = o.id) a
WHERE EXISTS (SELECT FROM credits_dailyusage d WHERE d.organization_id = o.id AND d.day >= %s)
  AND p.spent + a.spent > g.consumed AND g.remains > 0
ORDER BY o.id
"""


@dataclass(frozen=True, slots=True)
class Burned:
    """An organization's grants in the order in which they are used, with all that was spent assigned to them.

    `changed` says by how much of which grant (below zero: given back), `held` what all open holds reserve, `returned` what
    was granted anew in the place of expired ones.
    """

    balances: list[GrantBalance]
    held: Decimal
    changed: dict[UUID, Decimal]
    returned: list[Grant] = field(default_factory=list)

    def free(self) -> dict[UUID, Decimal]:
        """Return what is left of each grant and lies in no hold: holds are taken to use grants as a charge would."""
        in_holds = assign(self.balances, self.held)
        return {one.pk: one.left - in_holds.get(one.pk, ZERO) for one in self.balances}


def burn(*, organization_ids: Collection[int], reversal: UUID | None = None) -> list[Grant]:
    """Assign what these organizations spent to their grants; `reversal` names what took spending back.

    Returns the goodwill grants that a reversal made in the place of expired ones; it announces them as its last act.
    """
    burned = lock(organization_ids=organization_ids, reversal=reversal)
    return [grant for one in burned.values() for grant in one.returned]


def announce(returned: Sequence[Grant]) -> None:
    """Audit what came back as goodwill: the last that a transaction does."""
    for grant in returned:
        events.record(
            organization=grant.organization.public_id,
            by=SYSTEM,
            action="credits.granted",
            target=str(grant.pk),
            after={
                "credits": amounts.text(grant.credits),
                "source": grant.source,
                "reference": grant.reference,
                "reason": grant.reason,
                "expires_at": grant.expires_at,
            },
        )


def lock(*, organization_ids: Collection[int], reversal: UUID | None = None) -> dict[int, Burned]:
    """Lock all grants of these organizations, burn them, and return how they stand, an organization each.

    What was spent is read in a statement after the lock. A reversal, which alone takes spending back, does so in its own
    transaction under the same lock: so no more is ever consumed than was spent. Where a cache of payers says less without
    one, it is wrong, and nothing is granted for it: `reconcile` names it.
    """
    transactions.require()
    wanted = sorted(set(organization_ids))
    rows = GrantBalance.objects.select_for_update(no_key=True, of=("self",))
    burned = _burn(wanted, rows.order_by("grant_id"), gives_back=reversal is not None)
    if reversal is not None:
        for one in burned.values():
            one.returned.extend(_grant_anew(one, reversal))
    write([row for one in burned.values() for row in one.balances if row.pk in one.changed])
    return burned


def look(*, organization_ids: Collection[int]) -> dict[int, Burned]:
    """Return how the grants of these organizations would stand after a burn. Locks and writes nothing."""
    return _burn(sorted(set(organization_ids)), GrantBalance.objects.all(), gives_back=False)


def write(balances: Sequence[GrantBalance]) -> None:
    """Write what became of these locked grants."""
    if balances:
        rows = [
            {"g": one.pk.hex, "c": str(one.consumed), "e": str(one.expired), "w": str(one.withdrawn)}
            for one in balances
        ]
        statements.run(_WRITE, json.dumps(rows))


def burn_due() -> int:
    """Burn every organization that spent lately, some in a transaction each; returns of how many that was.

    The job of each minute. Where somebody holds a grant, the others of its transaction are burned alone, and that one in
    the next minute.
    """
    since = statements.clock().date() - _RECENT
    behind = [pk for (pk,) in statements.rows(_BEHIND, since)]
    burned = 0
    for start in range(0, len(behind), _TOGETHER):
        chunk = behind[start : start + _TOGETHER]
        done = _burn_unless_busy(chunk)
        burned += done if done is not None else sum(_burn_unless_busy([one]) or 0 for one in chunk)
    return burned


def assign(balances: Iterable[GrantBalance], credits: Decimal) -> dict[UUID, Decimal]:
    """Return how many of these credits fall on which grant, the first ones first, as far as they have any left.

    Below zero they are given back: to the last ones that were consumed first. What finds no grant is left out.
    """
    parts: dict[UUID, Decimal] = {}
    backwards = credits < 0
    for one in reversed(list(balances)) if backwards else balances:
        if not credits:
            break
        part = max(-one.consumed, credits) if backwards else min(one.left, credits)
        if part:
            parts[one.pk] = part
            credits -= part
    return parts


def _burn(wanted: list[int], rows: "QuerySet[GrantBalance]", *, gives_back: bool) -> dict[int, Burned]:
    balances: dict[int, list[GrantBalance]] = {pk: [] for pk in wanted}
    for row in rows.filter(organization_id__in=wanted).select_related("grant"):
        balances[row.organization_id].append(row)
    totals = statements.rows(_TOTALS, wanted)
    return {pk: _of(balances[pk], spent, held, gives_back=gives_back) for pk, spent, held in totals}


def _of(rows: list[GrantBalance], spent: Decimal, held: Decimal, *, gives_back: bool) -> Burned:
    ordered = sorted(rows, key=_order)
    difference = spent - sum((one.consumed for one in rows), ZERO)
    changed = assign(ordered, difference if gives_back else max(difference, ZERO))
    for one in ordered:
        one.consumed += changed.get(one.pk, ZERO)
    return Burned(ordered, held, changed)


def _grant_anew(burned: Burned, reversal: UUID) -> list[Grant]:
    """Expire what came back to grants whose time is over, and let as much enter as goodwill; no balance changes by it."""
    given_back = [one for one in burned.balances if burned.changed.get(one.pk, ZERO) < 0]
    if not given_back:
        return []
    now = statements.clock()
    made = [(_goodwill(one, -burned.changed[one.pk], now), one) for one in given_back if _is_over(one, now)]
    for grant, old in made:
        grant.reference = f"reversal {reversal} of grant {old.pk}"
        old.expired += grant.credits
        grant.save(force_insert=True)
        GrantBalance.objects.create(
            grant=grant,
            organization_id=grant.organization_id,
            credits=grant.credits,
            expires_at=grant.expires_at,
        )
        _exchange(grant, old.grant)
    return [grant for grant, _ in made]


def _is_over(balance: GrantBalance, now: datetime) -> bool:
    return balance.expires_at is not None and balance.expires_at <= now


def _goodwill(old: GrantBalance, credits: Decimal, now: datetime) -> Grant:
    return Grant(
        organization_id=old.organization_id,
        source=Grant.Source.GOODWILL,
        credits=credits,
        priority=PRIORITIES[Grant.Source.GOODWILL],
        reason="returned by a reversal after its grant had expired",
        expires_at=now + RETURNED_FOR,
        granted_by=SYSTEM.public_id,
        created_at=now,
    )


def _exchange(new: Grant, old: Grant) -> None:
    """Write both entries; the pool that they leave and enter has as much as before."""
    pool, _ = CreditPool.objects.get_or_create(organization_id=new.organization_id, department=None)
    common = {"organization_id": new.organization_id, "amount": new.credits, "made_by": new.granted_by}
    terms = common | {"reason": new.reason, "created_at": new.created_at}
    LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(kind="expire", source_pool=pool, grant=old, **terms),
            LedgerEntry(kind="grant", target_pool=pool, grant=new, **terms),
        ]
    )


def _order(balance: GrantBalance) -> tuple[Any, ...]:
    """Sort by priority, then what ends first (never is last), then age."""
    ends = balance.expires_at
    grant = balance.grant
    return grant.priority, ends is None, ends or grant.created_at, grant.created_at, grant.pk


def _burn_unless_busy(organization_ids: list[int]) -> int | None:
    """Burn in one transaction; None where the database was busy and nothing was done."""
    try:
        with transactions.durable():
            burn(organization_ids=organization_ids)
            return len(organization_ids)
    except DatabaseError as error:
        if not transactions.is_busy(error):
            raise
        logger.warning("the grants of %s organizations are busy: %s", len(organization_ids), error)
        return None

"""Credit liability: what was paid for credits that are not used yet, per currency (product.md §12)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import burndown, statements
from credits.models import Grant

_OWED_FOR: Final = (Grant.Source.PURCHASE.value, Grant.Source.MIGRATION.value)

_BEHIND: Final = """
SELECT b.organization_id FROM
  (SELECT organization_id, sum(consumed) AS consumed, bool_or(credits > consumed + expired + withdrawn) AS has_left
   FROM credits_grantbalance GROUP BY 1) b
LEFT JOIN (SELECT organization_id, sum(spent) AS spent FROM credits_creditpool GROUP BY 1) p USING (organization_id)
LEFT JOIN (SELECT organization_id, sum(spent) AS spent FROM credits_allocation GROUP BY 1) a USING (organization_id)
WHERE b.has_left AND b.consumed <> coalesce(p.spent, 0) + coalesce(a.spent, 0)
"""
_LEFT: Final = """
SELECT g.currency, g.credits, g.paid_cents, sum(b.credits - b.consumed - b.expired - b.withdrawn)
FROM credits_grantbalance b JOIN credits_grant g ON g.id = b.grant_id
WHERE g.source = ANY(%s) AND g.paid_cents IS NOT NULL AND b.organization_id <> ALL(%s)
  AND b.credits > b.consumed + b.expired + b.withdrawn
GROUP BY 1, 2, 3
"""

_Part = tuple[Decimal, Decimal, int]
"""(credits left, credits granted, minor units paid)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liability:
    """Paid credits that are left, and their part of what was paid in minor units, rounded half up for showing."""

    currency: str
    credits: Decimal
    cents: int


def figures() -> list[Liability]:
    """Return the liability per currency, never added across: over purchase and migration grants, left × paid ÷ granted.

    What was spent since the last burn counts as used: it is assigned here without being written. Sums are rounded once.
    """
    parts: dict[str, list[_Part]] = defaultdict(list)
    for currency, part in _parts():
        parts[currency].append(part)
    return [
        Liability(
            currency=currency,
            credits=sum((left for left, _, _ in parts[currency]), ZERO),
            cents=amounts.worth_cents(parts[currency]),
        )
        for currency in sorted(parts)
    ]


def _parts() -> Iterator[tuple[str, _Part]]:
    """Yield what is left of paid grants with its currency: from sums, and one by one where spending is not assigned yet."""
    behind = [pk for (pk,) in statements.rows(_BEHIND)]
    for currency, granted, cents, left in statements.rows(_LEFT, list(_OWED_FOR), behind):
        yield currency, (left, granted, cents)
    for burned in burndown.look(organization_ids=behind).values():
        for one in burned.balances:
            grant = one.grant
            if one.left and grant.source in _OWED_FOR and grant.paid_cents is not None:
                yield grant.currency, (one.left, grant.credits, grant.paid_cents)

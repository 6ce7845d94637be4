"""Grants: credits entering an organization's pool, once per source and reference."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from credits import amounts
from credits.ledger import corrections, entries, payers, pools, statements
from credits.models import Grant, GrantBalance
from kit import transactions
from kit.errors import Conflict, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

PRIORITIES: Final = {
    "promotion": 10,
    "goodwill": 20,
    "plan": 30,
    "adjustment": 40,
    "migration": 50,
    "purchase": 60,
}
"""Which credits are used first where a grant does not say: presents before what was paid for (lower first)."""


class GrantConflict(Conflict):
    """The reference was granted already, with another amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What was paid for a grant, in minor units of a currency."""

    cents: int
    currency: str


def grant(
    *,
    organization: Organization,
    source: str,
    credits: Decimal,
    reference: str,
    by: Actor,
    reason: str = "",
    expires_at: datetime | None = None,
    priority: int | None = None,
    paid: Paid | None = None,
) -> Grant:
    """Grant credits to the organization's pool and settle what it owes from them.

    `source` is purchase, plan, promotion, goodwill, adjustment or migration; `reference` is unique per source: granting it again with the same amount returns the first grant and moves nothing.
    Raises GrantConflict for another amount, ValidationError for an amount that is not above zero.
    """
    transactions.require()
    if source not in Grant.Source.values:
        raise ValidationError(source=f"must be one of {', '.join(Grant.Source.values)}")
    if not amounts.is_movable(credits) or not credits:
        raise ValidationError(credits="must be above 0 and at most 1,000,000,000")
    pool_ref = ("pool", pools.of_organization(organization).pk)
    locked = payers.lock([pool_ref])
    earlier = Grant.objects.filter(organization=organization, source=source, reference=reference).first()
    if earlier is not None:
        if earlier.credits != credits:
            raise GrantConflict(
                "This reference was granted with another amount.", granted=amounts.text(earlier.credits)
            )
        return earlier
    made = Grant.objects.create(
        organization=organization,
        source=source,
        credits=credits,
        reference=reference,
        reason=reason,
        priority=PRIORITIES[source] if priority is None else priority,
        expires_at=expires_at,
        paid_cents=paid.cents if paid is not None else None,
        currency=paid.currency if paid is not None else "",
        granted_by=by.public_id,
        created_at=statements.clock(),
    )
    GrantBalance.objects.create(grant=made, organization=organization, credits=credits, expires_at=expires_at)
    entries.write(entries.grant(pool=locked.pool(pool_ref[1]), grant=made, made_by=by.public_id))
    corrections.settle_shortfalls(locked, organization)
    events.record(
        organization=organization.public_id,
        by=by,
        action="credits.granted",
        target=str(made.pk),
        after={"credits": amounts.text(credits), "source": source, "reference": reference, "reason": reason},
    )
    return made

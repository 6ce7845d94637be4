"""Grants: credits entering an organization's pool, once per source and reference."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from credits import amounts
from credits.ledger import burndown, corrections, entries, payers, shortfalls, statements
from credits.ledger.priorities import PRIORITIES
from credits.ledger.records import Usage
from credits.models import Grant, GrantBalance
from kit import transactions
from kit.errors import Conflict, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization


class GrantConflict(Conflict):
    """The reference was granted already, with another amount, price or expiry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What was paid for a grant, in minor units of a currency."""

    cents: int
    currency: str


def grant(  # noqa: PLR0913 - the columns of one row
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

    `source` is purchase, plan, promotion, goodwill, adjustment or migration; `reference` is unique per source: granting
    it again with the same terms returns the first grant and moves nothing. What was spent before is assigned to earlier
    grants before this one enters, and what they could not cover to this one after.
    Raises GrantConflict for other terms, ValidationError for an amount that is not above zero or an expiry that is past.
    """
    transactions.require()
    if source not in Grant.Source.values:
        raise ValidationError(source=f"must be one of {', '.join(Grant.Source.values)}")
    if not amounts.is_movable(credits) or not credits:
        raise ValidationError(credits="must be above 0 and at most 1,000,000,000")
    asked = Grant(
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
    )
    ref = payers.organization_pool(organization.pk)
    locked = payers.lock([ref])
    earlier = _earlier(asked)
    if earlier is not None:
        return earlier
    settled = enter(locked, organization, [asked], by=by)
    corrections.record(locked, settled)
    tell(asked, by=by)
    return asked


def enter(
    locked: payers.Locked, organization: Organization, made: Sequence[Grant], *, by: Actor
) -> list[Usage]:
    """Let grants enter the organization's pool, which is locked, and charge to it what the organization owes.

    Returns the settlement records; the caller records them (`corrections.record`: rollups are locked after grants) and
    tells of the grants. Raises ValidationError where one would have expired already.
    """
    pool = locked.pool(payers.organization_pool(organization.pk)[1])
    now = statements.clock()
    for one in made:
        one.created_at = now
        if one.expires_at is not None and one.expires_at <= now:
            raise ValidationError(expires_at="must lie ahead")
    entered = [entries.grant(pool=pool, grant=one, made_by=by.public_id) for one in made]
    settled = shortfalls.settle(locked, organizations={organization.pk})
    burndown.burn(
        organization_ids=[organization.pk]
    )  # balances are not written yet: this is what was spent before
    Grant.objects.bulk_create(made)
    GrantBalance.objects.bulk_create(
        GrantBalance(grant=one, organization=organization, credits=one.credits, expires_at=one.expires_at)
        for one in made
    )
    entries.write(*entered)
    burndown.burn(organization_ids=[organization.pk])  # what earlier grants could not cover is of these
    return settled


def tell(grant: Grant, *, by: Actor) -> None:
    """Audit a grant: the last that its transaction does."""
    events.record(
        organization=grant.organization.public_id,
        by=by,
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


def granted(*, organization: Organization, source: str, references: Collection[str]) -> dict[str, Decimal]:
    """Return the credits of an organization's grants of a source, by reference; one that was not granted is left out."""
    found = Grant.objects.filter(organization=organization, source=source, reference__in=references)
    return dict(found.values_list("reference", "credits"))


def _earlier(asked: Grant) -> Grant | None:
    """Return the grant of this reference, None where there is none; raises GrantConflict where its terms were others."""
    found = Grant.objects.filter(
        organization_id=asked.organization_id, source=asked.source, reference=asked.reference
    ).first()
    if found is not None and _terms(found) != _terms(asked):
        raise GrantConflict(
            "This reference was granted with other terms.", granted=amounts.text(found.credits)
        )
    return found


def _terms(grant: Grant) -> tuple[object, ...]:
    return grant.credits, grant.priority, grant.expires_at, grant.paid_cents, grant.currency

"""Grants by staff: up to a threshold one system admin grants, above it another one must approve."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.conf import settings

from credits import amounts
from credits.ledger import grants, payers, statements
from credits.models import Grant, ProposedGrant
from kit import transactions
from kit.errors import Conflict, NotFound, PermissionDenied, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

SOURCES: Final = (
    Grant.Source.GOODWILL,
    Grant.Source.PROMOTION,
    Grant.Source.ADJUSTMENT,
    Grant.Source.MIGRATION,
)
"""What staff may grant; purchases and plan credits follow a payment."""


class ProposalConflict(Conflict):
    """The reference proposed something else before, or the proposal was decided already."""


def propose(
    *,
    organization: Organization,
    source: str,
    credits: Decimal,
    reference: str,
    reason: str,
    by: Actor,
    expires_at: datetime | None = None,
) -> Grant | ProposedGrant:
    """Grant at once up to `GRANT_APPROVAL_THRESHOLD` credits; above it return a proposal that waits for another admin.

    The same reference again returns the first. Raises ProposalConflict (409) where that proposed something else,
    ValidationError for what no staff member may grant.
    """
    transactions.require()
    _refuse_malformed(source, credits, reason)
    payers.lock([payers.organization_pool(organization.pk)])  # the second click waits here
    earlier = ProposedGrant.objects.filter(
        organization=organization, source=source, reference=reference
    ).first()
    if earlier is not None:
        if (earlier.credits, earlier.reason, earlier.expires_at) != (credits, reason, expires_at):
            raise ProposalConflict("This reference proposed something else.")
        return earlier
    if credits <= settings.GRANT_APPROVAL_THRESHOLD:
        return grants.grant(
            organization=organization,
            source=source,
            credits=credits,
            reference=reference,
            reason=reason,
            expires_at=expires_at,
            by=by,
        )
    made = ProposedGrant.objects.create(
        organization=organization,
        source=source,
        credits=credits,
        reference=reference,
        reason=reason,
        expires_at=expires_at,
        proposed_by=by.public_id,
        proposed_at=statements.clock(),
    )
    _audit(made, by, "credits.grant_proposed")
    return made


def approve(*, proposal_id: UUID, by: Actor) -> Grant:
    """Grant what another system admin proposed; again it returns the same grant. Raises PermissionDenied for the proposer."""
    transactions.require()
    proposal = _lock(proposal_id)
    if proposal.status == ProposedGrant.Status.APPROVED and proposal.grant is not None:
        return proposal.grant
    _decide(proposal, ProposedGrant.Status.APPROVED, by)
    proposal.grant = grants.grant(
        organization=proposal.organization,
        source=proposal.source,
        credits=proposal.credits,
        reference=proposal.reference,
        reason=proposal.reason,
        expires_at=proposal.expires_at,
        by=by,
    )
    proposal.save(update_fields=["status", "decided_by", "decided_at", "grant"])
    _audit(proposal, by, "credits.grant_approved")
    return proposal.grant


def decline(*, proposal_id: UUID, by: Actor) -> ProposedGrant:
    """Decline a proposal; again it changes nothing. Its proposer may take it back only through another admin."""
    transactions.require()
    proposal = _lock(proposal_id)
    if proposal.status == ProposedGrant.Status.DECLINED:
        return proposal
    _decide(proposal, ProposedGrant.Status.DECLINED, by)
    proposal.save(update_fields=["status", "decided_by", "decided_at"])
    _audit(proposal, by, "credits.grant_declined")
    return proposal


def _refuse_malformed(source: str, credits: Decimal, reason: str) -> None:
    if source not in SOURCES:
        raise ValidationError(source=f"must be one of {', '.join(SOURCES)}")
    if not amounts.is_movable(credits) or not credits:
        raise ValidationError(credits="must be above 0 and at most 1,000,000,000")
    if not reason.strip():
        raise ValidationError(reason="is needed")


def _lock(proposal_id: UUID) -> ProposedGrant:
    """Lock the organization's pool, as every grant does, and return the proposal as it stands then."""
    seen = ProposedGrant.objects.select_related("organization").filter(pk=proposal_id).first()
    if seen is None:
        raise NotFound("There is no such proposal.")
    payers.lock([payers.organization_pool(seen.organization_id)])
    return ProposedGrant.objects.select_related("organization", "grant").get(pk=proposal_id)


def _decide(proposal: ProposedGrant, status: ProposedGrant.Status, by: Actor) -> None:
    if proposal.status != ProposedGrant.Status.PENDING:
        raise ProposalConflict(f"The proposal was {proposal.status} already.", status=proposal.status)
    if proposal.proposed_by == by.public_id:
        raise PermissionDenied("Another system admin must decide about this grant.")
    proposal.status, proposal.decided_by, proposal.decided_at = status, by.public_id, statements.clock()


def _audit(proposal: ProposedGrant, by: Actor, action: str) -> None:
    events.record(
        organization=proposal.organization.public_id,
        by=by,
        action=action,
        target=str(proposal.pk),
        after={
            "credits": amounts.text(proposal.credits),
            "source": proposal.source,
            "reason": proposal.reason,
            "proposed_by": proposal.proposed_by,
        },
    )

"""Standard allocations: what a new member of a role is given, if the pool can (product.md §7)."""

import logging
from decimal import Decimal

from django.db import DatabaseError, InterfaceError, transaction

from credits import amounts
from credits.amounts import ZERO
from credits.models import Allocation, StandardAllocation
from credits.sharing import allocations, reach
from credits.sharing.allocations import Share
from kit import transactions
from kit.errors import Conflict, DomainError, NotFound, ValidationError
from orgs import organizations
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Membership, Organization
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

logger = logging.getLogger(__name__)


def put(
    *,
    organization: Organization,
    role: str,
    credits: Decimal,
    reset_period: str = Allocation.ResetPeriod.NEVER,
    by: Actor,
) -> StandardAllocation:
    """Say what new members of the role are given from now on; those who are there keep what they have.

    Raises ValidationError for an unknown role or period and for no amount, Conflict for a personal organization.
    """
    transactions.require()
    _refuse_wrong(role, credits, reset_period)
    locked = organizations.lock(organization)
    if locked.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has no allocations; its pool pays.")
    row = StandardAllocation.objects.filter(organization=locked, role=role).first()
    before = _facts(row) if row is not None else {}
    row = row or StandardAllocation(organization=locked, role=role)
    row.credits, row.reset_period = credits, reset_period
    row.save()
    if _facts(row) != before:
        _record(organization, by, "standard_allocation.set", role, before=before, after=_facts(row))
    return row


def remove(*, organization: Organization, role: str, by: Actor) -> None:
    """Give new members of the role nothing any more; raises NotFound where they were given nothing."""
    transactions.require()
    locked = organizations.lock(organization)
    row = StandardAllocation.objects.filter(organization=locked, role=role).first()
    if row is None:
        raise NotFound("New members of this role are given nothing.")
    before = _facts(row)
    row.delete()
    _record(organization, by, "standard_allocation.removed", role, before=before)


def give(*, membership: Membership, by: Actor) -> Allocation | None:
    """Give somebody who just joined what their role is given; None where that is nothing, or could not be.

    Never fails the joining: where the pool has too little, or is too busy to ask, those who may allocate are told.
    """
    transactions.require()
    organization = membership.organization
    row = StandardAllocation.objects.filter(organization=organization, role=membership.role).first()
    if row is None:
        return None
    share = Share(user=membership.user, credits=row.credits, reset_period=row.reset_period)
    try:
        with transaction.atomic():  # what fails in here is taken back, the joining stays
            return allocations.assign(organization=organization, share=share, by=by)
    except DomainError as refusal:
        _tell(membership, row, refusal.message)
    except (DatabaseError, InterfaceError) as error:
        if not transactions.is_busy(error):
            raise
        logger.warning("database busy: %s", error)
        _tell(membership, row, "The pool was busy.")
    return None


def _tell(membership: Membership, row: StandardAllocation, why: str) -> None:
    organization, user = membership.organization, membership.user
    fed = reach.fed_by_department(Membership.objects.filter(pk=membership.pk)).exists()
    who = user.name or user.email or "A new member"
    notices.once(
        kind=Kind.STANDARD_ALLOCATION,
        subject=user.public_id,
        crossing=membership.joined_at.isoformat(),
        to=audience.allocators(organization, membership.department if fed else None),
        organization=organization,
        title=f"{who} joined {organization.name} without credits",
        lines=[f"New members of this role are given {amounts.display(row.credits)} credits. {why}"],
        action="Allocate credits",
        path=f"/orgs/{organization.slug}/allocations/{user.public_id}/",
        level="warning",
    )


def _refuse_wrong(role: str, credits: Decimal, reset_period: str) -> None:
    wrong: dict[str, str] = {}
    if role not in Membership.Role.values:
        wrong["role"] = f"must be one of {', '.join(Membership.Role.values)}"
    if credits <= ZERO or not amounts.is_movable(credits):
        wrong["credits"] = "must be above 0, and at most 1,000,000,000"
    if reset_period not in Allocation.ResetPeriod.values:
        wrong["reset_period"] = f"must be one of {', '.join(Allocation.ResetPeriod.values)}"
    if wrong:
        raise ValidationError(**wrong)


def _facts(row: StandardAllocation) -> dict[str, str]:
    return {"credits": amounts.text(row.credits), "reset_period": row.reset_period}


def _record(
    organization: Organization,
    by: Actor,
    action: str,
    role: str,
    *,
    before: dict[str, str],
    after: dict[str, str] | None = None,
) -> None:
    events.record(
        organization=organization.public_id, by=by, action=action, target=role, before=before, after=after
    )

"""Transfers: funding a department's pool from the organization's, and taking unspent credits back."""

from decimal import Decimal

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import corrections, entries, payers, pools
from credits.ledger.payers import InsufficientCredits
from credits.models import CreditPool
from kit import transactions
from kit.errors import NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department


def move(*, department: Department, credits: Decimal, by: Actor) -> tuple[CreditPool, CreditPool]:
    """Move credits from the organization's pool to the department's; a negative amount returns them.

    Returns (organization's pool, department's pool). Raises InsufficientCredits where the giving pool has too little,
    NotFound for a department that was archived: its row is locked, so that no credits come in while it is being closed.
    """
    transactions.require()
    if not credits or not amounts.is_movable(abs(credits)):
        raise ValidationError(credits="must not be 0, and at most 1,000,000,000 either way")
    if not Department.objects.live().select_for_update(no_key=True).filter(pk=department.pk):
        raise NotFound("There is no such department.")
    own, theirs = pools.of_organization(department.organization), pools.of_department(department)
    locked = payers.lock([("pool", own.pk), ("pool", theirs.pk)])
    own, theirs = locked.pool(own.pk), locked.pool(theirs.pk)
    source, target = (own, theirs) if credits > 0 else (theirs, own)
    if source.available < abs(credits):
        remaining = max(source.available, ZERO)
        raise InsufficientCredits(
            kind="pool",
            scope=department.organization.public_id if source is own else department.public_id,
            needed=abs(credits),
            remaining=remaining,
        )
    entries.write(entries.transfer(source=source, target=target, amount=abs(credits), made_by=by.public_id))
    corrections.settle_shortfalls(locked, department.organization)
    events.record(
        organization=department.organization.public_id,
        by=by,
        action="credits.transferred",
        target=department.public_id,
        before={"available": amounts.text(theirs.available - credits)},
        after={"available": amounts.text(theirs.available), "credits": amounts.text(credits)},
    )
    return own, theirs

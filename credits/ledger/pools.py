"""Credit pools: one for an organization, one for each department that was funded."""

from decimal import Decimal
from typing import Final

from credits import amounts
from credits.ledger import payers
from credits.models import CreditPool
from kit import transactions
from kit.errors import Conflict, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department, Organization

_LONGEST_REASON: Final = 500


class OverdraftInUse(Conflict):
    """The pool stands further below zero than the limit that was asked for."""

    def __init__(self, *, used: Decimal) -> None:
        super().__init__(
            f"{amounts.text(used)} credits of the overdraft are used; the limit cannot be set below that.",
            used=amounts.text(used),
        )


def of_organization(organization: Organization) -> CreditPool:
    """Return the organization's own pool, made at first need. It is not locked."""
    pool, _ = CreditPool.objects.get_or_create(organization=organization, department=None)
    return pool


def of_department(department: Department) -> CreditPool:
    """Return the department's pool, made when it is first funded. It is not locked."""
    pool, _ = CreditPool.objects.get_or_create(organization=department.organization, department=department)
    return pool


def set_alert(
    *, organization: Organization, below: Decimal | None, by: Actor, department: Department | None = None
) -> CreditPool:
    """Tell those who share a pool out once it has less than this available; None is never.

    The pool is the organization's own, unless a `department` is named. Setting what is set already writes nothing.
    Raises ValidationError (alert_below) for 0 and beyond the bounds of an amount.
    """
    transactions.require()
    if below is not None and (not amounts.is_movable(below) or not below):
        raise ValidationError(alert_below="must be above 0, and at most 1,000,000,000")
    found = of_department(department) if department is not None else of_organization(organization)
    pool = payers.lock([("pool", found.pk)]).pool(found.pk)
    before = pool.alert_below
    if before == below:
        return pool
    pool.alert_below = below
    pool.save(update_fields=["alert_below"])
    events.record(
        organization=organization.public_id,
        by=by,
        action="pool.alert_set",
        target=department.public_id if department is not None else organization.public_id,
        before={"alert_below": None if before is None else amounts.text(before)},
        after={"alert_below": None if below is None else amounts.text(below)},
    )
    return pool


def set_overdraft(*, organization: Organization, credits: Decimal, reason: str, by: Actor) -> CreditPool:
    """Set how far captures may take the organization's pool below zero; no other pool has an overdraft.

    Setting what is set already writes nothing. Raises ValidationError (credits, reason), OverdraftInUse (409) below
    what is used of it now.
    """
    transactions.require()
    if not amounts.is_movable(credits):
        raise ValidationError(credits="must be from 0 to 1,000,000,000 with at most 6 decimal places")
    if not 0 < len(reason.strip()) <= _LONGEST_REASON:
        raise ValidationError(reason=f"1 to {_LONGEST_REASON} characters are expected.")
    ref = payers.organization_pool(organization.pk)
    pool = payers.lock([ref]).pool(ref[1])
    if pool.available < -credits:
        raise OverdraftInUse(used=-pool.available)
    before = pool.overdraft_limit
    if before == credits:
        return pool
    pool.overdraft_limit = credits
    pool.save(update_fields=["overdraft_limit"])
    events.record(
        organization=organization.public_id,
        by=by,
        action="pool.overdraft_set",
        target=organization.public_id,
        before={"overdraft_limit": amounts.text(before)},
        after={"overdraft_limit": amounts.text(credits), "reason": reason},
    )
    return pool

"""Withdrawals: credits of a grant taken back because their payment was, by a refund or a lost dispute."""

from decimal import Decimal

from django.db.models import Sum

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import burndown, entries, payers, statements, takings
from credits.models import Grant, Withdrawal
from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization


class WithdrawalConflict(Conflict):
    """The reference was used for another withdrawal, or nothing of the grant is left to ask for."""


def withdraw(
    *,
    organization: Organization,
    grant_source: str,
    grant_reference: str,
    credits: Decimal | None,
    reference: str,
    reason: str,
    by: Actor,
) -> Withdrawal:
    """Take back credits of a grant; None is all that was not asked back before.

    What the grant still has, outside of holds, leaves the books: from the organization's pool, then from department
    pools and allocations, the largest first. The rest is `owed`. `reference` is unique per organization: asking again
    with the same terms returns the first withdrawal and moves nothing.
    Raises NotFound where there is no such grant, WithdrawalConflict for other terms or where all was asked back,
    ValidationError for more than the grant has.
    """
    transactions.require()
    locked = payers.lock([payers.organization_pool(organization.pk)])
    grant = Grant.objects.filter(
        organization=organization, source=grant_source, reference=grant_reference
    ).first()
    if grant is None:
        raise NotFound("There is no such grant.")
    earlier = Withdrawal.objects.filter(organization=organization, reference=reference).first()
    if earlier is not None:
        return _same(earlier, grant, credits)
    asked = _asked(grant, credits)
    seen = burndown.look(organization_ids=[organization.pk])[organization.pk]
    takings.widen(locked, organization_id=organization.pk, wanted=min(asked, seen.free()[grant.pk]))
    made = Withdrawal(
        organization=organization,
        grant=grant,
        reference=reference,
        credits=asked,
        reason=reason,
        made_by=by.public_id,
    )
    _take(locked, made)
    _tell(made, by=by)
    return made


def _take(locked: payers.Locked, made: Withdrawal) -> None:
    """Take what there is, and write the withdrawal, its entries and the grant's balance."""
    burned = burndown.lock(organization_ids=[made.organization_id])[made.organization_id]
    balance = next(one for one in burned.balances if one.pk == made.grant_id)
    taken = takings.take(
        locked,
        made.grant,
        min(made.credits, burned.free()[balance.pk]),
        kind="withdraw",
        made_by=made.made_by,
        reason=made.reason,
    )
    made.withdrawn = sum((one.amount for one in taken), ZERO)
    made.owed = made.credits - made.withdrawn
    made.created_at = statements.clock()
    made.save(force_insert=True)
    if taken:
        entries.write(*taken)
        balance.withdrawn += made.withdrawn
        burndown.write([balance])


def _asked(grant: Grant, credits: Decimal | None) -> Decimal:
    """Return how much is asked for; raises where that is nothing, or more than the grant had."""
    before = Withdrawal.objects.filter(grant=grant).aggregate(asked=Sum("credits"))["asked"] or ZERO
    most = grant.credits - before
    if not most:
        raise WithdrawalConflict("All credits of this grant were asked back before.")
    asked = most if credits is None else credits
    if not amounts.is_movable(asked) or not ZERO < asked <= most:
        raise ValidationError(
            credits=f"must be above 0 and at most the {amounts.text(most)} not asked back yet"
        )
    return asked


def _same(earlier: Withdrawal, grant: Grant, credits: Decimal | None) -> Withdrawal:
    """Return the earlier withdrawal of this reference; raises WithdrawalConflict where it was another.

    All of a grant is what nobody had asked back before that one.
    """
    if credits is None:
        others = Withdrawal.objects.filter(grant=grant, created_at__lt=earlier.created_at)
        credits = grant.credits - (others.aggregate(asked=Sum("credits"))["asked"] or ZERO)
    if (earlier.grant_id, earlier.credits) != (grant.pk, credits):
        raise WithdrawalConflict(
            "This reference was used for another withdrawal.", withdrawn=amounts.text(earlier.withdrawn)
        )
    return earlier


def _tell(made: Withdrawal, *, by: Actor) -> None:
    events.record(
        organization=made.organization.public_id,
        by=by,
        action="credits.withdrawn",
        target=str(made.grant_id),
        after={
            "credits": amounts.text(made.credits),
            "withdrawn": amounts.text(made.withdrawn),
            "owed": amounts.text(made.owed),
            "reference": made.reference,
            "reason": made.reason,
        },
    )

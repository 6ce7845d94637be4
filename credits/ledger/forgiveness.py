"""Forgiving what an organization owes for a charge: staff cancel the debt, no credits move."""

from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Sum

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import books, payers, statements
from credits.ledger.records import Usage
from credits.models import Shortfall, UsageRecord
from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Actor

_LONGEST_REASON: Final = 500


class NothingOwed(Conflict):
    """The charge left no shortfall, or what it left was settled or forgiven before."""


def forgive(*, charge_id: UUID, reason: str, by: Actor) -> Usage:
    """Cancel what is still owed for a charge and return the record of it; Lago is told nothing, since nothing moved.

    Raises NotFound for what is no charge, NothingOwed (409) where nothing is open, ValidationError without a reason.
    """
    transactions.require()
    if not 0 < len(reason.strip()) <= _LONGEST_REASON:
        raise ValidationError(reason=f"1 to {_LONGEST_REASON} characters are expected.")
    charge = (
        UsageRecord.objects.select_related("organization")
        .filter(pk=charge_id, kind=UsageRecord.Kind.CHARGE)
        .first()
    )
    if charge is None:
        raise NotFound("There is no such charge.")
    payers.lock(
        [payers.organization_pool(charge.organization_id)]
    )  # whoever settles or reverses holds it too
    owed = _cancel(charge)
    record = _record(charge, owed, reason=reason, by=by)
    books.insert_usage([record])
    events.record(
        organization=charge.organization.public_id,
        by=by,
        action="shortfall.forgiven",
        target=str(charge.pk),
        before={"owed": amounts.text(owed)},
        after={"owed": "0", "forgiven": amounts.text(owed), "reason": reason},
    )
    return record


def of_charge(*, charge_id: UUID) -> Decimal:
    """Return how much of a charge staff have forgiven: nobody paid it, so no reversal gives it back."""
    forgiven = UsageRecord.objects.filter(corrects=charge_id, kind=UsageRecord.Kind.FORGIVENESS)
    return forgiven.aggregate(forgiven=Sum("shortfall"))["forgiven"] or ZERO


def _cancel(charge: UsageRecord) -> Decimal:
    """Close the debt and return how much that was."""
    debt = Shortfall.objects.select_for_update(no_key=True, of=("self",)).filter(charge_id=charge.pk).first()
    owed = debt.amount - debt.settled - debt.forgiven if debt is not None else ZERO
    if debt is None or not owed:
        raise NothingOwed("Nothing is owed for this charge.")
    debt.forgiven += owed
    debt.save(update_fields=["forgiven"])
    return owed


def _record(charge: UsageRecord, owed: Decimal, *, reason: str, by: Actor) -> Usage:
    at = statements.clock()
    return Usage(
        organization_id=charge.organization_id,
        organization=charge.organization.public_id,
        kind="forgiveness",
        user_id=charge.user_id,
        department_id=charge.department_id,
        key_id=charge.key_id,
        corrects=charge.pk,
        transaction_id=charge.transaction_id,
        credits=ZERO,
        cost=owed,
        shortfall=owed,
        service=charge.service,
        provider=charge.provider,
        model=charge.model,
        reason=reason,
        made_by=by.public_id,
        day=at.astimezone(ZoneInfo(charge.organization.time_zone)).date(),
        occurred_at=at,
        created_at=at,
    )

"""Holds that nobody ended in time: the commands that expire them."""

from datetime import date
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from credits.ledger.commands import ExpireHold, Reach, Spender
from credits.ledger.payers import Ref
from credits.limits import calendar
from credits.limits.ceilings import Ceiling
from credits.models import Hold

_SWEEPER: Final = Spender(made_by="portal")
_MOST: Final = 256


def of_payer(payer: Ref) -> list[ExpireHold]:
    """Return what ends the overdue holds of one payer."""
    kind, key = payer
    held = Hold.objects.overdue().filter(**{f"{kind}_id": key})
    return _commands(held.order_by("pk").values_list("pk", flat=True)[:_MOST])


def of_budget(ceiling: Ceiling, starts_on: date) -> list[ExpireHold]:
    """Return what ends the overdue holds that count in one period of a hard budget."""
    found = Hold.objects.overdue().filter(
        organization=ceiling.organization_id,
        day__gte=starts_on,
        day__lt=calendar.next_first_day(starts_on, ceiling.period),
        credits__gt=0,
    )
    by = {"department": "department_id", "member": "user_id", "model": "model"}.get(ceiling.scope)
    held = found.filter(**{by: ceiling.subject}) if by is not None else found
    return _commands(held.order_by("pk").values_list("pk", flat=True)[:_MOST])


def of_anybody(*, at_most: int) -> list[ExpireHold]:
    """Return what ends overdue holds, oldest first."""
    return _commands(Hold.objects.overdue().order_by("expires_at").values_list("pk", flat=True)[:at_most])


def _commands(holds: QuerySet[Hold, UUID]) -> list[ExpireHold]:
    return [ExpireHold(hold_id=hold, spender=_SWEEPER, reach=Reach.ANY) for hold in holds]

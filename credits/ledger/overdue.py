"""Holds that nobody ended in time: the commands that expire them."""

from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from credits.ledger.commands import ExpireHold, Reach, Spender
from credits.ledger.payers import Ref
from credits.models import Hold

_SWEEPER: Final = Spender(made_by="portal")
_MOST: Final = 256


def of_payer(payer: Ref) -> list[ExpireHold]:
    """Return what ends the overdue holds of one payer."""
    kind, key = payer
    held = Hold.objects.overdue().filter(**{f"{kind}_id": key})
    return _commands(held.order_by("pk").values_list("pk", flat=True)[:_MOST])


def of_anybody(*, at_most: int) -> list[ExpireHold]:
    """Return what ends overdue holds, oldest first."""
    return _commands(Hold.objects.overdue().order_by("expires_at").values_list("pk", flat=True)[:at_most])


def _commands(holds: QuerySet[Hold, UUID]) -> list[ExpireHold]:
    return [ExpireHold(hold_id=hold, spender=_SWEEPER, reach=Reach.ANY) for hold in holds]

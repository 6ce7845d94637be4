"""Holds in bulk: the sweeper that ends what nobody ended. Placing and ending single ones is `charging.settle`."""

from typing import Final

from credits.ledger import charging
from credits.ledger.commands import ExpireHold, Reach, Spender
from credits.models import Hold

_SWEEPER: Final = Spender(made_by="portal")


def expire_due(*, at_most: int = 1000) -> int:
    """Expire overdue holds, oldest first, and return how many ended.

    Reads without a lock and settles as anybody else does, so it races captures fairly: whoever locks first wins.
    """
    overdue = Hold.objects.overdue().order_by("expires_at").values_list("pk", flat=True)[:at_most]
    commands = [ExpireHold(hold_id=pk, spender=_SWEEPER, reach=Reach.ANY) for pk in overdue]
    ended = 0
    for start in range(0, len(commands), charging.MOST_TOGETHER):
        outcomes = charging.settle(commands[start : start + charging.MOST_TOGETHER])
        ended += sum(
            1
            for one in outcomes
            if not isinstance(one, Exception) and one.hold and one.hold.status == Hold.Status.EXPIRED
        )
    return ended

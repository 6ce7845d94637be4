"""What one client does again and again inside a process: an operation for each side of each scenario."""

import itertools
import os
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from bench import textbook
from bench.spots import Spot, World
from credits.ledger import charging, combining
from credits.ledger.commands import CaptureHold, MakeCharge, Outcome, PlaceHold, Reach, Settled, Spender
from credits.pricing.costs import CreditsCost
from kit.errors import TryAgain

Operation = Callable[[], int]
"""Does one thing and returns how many charges it made."""

BATCH: Final = 1000
CREDITS: Final = Decimal("0.015000")
MODEL: Final = "gpt-4o"
TOKENS: Final = 1500
_numbers = itertools.count()


def operation(name: str, side: str, world: World) -> Operation:
    """Return what a client of this side does in this scenario."""
    if side == "textbook":
        return _textbook(world, hot=name == "hot")
    makers = {"spread": _charge, "hot": _charge, "pairs": _pair, "batches": _batch}
    spots = world.counted if side == "counted" else world.unlimited
    return makers[name](world, spots[:1] if name == "hot" else spots)


def warm_up(world: World) -> None:
    """Charge everybody once in this process, which then knows who pays for whom as after the first minutes of a day."""
    for spots in (world.unlimited, world.counted):
        for outcome in charging.settle([_charge_command(world, spot) for spot in spots]):
            _settled(outcome)


def _textbook(world: World, *, hot: bool) -> Operation:
    spots = world.textbook[:1] if hot else world.textbook

    def charge() -> int:
        organization_id, member = random.choice(spots)
        textbook.charge(
            organization_id=organization_id,
            member=member,
            transaction_id=_transaction_id(),
            credits=CREDITS,
            model=MODEL,
            tokens=TOKENS,
        )
        return 1

    return charge


def _charge(world: World, spots: tuple[Spot, ...]) -> Operation:
    def charge() -> int:
        _settled(combining.submit(_charge_command(world, random.choice(spots))))
        return 1

    return charge


def _pair(world: World, spots: tuple[Spot, ...]) -> Operation:
    def pair() -> int:
        spot = random.choice(spots)
        command = PlaceHold(
            organization_id=spot.organization_id,
            spender=_spender(world, spot),
            transaction_id=_transaction_id(),
            cost=CreditsCost(CREDITS * 2, model=MODEL),
            service="llm",
            ttl_seconds=600,
        )
        hold = _settled(combining.submit(command)).hold
        assert hold is not None
        capture = CaptureHold(hold_id=hold.pk, spender=_spender(world, None), reach=Reach.ANY, cost=_cost())
        _settled(combining.submit(capture))
        return 1

    return pair


def _batch(world: World, spots: tuple[Spot, ...]) -> Operation:
    def batch() -> int:
        outcomes = charging.settle([_charge_command(world, random.choice(spots)) for _ in range(BATCH)])
        # Many batches for the same members may wait longer than lock_timeout: that item is to be sent again.
        decided = [outcome for outcome in outcomes if not isinstance(outcome, TryAgain)]
        for outcome in decided:
            _settled(outcome)
        return len(decided)

    return batch


def _charge_command(world: World, spot: Spot) -> MakeCharge:
    return MakeCharge(
        organization_id=spot.organization_id,
        spender=_spender(world, spot),
        transaction_id=_transaction_id(),
        cost=_cost(),
        service="llm",
    )


def _spender(world: World, spot: Spot | None) -> Spender:
    return Spender(made_by=world.made_by, key_id=world.key_id, user_id=spot.user_id if spot else None)


def _cost() -> CreditsCost:
    return CreditsCost(CREDITS, model=MODEL, input_tokens=TOKENS)


def _settled(outcome: Outcome) -> Settled:
    if not isinstance(outcome, Settled):
        raise outcome
    return outcome


def _transaction_id() -> str:
    return f"{os.getpid()}-{next(_numbers)}"

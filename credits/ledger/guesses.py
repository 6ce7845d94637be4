"""Who paid last time: a hint that spares the read before the lock. Never the ground of a decision.

A wrong guess costs one more round: what is read after the lock names another payer, and the request runs again carefully.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from credits.ledger.commands import Command, EndHold
from credits.ledger.payers import Ref
from credits.ledger.standing import Standing

_MOST: Final = 50_000

_first_payers: dict[tuple[int, UUID | None], Ref] = {}
_holds: dict[UUID, Ref] = {}


def payer(command: Command) -> Ref | None:
    """Return who will pay, or who pays the hold that the command ends, as far as this process knows."""
    if isinstance(command, EndHold):
        return _holds.get(command.hold_id)
    return _first_payers.get((command.organization_id, command.spender.user_id))


def learn_hold(hold_id: UUID, payer: Ref) -> None:
    """Remember who pays a hold; that never changes."""
    if len(_holds) >= _MOST:
        _holds.clear()
    _holds[hold_id] = payer


def payers(organization_id: int, user_id: UUID | None) -> list[Ref] | None:
    """Return who paid for this member last time, as a list of one; None where nobody did yet."""
    found = _first_payers.get((organization_id, user_id))
    return None if found is None else [found]


def learn(standings: Iterable[Standing | None]) -> None:
    """Remember the first payer of each of these standings."""
    for stands in {one.asked: one for one in standings if one is not None}.values():
        _learn(stands)


def _learn(stands: Standing) -> None:
    candidates = stands.payers()
    if not candidates:
        _first_payers.pop((stands.organization_id, stands.asked.user_id), None)
        return
    if len(_first_payers) >= _MOST:
        _first_payers.clear()
    _first_payers[stands.organization_id, stands.asked.user_id] = candidates[0]


def forget() -> None:
    """Know nothing again: for tests, whose database begins anew under the same keys."""
    _first_payers.clear()
    _holds.clear()

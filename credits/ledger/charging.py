"""Settling: the only code that holds, charges, captures or ends a hold. A single request is a batch of one.

A batch is one transaction: claim keys, lock payers, read where everybody stands *after* the locks, decide first fit in
arrival order in Python, write sets. What could not be decided together (a payer somebody else holds, a payer that
turned out to be another one, a second candidate) runs alone afterwards, waiting for its lock.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import DatabaseError, InterfaceError

from credits.ledger import corrections
from credits.ledger.commands import Command, MakeCharge, Outcome, PlaceHold, Settled
from credits.ledger.rounds import Again, Attempt, Round
from kit import transactions
from kit.errors import TryAgain
from kit.rest.errors import is_busy

logger = logging.getLogger(__name__)

MOST_TOGETHER: Final = 256
"""How many waiting requests are settled in one transaction."""

_MOST_ATTEMPTS: Final = 6
"""How often one request may be sent on to another payer: three candidates, each of which may have moved once."""


def settle(commands: Sequence[Command]) -> list[Outcome]:
    """Decide every command, each on its own merits, and return their outcomes in the same order.

    Opens and commits its own transactions. An outcome is `Settled` or the DomainError that refuses the command; a
    refused command has moved nothing. `TryAgain` means that nothing is known: only a retry with the same key can tell.
    """
    outcomes: dict[int, Outcome] = {}
    waiting = list(range(len(commands)))
    while waiting:
        together, waiting = _one_of_each_subject(commands, waiting)
        outcomes |= _settle_together({index: Attempt(commands[index]) for index in together})
    _charge_debts(outcomes.values())
    return [outcomes[index] for index in range(len(commands))]


def settle_one(command: Command) -> Outcome:
    """Decide one command."""
    return settle([command])[0]


def _charge_debts(outcomes: Iterable[Outcome]) -> None:
    """Charge fresh shortfalls to the organization's pool at once, in a transaction that locks it after the spender's.

    A crash in between loses nothing: the sweeper settles what is open.
    """
    debtors = {
        one.charge.organization_id
        for one in outcomes
        if isinstance(one, Settled) and one.charge is not None and one.charge.shortfall and not one.replayed
    }
    for organization_id in sorted(debtors):
        with transactions.durable():
            corrections.settle_open(organization_id=organization_id)


def _one_of_each_subject(commands: Sequence[Command], waiting: list[int]) -> tuple[list[int], list[int]]:
    """Split off commands about a key or hold that an earlier one is about: they must see how that one ended."""
    seen: set[object] = set()
    together: list[int] = []
    later: list[int] = []
    for index in waiting:
        command = commands[index]
        subject = command.key if isinstance(command, (PlaceHold, MakeCharge)) else command.hold_id
        (later if subject in seen else together).append(index)
        seen.add(subject)
    return together, later


def _settle_together(attempts: dict[int, Attempt]) -> dict[int, Outcome]:
    """Settle attempts of different subjects in one transaction, and what that leaves over payer by payer."""
    if len(attempts) == 1:
        return {index: _settle_alone(attempt) for index, attempt in attempts.items()}
    outcomes: dict[int, Outcome] = {}
    for group in _by_payer(_settle_some(attempts, outcomes, skip_locked=True)):
        left = _settle_some(group, outcomes, skip_locked=False) if len(group) > 1 else group
        outcomes |= {index: _settle_alone(attempt) for index, attempt in left.items()}
    return outcomes


def _settle_some(
    attempts: dict[int, Attempt], outcomes: dict[int, Outcome], *, skip_locked: bool
) -> dict[int, Attempt]:
    """Run one transaction; note what it decided in `outcomes` and return what it left over."""
    left: dict[int, Attempt] = {}
    results = _run(list(attempts.values()), skip_locked=skip_locked)
    for index, result in zip(attempts, results, strict=True):
        if isinstance(result, Again):
            left[index] = result.attempt
        else:
            outcomes[index] = result
    return left


def _by_payer(attempts: dict[int, Attempt]) -> list[dict[int, Attempt]]:
    """Group what waits for one payer, so that a group waits for one lock and holds no other meanwhile."""
    groups: dict[object, dict[int, Attempt]] = {}
    for index, attempt in attempts.items():
        groups.setdefault(attempt.waits_for or index, {})[index] = attempt
    return list(groups.values())


def _settle_alone(attempt: Attempt) -> Outcome:
    """Settle one attempt, following it from payer to payer, each in a transaction that locks no other."""
    for _ in range(_MOST_ATTEMPTS):
        [result] = _run([attempt], skip_locked=False)
        if not isinstance(result, Again):
            return result
        attempt = result.attempt
    return TryAgain()


def _run(attempts: list[Attempt], *, skip_locked: bool) -> list[Outcome | Again]:
    """Run one transaction. If it fails together, each runs alone; if its COMMIT fails, nobody knows."""
    committing = False
    try:
        with transactions.durable():
            results = Round(attempts, skip_locked=skip_locked).run()
            committing = True
    except (DatabaseError, InterfaceError) as error:
        if committing or len(attempts) == 1:
            if not committing and not is_busy(error):
                raise
            logger.warning("settling %s failed: %s", len(attempts), error)
            return [TryAgain() for _ in attempts]
        logger.warning("settling %s together failed, each runs alone: %s", len(attempts), error)
        return [Again(attempt) for attempt in attempts]
    return results

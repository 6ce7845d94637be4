"""Settling: the only code that holds, charges, captures or ends a hold. A single request is a batch of one.

A batch is one transaction: claim keys, lock payers, read where everybody stands *after* the locks, decide first fit in
arrival order in Python, write sets. It skips payers that somebody else holds; what waits for one of those is settled
payer by payer afterwards, so that one stuck row delays nobody else's.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import DatabaseError, InterfaceError

from credits.ledger import corrections, overdue, payers, unpriced
from credits.ledger.commands import Command, ExpireHold, MakeCharge, Outcome, PlaceHold, Settled
from credits.ledger.payers import InsufficientCredits
from credits.ledger.rounds import Again, Attempt, Round
from credits.limits import refusals
from credits.limits.ceilings import BudgetExceeded
from credits.sharing import resets
from kit import transactions
from kit.errors import DomainError, TryAgain

logger = logging.getLogger(__name__)

MOST_TOGETHER: Final = 256
"""How many waiting requests are settled in one transaction."""

_REFUSALS_OF_HELD: Final = (InsufficientCredits, BudgetExceeded)
"""Refusals that the end of an overdue hold may lift."""

_MOST_ATTEMPTS: Final = 6
"""How often one request may be sent on to another payer: three candidates, each of which may have moved once."""


class Unclassified(DomainError):
    """Something broke that no rule foresaw. Nothing was decided, and the log has it."""

    code = "internal_error"
    status = 500


def settle(commands: Sequence[Command]) -> list[Outcome]:
    """Decide every command, each on its own merits, and return their outcomes in the same order.

    Opens and commits its own transactions, and waits for locks as long as the session's lock_timeout. An outcome is
    `Settled` or the DomainError that refuses the command; a refused command has moved nothing. `TryAgain` means that
    nothing is known: only a retry with the same key can tell.
    """
    decided = settle_free(commands)
    waited = iter(settle_waiting([one for one in decided if isinstance(one, Attempt)]))
    return [next(waited) if isinstance(one, Attempt) else one for one in decided]


def settle_one(command: Command) -> Outcome:
    """Decide one command."""
    return settle([command])[0]


def settle_free(commands: Sequence[Command]) -> list[Outcome | Attempt]:
    """Decide what can be decided without waiting for anybody's lock; what must wait comes back as an Attempt."""
    results: list[Outcome | Attempt] = [Attempt(command) for command in commands]
    together = _one_of_each_subject(commands)
    attempts = [one for index in together if isinstance(one := results[index], Attempt)]
    for index, result in zip(together, _run(attempts, skip_locked=True), strict=True):
        results[index] = result.attempt if isinstance(result, Again) else result
    _charge_debts(results)
    unpriced.note(commands, results)
    decided = [
        Attempt(commands[index], waits_for=_first_tried(one))  # whose lane ends them: that waits for locks
        if isinstance(one, _REFUSALS_OF_HELD) and _overdue_of(one)
        else one
        for index, one in enumerate(results)
    ]
    refusals.note(commands, decided)
    return decided


def settle_waiting(attempts: Sequence[Attempt]) -> list[Outcome]:
    """Decide what waits for locks: one payer's group in a transaction that waits for it and holds no other.

    By then whoever held the others has mostly committed too, so the rest is tried together again before the next wait.
    """
    outcomes: dict[int, Outcome] = {}
    waiting = list(range(len(attempts)))
    while waiting:
        group = _next_group(attempts, waiting)
        results = _run_waiting([attempts[index] for index in group])
        for index, result in zip(group, results, strict=True):
            outcomes[index] = _settle_alone(result.attempt) if isinstance(result, Again) else result
        waiting = [index for index in waiting if index not in outcomes]
        outcomes |= _settle_again({index: attempts[index] for index in waiting})
        waiting = [index for index in waiting if index not in outcomes]
    _charge_debts(outcomes.values())
    commands = [one.command for one in attempts]
    decided = [_without_overdue(command, outcomes[index]) for index, command in enumerate(commands)]
    unpriced.note(commands, decided)
    refusals.note(commands, decided)
    return decided


def _settle_again(attempts: dict[int, Attempt]) -> dict[int, Outcome]:
    """Try together what still waits, without waiting; returns those that it decided."""
    indexes = list(attempts)
    free = [indexes[place] for place in _one_of_each_subject([one.command for one in attempts.values()])]
    if not free:
        return {}
    results = zip(free, _run([attempts[index] for index in free], skip_locked=True), strict=True)
    return {index: result for index, result in results if not isinstance(result, Again)}


def _settle_alone(attempt: Attempt) -> Outcome:
    """Settle one attempt, following it from payer to payer, each in a transaction of its own."""
    for _ in range(_MOST_ATTEMPTS):
        [result] = _run_waiting([attempt])
        if not isinstance(result, Again):
            return result
        attempt = result.attempt
    return TryAgain()


def _run_waiting(attempts: list[Attempt]) -> list[Outcome | Again]:
    """Run one transaction that waits for locks, after the allocations that are due were reset; once more for who is due now."""
    if not _catch_up(attempts):
        return [TryAgain() for _ in attempts]
    results = _run(attempts, skip_locked=False)
    behind = [index for index, one in enumerate(results) if isinstance(one, Again) and one.attempt.behind]
    if not behind:
        return results
    late = [attempts[index] for index in behind]
    again = _run(late, skip_locked=False) if _catch_up(late) else [TryAgain() for _ in late]
    for index, result in zip(behind, again, strict=True):
        results[index] = result
    return results


def _catch_up(attempts: Iterable[Attempt]) -> bool:
    """Bring the pools up to date that these attempts found behind, a transaction each; False where one is busy."""
    pools = {one.behind for one in attempts if one.behind is not None}
    for one in attempts:
        one.behind = None
    try:
        for pool_id in sorted(pools):
            resets.catch_up(pool_id=pool_id)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("allocations could not be brought up to date: %s", error)
        return False
    return True


def _run(attempts: list[Attempt], *, skip_locked: bool) -> list[Outcome | Again]:
    """Run one transaction. If it fails together, each runs alone; if its COMMIT fails, nobody knows."""
    committing = False
    try:
        with transactions.durable():
            results = Round(attempts, skip_locked=skip_locked).run()
            committing = True
    except (DatabaseError, InterfaceError) as error:
        logger.warning("settling %s failed: %s", len(attempts), error)
        if committing or (transactions.is_busy(error) and not skip_locked):
            return [TryAgain() for _ in attempts]
        return _after_failure(attempts, skip_locked=skip_locked)
    except Exception:
        logger.exception("settling %s broke", len(attempts))
        return _after_failure(attempts, skip_locked=skip_locked)
    return results


def _after_failure(attempts: list[Attempt], *, skip_locked: bool) -> list[Outcome | Again]:
    """Send everybody on to run alone; what fails alone is nobody else's fault."""
    if len(attempts) == 1 and not skip_locked:
        return [Unclassified("Something broke on our side; nothing was decided.")]
    return [Again(attempt) for attempt in attempts]


def _one_of_each_subject(commands: Sequence[Command]) -> list[int]:
    """Leave out commands about a key or hold that an earlier one is about: they must see how that one ended."""
    seen: set[object] = set()
    first: list[int] = []
    for index, command in enumerate(commands):
        subject = command.key if isinstance(command, (PlaceHold, MakeCharge)) else command.hold_id
        if subject not in seen:
            first.append(index)
        seen.add(subject)
    return first


def _next_group(attempts: Sequence[Attempt], waiting: list[int]) -> list[int]:
    """Return those that wait for the same payer as the first, one of each subject; who waits for none goes alone."""
    payer = attempts[waiting[0]].waits_for
    if payer is None:
        return waiting[:1]
    same = [index for index in waiting if attempts[index].waits_for == payer][:MOST_TOGETHER]
    return [same[index] for index in _one_of_each_subject([attempts[index].command for index in same])]


def _charge_debts(outcomes: Iterable[Outcome | Attempt]) -> None:
    """Charge fresh shortfalls to the organization's pool at once, in a transaction that locks it after the spender's.

    A crash in between, or a pool that somebody else holds too long, loses nothing: the sweeper settles what is open.
    """
    debtors = {
        one.charge.organization_id
        for one in outcomes
        if isinstance(one, Settled) and one.charge is not None and one.charge.shortfall and not one.replayed
    }
    for organization_id in sorted(debtors):
        try:
            with transactions.durable():
                corrections.settle_open(organization_id=organization_id)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a shortfall stays open for the sweeper: %s", error)


def _without_overdue(command: Command, decided: Outcome) -> Outcome:
    """Try a refused command again while who may pay, or the budget that bit, has holds that are over (product.md §6)."""
    for _ in range(_MOST_ATTEMPTS):
        due = _overdue_of(decided) if isinstance(decided, _REFUSALS_OF_HELD) else []
        if not due:
            break
        for end in due:
            _settle_alone(Attempt(end))
        decided = _settle_alone(Attempt(command))
    return decided


def _overdue_of(refusal: InsufficientCredits | BudgetExceeded) -> list[ExpireHold]:
    """Return what would end the overdue holds of the payers that were tried, or of the budget that bit."""
    if isinstance(refusal, BudgetExceeded):
        return overdue.of_budget(*refusal.bitten)
    return [end for payer in refusal.tried for end in overdue.of_payer(payer)]


def _first_tried(refusal: InsufficientCredits | BudgetExceeded) -> payers.Ref | None:
    return refusal.tried[0] if isinstance(refusal, InsufficientCredits) else None

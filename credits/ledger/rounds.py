"""A round: one transaction of settling, from claiming keys to writing sets. `charging` decides which rounds run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from credits.ledger import books, guesses, holding, keys, payers, replays, shortfalls, spending, standing
from credits.ledger.commands import CaptureHold, Command, EndHold, MakeCharge, Outcome, PlaceHold
from credits.ledger.records import Usage
from credits.ledger.standing import Asked, Standing
from credits.limits import ceilings, quotas
from credits.models import Hold, LedgerEntry
from credits.pricing import table
from credits.signals import usage_recorded
from kit.errors import DomainError, NotFound
from kit.identifiers import uuid7


@dataclass(slots=True)
class Attempt:
    """A command and which of its payers it tries now. `subject` becomes the id of the hold or charge it makes.

    A careful one reads who pays before it locks; the first try guesses from what the last request found, and every
    decision is made on what is read after the lock. `waits_for` is the payer that the last round looked for: what waits for one payer can be settled together.
    `behind` is the pool whose allocations must first be brought up to date: the last round found the member's reset due.
    """

    command: Command
    candidate: int = 0
    careful: bool = False
    waits_for: payers.Ref | None = None
    behind: int | None = None
    subject: UUID = field(default_factory=uuid7)


@dataclass(slots=True)
class Again:
    """Not decided: run it alone, with what this round learned."""

    attempt: Attempt


class Round:
    """The working set of one transaction: what is locked, what was read after that, and what will be written."""

    def __init__(self, attempts: Sequence[Attempt], *, skip_locked: bool) -> None:
        self.attempts = attempts
        self.skip_locked = skip_locked
        self.prices = table.current()
        self.locked = payers.Locked()
        self.holds: dict[UUID, Hold] = {}
        self.standings: list[Standing | None] = []
        self.counters = quotas.Counters()
        self.capped = ceilings.Counts()
        self.new_holds: list[Hold] = []
        self.ended_holds: list[Hold] = []
        self.usage: list[Usage] = []
        self.entries: list[LedgerEntry] = []

    def run(self) -> list[Outcome | Again]:
        """Lock, read, decide in order, write; returns a result for each attempt."""
        claimed = keys.claim(
            [
                (one.command, one.subject)
                for one in self.attempts
                if isinstance(one.command, (PlaceHold, MakeCharge))
            ]
        )
        seen_holds = self._read_holds()
        asked = [self._asked(one.command, seen_holds) for one in self.attempts]
        self.locked = payers.lock(self._wanted(asked, claimed, seen_holds), skip_locked=self.skip_locked)
        self.holds = self._lock_holds(seen_holds)
        self.standings = standing.read(asked)
        guesses.learn(self.standings)
        self.counters = quotas.lock(self._counted(claimed))
        self.capped = ceilings.lock(self._under_budgets(claimed))
        earlier = replays.read([one.command for one in self.attempts], claimed)
        results = [self._decide(index, one, claimed, earlier) for index, one in enumerate(self.attempts)]
        self._write(
            [one.command for one, result in zip(self.attempts, results, strict=True) if _gives_up(result)],
            claimed,
        )
        return results

    @property
    def clock(self) -> datetime:
        """The ledger's time, read after the locks."""
        return next(stands.clock for stands in self.standings if stands is not None)

    def _decide(
        self, index: int, attempt: Attempt, claimed: set[keys.Key], earlier: replays.Earlier
    ) -> Outcome | Again:
        """Return one outcome; a refusal is an outcome, and moves nothing."""
        command, stands = attempt.command, self.standings[index]
        try:
            if stands is None:
                raise NotFound("There is no such organization or hold.")
            attempt.behind = self._behind(command, stands)
            if attempt.behind is not None:
                attempt.candidate = 0
                return self._again(attempt)
            if isinstance(command, EndHold):  # never refused for its key: the provider has been paid
                return holding.end(self, command, stands) or self._again(attempt)
            stands.refuse_key()
            if command.key in claimed:
                decided = spending.spend(self, attempt, command, stands)
            else:
                decided = replays.answer(earlier, command, stands)
        except DomainError as refusal:
            return refusal
        return decided or self._again(attempt)

    def _again(self, attempt: Attempt) -> Again:
        attempt.careful = True
        return Again(attempt)

    def _behind(self, command: Command, stands: Standing) -> int | None:
        """Return the pool to bring up to date before this is decided; a hold of a pool is nobody's allocation."""
        if not isinstance(command, EndHold):
            return stands.pool_behind(ends_hold=False)
        hold = self.holds.get(command.hold_id)
        return stands.pool_behind(ends_hold=True) if hold is not None and hold.pool_id is None else None

    def _read_holds(self) -> dict[UUID, Hold]:
        """Read the holds to end, without a lock: only to learn whose they are and who pays."""
        wanted = [one.command.hold_id for one in self.attempts if isinstance(one.command, EndHold)]
        return {hold.pk: hold for hold in Hold.objects.filter(pk__in=wanted)} if wanted else {}

    def _lock_holds(self, seen: dict[UUID, Hold]) -> dict[UUID, Hold]:
        if not seen:
            return {}
        found = Hold.objects.select_for_update(no_key=True, of=("self",), skip_locked=self.skip_locked)
        return {hold.pk: hold for hold in found.filter(pk__in=list(seen)).order_by("pk")}

    def _asked(self, command: Command, seen: dict[UUID, Hold]) -> Asked | None:
        """Return whose standing decides: for a hold its own member's, with the key of whoever ends it."""
        if not isinstance(command, EndHold):
            return Asked(command.organization_id, command.spender.user_id, command.spender.key_id)
        hold = seen.get(command.hold_id)
        return None if hold is None else Asked(hold.organization_id, hold.user_id, command.spender.key_id)

    def _wanted(
        self, asked: Sequence[Asked | None], claimed: set[keys.Key], seen: dict[UUID, Hold]
    ) -> list[payers.Ref]:
        """Return the payers to lock: guessed from the last time, or read. Either may be out of date; deciding looks again."""
        guessed = [self._guess(one, claimed, seen) for one in self.attempts]
        unsure = [one if guess is None else None for one, guess in zip(asked, guessed, strict=True)]
        wanted: list[payers.Ref] = []
        for attempt, guess, stands in zip(self.attempts, guessed, standing.read(unsure), strict=True):
            refs = (
                guess if guess is not None else [] if stands is None else self._payers(attempt, stands, seen)
            )
            attempt.waits_for = refs[-1] if refs else None
            wanted += refs
        return wanted

    def _guess(
        self, attempt: Attempt, claimed: set[keys.Key], seen: dict[UUID, Hold]
    ) -> list[payers.Ref] | None:
        """Return the payers without asking the database, or None where only reading tells."""
        command = attempt.command
        if isinstance(command, EndHold):
            hold = seen.get(command.hold_id)
            known = hold is None or (not attempt.careful and hold.credits)
            return (holding.payer_of(hold) if hold is not None else []) if known else None
        if command.key not in claimed:
            return []
        return None if attempt.careful else guesses.payers(command.organization_id, command.spender.user_id)

    def _payers(self, attempt: Attempt, stands: Standing, seen: dict[UUID, Hold]) -> list[payers.Ref]:
        command = attempt.command
        if isinstance(command, EndHold):
            return holding.payers_of(seen[command.hold_id], stands, captures=isinstance(command, CaptureHold))
        return spending.candidates_of(command, stands)[attempt.candidate : attempt.candidate + 1]

    def _counted(self, claimed: set[keys.Key]) -> list[quotas.Row]:
        """Return the quota counters that this round may change."""
        rows: list[quotas.Row] = []
        for attempt, stands in zip(self.attempts, self.standings, strict=True):
            if stands is None:
                continue
            if isinstance(attempt.command, EndHold):
                hold = self.holds.get(attempt.command.hold_id)
                if hold is not None and hold.counts and hold.status == Hold.Status.ACTIVE:
                    rows += quotas.rows_of_hold(hold.organization_id, hold.day)
            elif attempt.command.key in claimed:
                rows += [row for row, _ in quotas.rows_of(stands, spending.day_of(attempt.command, stands))]
        return rows

    def _under_budgets(self, claimed: set[keys.Key]) -> dict[ceilings.Row, int]:
        """Return the rows of hard budgets that this round may count in, of settlements too."""
        rows: dict[ceilings.Row, int] = {}
        for attempt, stands in zip(self.attempts, self.standings, strict=True):
            if stands is None or not stands.hard_budgets:
                continue
            if isinstance(attempt.command, EndHold):
                hold = self.holds.get(attempt.command.hold_id)
                rows |= holding.under_budgets(attempt.command, hold, stands) if hold is not None else {}
            elif attempt.command.key in claimed:
                rows |= spending.under_budgets(attempt.command, stands)
            if stands.shortfall_open:
                rows |= ceilings.all_rows(ceilings.of(stands), stands.day(stands.clock))
        return rows

    def use(self, usage: Usage, stands: Standing) -> None:
        """Keep a usage record for writing, and count it in the organization's hard budgets."""
        self.usage.append(usage)
        self.capped.use(ceilings.of(stands), usage)

    def _write(self, given_up: list[Command], claimed: set[keys.Key]) -> None:
        """Write everything that was decided, and announce the usage records once."""
        owing = {
            stands.organization_id: stands
            for stands in self.standings
            if stands is not None and stands.shortfall_open
        }
        for settlement in shortfalls.settle(self.locked, organizations=owing.keys()):
            self.use(settlement, owing[settlement.organization_id])
        payers.write(self.locked)
        LedgerEntry.objects.bulk_create(self.entries)
        books.insert_holds(self.new_holds)
        books.end_holds(self.ended_holds)
        quotas.write(self.counters)
        ceilings.write(self.capped)
        books.insert_usage(self.usage, counted=True)
        keys.forget([c.key for c in given_up if isinstance(c, (PlaceHold, MakeCharge)) and c.key in claimed])
        if self.usage:
            usage_recorded.send(sender=Round, records=self.usage)


def _gives_up(result: Outcome | Again) -> bool:
    return isinstance(result, (Again, DomainError))

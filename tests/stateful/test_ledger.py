"""The ledger against a plain model of it: thousands of steps, every balance compared and every law proved after each."""

import sys
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from credits.ledger import charging, holding, overdue, payers, shortfalls, standing
from credits.limits import ceilings
from credits.sharing import expiries, resets
from tests.stateful import budgeting
from tests.stateful.ceilings import CeilingsMachine
from tests.stateful.days import DaysMachine
from tests.stateful.machine import LedgerMachine
from tests.stateful.world import World

pytestmark = pytest.mark.django_db

STEPS = 5_000
STEPS_OF_A_STORY = 50


@pytest.fixture
def machine():
    class Machine(LedgerMachine):
        world = World()

    return Machine


def live(machine, *, stories, phases=(Phase.generate, Phase.shrink)):
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            print_blob=False,
            report_multiple_bugs=False,
            max_examples=stories,
            stateful_step_count=STEPS_OF_A_STORY,
            suppress_health_check=list(HealthCheck),
            phases=phases,
        ),
    )


def test_the_ledger_does_in_five_thousand_steps_what_the_model_says(machine):
    live(machine, stories=STEPS // 40 + 1)  # not every story is told to its end
    sys.stdout.write(f"{machine.steps:,} steps\n")
    assert machine.steps >= STEPS


def test_amounts_are_restored_day_by_day_as_the_model_says():
    class Machine(DaysMachine):
        world = World()
        resets: ClassVar[Counter[str]] = Counter()

        def teardown(self) -> None:
            for used, held, _, given, _, missing in self.books.resets.values():
                found = {"resets": True, "used": used, "held": held, "given": given, "short": missing}
                self.resets.update(name for name, one in found.items() if one)
            super().teardown()

    live(Machine, stories=12)
    sys.stdout.write(f"{Machine.steps:,} steps, {dict(Machine.resets)}\n")
    assert min(Machine.resets[kind] for kind in ("resets", "used", "held", "given", "short")) > 0


class Budgeted(CeilingsMachine):
    """Counts what becomes of spending under budgets."""

    found: ClassVar[Counter[str]] = Counter()

    def both(self, model, real):
        outcome = super().both(model, real)
        self.found[outcome[1] if isinstance(outcome[1], str) else "done"] += 1
        return outcome

    def teardown(self) -> None:
        for budget in self.books.budgets:
            starts = budgeting.periods(self.books, budget)
            over = any(sum(budgeting.taken(self.books, budget, one)) > budget.credits for one in starts)
            self.found["beyond"] += budget.is_hard and over
            self.found[budget.scope] += budget.is_hard
        super().teardown()


def test_budgets_let_through_what_the_model_says():
    class Machine(Budgeted):
        world = World()

    Machine.found.clear()
    live(Machine, stories=12)
    sys.stdout.write(f"{Machine.steps:,} steps, {dict(Machine.found)}\n")
    wanted = ("budget_exceeded", "beyond", "organization", "department", "member", "model")
    assert min(Machine.found[kind] for kind in wanted) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (overdue, "of_budget", lambda ceiling, starts_on: []),
        (ceilings.Counts, "refuse", lambda self, standing, by, day, needed: None),
        (ceilings.Counts, "hold", lambda self, of, hold, credits: None),
        (ceilings, "count", lambda records: None),
    ],
    ids=[
        "overdue holds keep budgets",
        "hard is soft",
        "holds are not counted",
        "corrections are not counted",
    ],
)
def test_a_broken_budget_is_found(monkeypatch, module, name, wrong):
    """Negative control of the stories under budgets."""

    class Machine(Budgeted):
        world = World()

    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        live(Machine, stories=60, phases=[Phase.generate])
    sys.stdout.write(f"found within {Machine.steps:,} steps\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (shortfalls, "settle", lambda locked, *, organizations: []),
        (overdue, "of_payer", lambda payer: []),
        (payers, "most_of", lambda row, cost: min(cost, max(payers.free(row), 0))),
        (holding, "LATE_CAPTURE", charging.MOST_TOGETHER * holding.LATE_CAPTURE),
    ],
    ids=["debts stay open", "overdue holds keep credits", "no overdraft", "captures for ever"],
)
def test_a_rule_that_is_broken_is_found(machine, monkeypatch, module, name, wrong):
    """Negative control: the machine is awake."""
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        live(machine, stories=1_000, phases=[Phase.generate])  # ends at the first that shows it
    sys.stdout.write(f"found within {machine.steps:,} steps\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (resets, "due_refs", lambda pool_ids, *, at: []),
        (expiries, "over_refs", lambda pool_ids, *, at: []),
        (standing.Standing, "pool_behind", lambda self, *, ends_hold: None),
    ],
    ids=["nothing resets", "nothing ends", "spent of a period that is over"],
)
def test_a_rule_of_periods_that_is_broken_is_found(monkeypatch, module, name, wrong):
    """Negative control of the days."""

    class Machine(DaysMachine):
        world = World()

    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        live(Machine, stories=60, phases=[Phase.generate])
    sys.stdout.write(f"found within {Machine.steps:,} steps\n")

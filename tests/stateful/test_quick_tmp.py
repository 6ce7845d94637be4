"""The ledger against a plain model of it: thousands of steps, every balance compared and every law proved after each."""

import sys

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from credits.ledger import charging, holding, overdue, payers, shortfalls
from tests.stateful.machine import LedgerMachine
from tests.stateful.world import World

pytestmark = pytest.mark.django_db

STEPS = 900
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
            derandomize=False,
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
    live(machine, stories=STEPS // 45 + 1)  # not every story is told to its end
    sys.stdout.write(f"{machine.steps:,} steps\n")
    assert machine.steps >= STEPS


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
        live(machine, stories=150, phases=[Phase.generate])
    sys.stdout.write(f"found within {machine.steps:,} steps\n")


from collections import Counter

STATS = Counter()
_old = LedgerMachine.teardown


def teardown(self):
    STATS["stories"] += 1
    for row in self.books.resets.values():
        STATS["resets"] += 1
        STATS["given"] += bool(row[3])
        STATS["returned"] += bool(row[4])
        STATS["short"] += bool(row[5])
        STATS["held"] += bool(row[1])
    for s in self.books.shares.values():
        STATS["shares"] += 1
        STATS["expired"] += s.closed_at is not None and s.expires_at is not None
        STATS["period " + s.period] += 1
    STATS["days"] += self.books.offset // 86400
    with open("/tmp/stateful.stats", "w") as f:
        f.write(str(STATS) + " steps " + str(type(self).steps))
    _old(self)


LedgerMachine.teardown = teardown
for name in ("allocate_on_terms", "move_the_clock", "bring_up_to_date", "allocate"):

    def wrap(name=name, old=getattr(LedgerMachine, name)):
        def f(self, *a, **k):
            STATS[name] += 1
            return old(self, *a, **k)

        return f


from tests.stateful import sharing as _s

_o = _s.allocate


def counted(books, shares, terms=_s.KEPT):
    STATS["model allocate"] += 1
    STATS["with terms"] += terms is not _s.KEPT
    try:
        return _o(books, shares, terms)
    except Exception as e:
        STATS["refused " + str(e)] += 1
        raise


_s.allocate = counted

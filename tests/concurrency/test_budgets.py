"""Hard budgets at the edge: never a credit beyond them, whoever pays; and made beside traffic they begin exactly."""

import json
import time
from decimal import Decimal
from functools import partial
from threading import Thread

import pytest
from django.db import transaction

from credits.ledger import charging, combining, reconcile, statements
from credits.ledger.commands import Settled
from credits.ledger.rounds import Attempt, Round
from credits.limits import beginnings, budgets, ceilings
from kit.errors import TryAgain
from orgs.access import pages
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import in_another_session, race, tally, until_known, wait_for_a_lock
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

WORKERS = 100


def spend(settle, command):
    return lambda: until_known(lambda: settle(command))


def mixed(team, users, count, **terms):
    """Return holds and charges of 1 credit, from allocations and from the pool."""
    return [(make.hold, make.charge)[n % 2](team, [*users, None][n % 9], 1, **terms) for n in range(count)]


@pytest.fixture
def team():
    return make.team(5000)


@pytest.fixture
def users(team):
    return [make.member(team, 200) for _ in range(8)]


@pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])
def test_a_hundred_workers_of_all_payers_never_go_beyond_it(team, users, settle, deadlocks):
    budget, daily = make.budget(team, 40), make.budget(team, 1000, period="day")
    outcomes = race([spend(settle, command) for command in mixed(team, users, WORKERS)])
    assert tally(outcomes) == {"done": 40, "budget_exceeded": 60}
    assert sum(make.taken(budget)) == sum(make.taken(daily)) == 40
    assert deadlocks() == 0


def test_without_the_lock_they_go_beyond_it(monkeypatch, team, users):
    """Negative control: the same race with rows that are read but not locked."""
    budget = make.budget(team, 20)
    make.charged(team, None, 1)

    def unlocked(rows):
        wanted = json.dumps([{"b": key, "d": day.isoformat()} for key, day in rows])
        found = statements.rows(
            "SELECT u.budget_id, u.starts_on, u.used + u.held FROM credits_budgetusage u"
            " JOIN json_to_recordset(%s::json) AS v(b bigint, d date) ON v.b = u.budget_id AND v.d = u.starts_on",
            wanted,
        )
        time.sleep(0.02)
        return ceilings.Counts({(key, day): taken for key, day, taken in found}, organizations=dict(rows))

    monkeypatch.setattr(ceilings, "lock", unlocked)
    race([spend(charging.settle_one, command) for command in mixed(team, users, 60)])
    assert sum(make.taken(budget)) > 20


def test_one_that_is_made_waits_for_spends_in_flight_and_counts_them(team, users):
    budget = spend_in_flight_while_a_budget_is_made(team, users[0])
    assert make.taken(budget) == (7, 0)


@pytest.mark.breaks_the_ledger("a budget that did not wait has not counted what was in flight")
def test_without_the_lock_on_payers_it_misses_them(monkeypatch, team, users):
    """Negative control of the test above and of the law."""
    monkeypatch.setattr(beginnings, "lock_payers", lambda organization: None)
    budget = spend_in_flight_while_a_budget_is_made(team, users[0])
    assert make.taken(budget) == (0, 0)
    assert "budget usage" in {one.law for one in reconcile.prove(organization=team)}


def spend_in_flight_while_a_budget_is_made(team, user):
    """Charge 7 credits without committing, begin to make a budget, then commit the charge."""
    made = []

    def in_flight():
        [outcome] = Round([Attempt(make.charge(team, user, 7))], skip_locked=False).run()
        assert isinstance(outcome, Settled)

    with in_another_session(in_flight) as commit:
        maker = Thread(target=lambda: made.extend(race([lambda: make.budget(team, 100)])))
        maker.start()
        while maker.is_alive():
            try:
                wait_for_a_lock(seconds=0.3)
            except AssertionError:
                continue
            break
        commit()
        maker.join(timeout=10)
    return made[0]


def test_those_that_are_made_and_changed_beside_traffic_are_exact(team, users, deadlocks):
    """80 holds, captures, reversals and a debt beside budgets that come, harden and soften; the laws hold after it."""
    soft = make.budget(team, 60, is_hard=False, user=users[0])

    def live(n):
        placed = until_known(lambda: combining.submit(make.hold(team, [*users, None][n % 9], 2)))
        if not isinstance(placed, Settled):
            return placed
        command = make.capture(placed.hold.pk, 1500 if n == 30 else 3)
        captured = until_known(lambda: combining.submit(command))
        if n % 7 == 0:
            tried(lambda: make.reversal(captured.charge.id))
        return captured

    def manage():
        made = [
            tried(lambda: make.budget(team, 5000)),
            tried(lambda: change(soft, is_hard=True)),
            tried(lambda: make.budget(team, 100, period="day", user=users[1])),
            tried(lambda: change(soft, is_hard=False)),
        ]
        tried(lambda: change(soft, is_hard=True))
        return made[0]

    budget, *outcomes = race([manage, *(partial(live, n) for n in range(80))])
    assert set(tally(outcomes)) <= {"done", "shortfall_open", "budget_exceeded", "insufficient_credits"}
    assert sum(make.taken(budget)) > 0
    assert deadlocks() == 0


def change(budget, *, is_hard):
    with transaction.atomic():
        return budgets.change(budget=budget, credits=Decimal(60), is_hard=is_hard, by=SYSTEM)


def tried(act):
    """Do it as an entry point does: a lock that was waited for too long is a reason to try again."""

    def once():
        try:
            with pages.decided():
                return act()
        except TryAgain as busy:
            return busy

    return until_known(once)

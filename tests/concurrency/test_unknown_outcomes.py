"""What fails together is decided alone; what fails at COMMIT is unknown, and only the keyed retry tells."""

import time
from threading import Event, Thread

import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from credits.ledger import charging, combining
from credits.ledger.rounds import Round
from credits.models import UsageRecord
from kit.errors import TryAgain
from tests.concurrency.racing import race, tally, until_known
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture
def team():
    return make.team(100)


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_that_fails_is_unknown_and_a_keyed_retry_has_one_effect(team, monkeypatch, committed):
    commit, failed = DatabaseWrapper._commit, []

    def fail(self):
        if committed or failed:
            commit(self)
        if not failed:
            failed.append(self)
            raise OperationalError("server closed the connection unexpectedly")

    commands = [make.charge(team, None, 5, key=f"k{n}") for n in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(DatabaseWrapper, "_commit", fail)
        outcomes = charging.settle(commands)
    assert [type(one) for one in outcomes] == [TryAgain] * 3
    assert tally(charging.settle(commands)) == {"replayed" if committed else "done": 3}
    assert make.pool(team).available == 85


def test_through_the_combiner_a_failing_commit_is_unknown_for_all_who_waited(team, monkeypatch):
    broken = {"left": 3}
    commit = DatabaseWrapper._commit

    def fail_at_first(self):
        if broken["left"] and self.savepoint_ids == [] and UsageRecord.objects.exists():
            broken["left"] -= 1
            commit(self)
            raise OperationalError("server closed the connection unexpectedly")
        commit(self)

    commands = [make.charge(team, None, 1, key=f"k{n}") for n in range(30)]
    with monkeypatch.context() as patch:
        patch.setattr(DatabaseWrapper, "_commit", fail_at_first)
        outcomes = race([lambda one=one: combining.submit(one) for one in commands])
    assert set(tally(outcomes)) <= {"done", "try_again"}
    assert tally(outcomes)["try_again"] >= 1
    known = race([lambda one=one: until_known(lambda: combining.submit(one)) for one in commands])
    assert tally(known) == {"replayed": 30}
    assert make.pool(team).available == 70


def test_a_batch_that_fails_together_is_decided_one_by_one(team, monkeypatch):
    run, sizes = Round.run, []

    def fail_together(self):
        sizes.append(len(self.attempts))
        if len(self.attempts) > 1:
            raise OperationalError("together it breaks")
        return run(self)

    monkeypatch.setattr(Round, "run", fail_together)
    outcomes = charging.settle([make.charge(team), make.charge(make.team(0)), make.charge(team)])
    assert tally(outcomes) == {"done": 2, "insufficient_credits": 1}
    assert sizes[0] == 3
    assert make.pool(team).available == 98


def test_a_poisonous_request_harms_nobody_else(team, monkeypatch):
    run = Round.run

    def break_on_poison(self):
        if any(one.command.service == "poison" for one in self.attempts):
            raise ZeroDivisionError
        return run(self)

    monkeypatch.setattr(Round, "run", break_on_poison)
    commands = [make.charge(team, service="poison" if n == 4 else "llm") for n in range(10)]
    outcomes = race([lambda one=one: combining.submit(one) for one in commands])
    assert tally(outcomes) == {"done": 9, "internal_error": 1}
    assert make.pool(team).available == 91


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_leader_that_is_stopped_leaves_nobody_asleep(team, monkeypatch, error):
    run, stopped = Round.run, []

    def stop_one(self):
        if len(self.attempts) > 2 and not stopped:
            stopped.append(len(self.attempts))
            raise error
        return run(self)

    monkeypatch.setattr(Round, "run", stop_one)
    for _ in range(10):
        outcomes = race([lambda: combining.submit(make.charge(team, None, "0.1")) for _ in range(30)])
        if stopped:
            break
    assert stopped
    assert tally(outcomes)["done"] == 29
    assert [one for one in outcomes if isinstance(one, error)]


def test_a_connection_that_was_lost_before_is_found_anew(team):
    def spend():
        charging.settle_one(make.charge(team, None, 1))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        killed.append(pid)
        lost.wait(timeout=10)
        connection.health_check_done = True  # as within one request, which has looked already
        first = charging.settle_one(make.charge(team, None, 1, key="lost"))
        connection.close_if_unusable_or_obsolete()
        return [first, charging.settle_one(make.charge(team, None, 1, key="lost"))]

    killed, found, lost = [], [], Event()
    thread = Thread(target=lambda: found.extend(race([spend])))
    thread.start()
    while not killed:
        time.sleep(0.01)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", killed)
    lost.set()
    thread.join(timeout=20)
    assert tally(found[0]) == {"done": 1, "replayed": 1}
    assert make.pool(team).available == 98

"""Proving and rebuilding beside traffic: no false alarm, and no figure lost."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from django.db import connection, transaction

from credits.ledger import combining, rebuilding, reconcile
from credits.ledger.commands import Settled
from credits.models import UsageRecord
from kit import transactions
from kit.errors import TryAgain
from orgs.audit.events import SYSTEM
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

SECONDS = 4.0


@pytest.fixture
def team():
    return make.team(100_000)


class Traffic:
    """What threads do again and again: spend, hold, capture, give back, share out, grant. `failed` has what broke."""

    def __init__(self, team) -> None:
        self.team = team
        self.users = [make.member(team, 1_000) for _ in range(3)]
        self.over = Event()
        self.failed: list[BaseException] = []

    def repeat(self, act: Callable[[int], object]) -> None:
        try:
            for number in itertools.count():
                if self.over.is_set():
                    return
                act(number)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failed.append(error)
        finally:
            connection.close()

    def spend(self, number: int) -> None:
        who = self.users[number % 3] if number % 4 else None
        submit(make.charge(self.team, who, number % 3, service=f"service {number % 5}"))

    def hold(self, number: int) -> None:
        placed = submit(make.hold(self.team, self.users[number % 3], 2))
        if placed is not None and placed.hold is not None:
            submit(make.capture(placed.hold.pk, 3) if number % 2 else make.release(placed.hold.pk))

    def take_back(self, number: int) -> None:
        charged = submit(make.charge(self.team, None, 5))
        if charged is not None and charged.charge is not None:
            charge = charged.charge.id
            unless_busy(lambda: make.reversal(charge, 2))

    def share(self, number: int) -> None:
        unless_busy(lambda: make.grant(self.team, 10, reference=f"more {number}"))
        unless_busy(lambda: make.allocate(self.team, self.users[number % 3], 1_000 + number % 7))


@contextmanager
def traffic(team) -> Iterator[list[BaseException]]:
    """Let threads spend until the block ends; yields what failed."""
    going = Traffic(team)
    acts = (going.spend, going.hold, going.take_back, going.share)
    threads = [Thread(target=going.repeat, args=(act,), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield going.failed
    finally:
        going.over.set()
        for thread in threads:
            thread.join(timeout=30)


def unless_busy(act: Callable[[], object]) -> None:
    """Do it; where the database says "not now", as it may while everything is rebuilt, the next one comes soon."""
    try:
        act()
    except Exception as error:
        if not transactions.is_busy(error):
            raise


def submit(command) -> Settled | None:
    outcome = combining.submit(command)
    if isinstance(outcome, TryAgain):
        return None
    if not isinstance(outcome, Settled):
        raise outcome
    return outcome


def for_a_while(act: Callable[[], object], seconds: float = SECONDS, *, at_least: int = 6) -> int:
    """Do it again and again for so long, and on a busy machine longer, until it was done often enough."""
    end, times = time.monotonic() + seconds, 0
    while time.monotonic() < end or times < at_least:
        act()
        times += 1
    return times


def test_proving_beside_traffic_gives_no_false_alarm(team, deadlocks):
    alarms = []
    with traffic(team) as failed:
        for_a_while(lambda: alarms.extend(reconcile.prove(organization=team)))
    assert alarms == []
    assert failed == []
    assert UsageRecord.objects.count() > 20
    assert deadlocks() == 0


def count_by_hand(team) -> bool:
    """Compare as somebody would who sends one query after the other; true where the two agree."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT spent FROM credits_creditpool WHERE organization_id = %s", [team.pk])
        [[kept]] = cursor.fetchall()
        cursor.execute(
            "SELECT coalesce(sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END), 0)"
            " FROM credits_usagerecord WHERE organization_id = %s AND pool_id IS NOT NULL",
            [team.pk],
        )
        [[counted]] = cursor.fetchall()
    return bool(kept == counted)


def test_without_the_snapshot_it_does_alarm(team, monkeypatch):
    """Negative control: the same queries, on one snapshot and on none, or the test above sees nothing."""

    def prove() -> bool:
        with reconcile.snapshot():
            return count_by_hand(team)

    with_snapshot, without = [], []
    with traffic(team) as failed:
        for_a_while(lambda: with_snapshot.append(prove()))
        monkeypatch.setattr(reconcile, "_take_snapshot", lambda: None)
        for_a_while(lambda: without.append(prove()))
    assert failed == []
    assert all(with_snapshot)
    assert not all(without)


def test_a_snapshot_writes_nothing_and_may_take_its_time(team):
    with reconcile.snapshot(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("repeatable read",)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("5s",), "afterwards the session has its limit again"


def test_inside_another_transaction_there_is_no_snapshot_to_prove_on(team):
    with transaction.atomic(), pytest.raises(RuntimeError):
        reconcile.prove(organization=team)


def test_rebuilding_beside_traffic_loses_nothing(team, deadlocks):
    def break_and_rebuild() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credits_dailyusage SET credits = credits + 1, requests = 0 WHERE service LIKE 'service _'"
            )
            cursor.execute("UPDATE credits_allocation SET spent = spent + 1")
        unless_busy(rebuild)

    def rebuild() -> None:
        with transactions.durable():
            rebuilding.rebuild(organization=team, by=SYSTEM)

    with traffic(team) as failed:
        for_a_while(break_and_rebuild)
    rebuild()
    assert failed == []
    assert list(reconcile.prove_all()) == []
    assert deadlocks() == 0

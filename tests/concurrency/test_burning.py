"""Burning beside burning, charging and reversing: nothing is assigned twice, and never more than was spent."""

import time
from datetime import timedelta
from threading import Thread, local

import pytest
from django.db import connection
from django.db.models import Sum

from credits.ledger import burndown, charging, combining, reconcile
from credits.models import GrantBalance
from kit import transactions
from tests.concurrency.racing import in_another_session, race, tally, until_known, wait_for_a_lock
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


def burn(team):
    with transactions.durable():
        return burndown.burn(organization_ids=[team.pk])


def consumed(team):
    return GrantBalance.objects.filter(organization=team).aggregate(sum=Sum("consumed"))["sum"]


def spent_team():
    """Make a team that spent 60 of four grants of 25, unburned."""
    team = make.team()
    for _ in range(4):
        make.grant(team, 25)
    user = make.member(team, 40)
    make.charged(team, user, 35)
    make.charged(team, None, 25)
    return team


def test_many_burns_at_once_assign_what_was_spent_once(deadlocks):
    team = spent_team()
    race([lambda: burn(team)] * 12)
    assert [one.consumed for one in GrantBalance.objects.order_by("grant__created_at")] == [25, 25, 10, 0]
    assert deadlocks() == 0


def test_a_burn_waits_for_the_one_before_it_and_finds_its_work_done():
    team = spent_team()
    with in_another_session(lambda: burndown.burn(organization_ids=[team.pk])) as commit:
        waiting = race_one(lambda: burn(team))
        wait_for_a_lock()
        commit()
    waiting()
    assert consumed(team) == 60


@pytest.mark.parametrize(
    "is_locked",
    [
        True,
        pytest.param(
            False, marks=pytest.mark.breaks_the_ledger("without the lock more is used than was spent")
        ),
    ],
)
def test_a_slow_burn_beside_a_reversal_uses_no_more_than_was_spent_thanks_to_its_lock(monkeypatch, is_locked):
    """With its negative control: without the lock the burn writes what it read before the reversal."""
    team = spent_team()
    charge = make.charged(team, None, 15)
    read, slow = burndown._burn, local()

    def slowly(wanted, rows, **terms):
        found = read(wanted, rows if is_locked else GrantBalance.objects.all(), **terms)
        time.sleep(1 if getattr(slow, "here", False) else 0)
        return found

    def burn_slowly():
        slow.here = True
        burn(team)

    def reverse_meanwhile():
        time.sleep(0.3)
        make.reversal(charge)

    monkeypatch.setattr(burndown, "_burn", slowly)
    assert race([burn_slowly, reverse_meanwhile]) == [None, None]
    broken = {one.law for one in reconcile.prove(organization=team)}
    assert ("grants are used by what was spent" in broken) is not is_locked
    assert (consumed(team) == 60) is is_locked


@pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])
def test_charges_go_on_while_grants_burn(settle, deadlocks):
    team = make.team(100)
    users = [make.member(team, 20) for _ in range(3)]
    charges = [make.charge(team, users[n % 3] if n % 4 else None, 1) for n in range(40)]
    acts = [lambda one=one: until_known(lambda: settle(one)) for one in charges]
    outcomes = race([*acts, *[lambda: burn(team)] * 8])
    assert tally(outcomes[:40]) == {"done": 40}
    burn(team)
    assert (consumed(team), deadlocks()) == (40, 0)


def test_a_charge_does_not_wait_for_a_burn():
    team = make.team(100)
    make.charged(team, None, 10)
    with in_another_session(lambda: burndown.burn(organization_ids=[team.pk])):
        make.charged(team, None, 5)
    burn(team)
    assert consumed(team) == 15


def test_burns_beside_reversals_never_use_more_than_was_spent(deadlocks):
    team = make.team()
    for _ in range(5):
        make.grant(team, 20)
    charges = [make.charged(team, None, 5) for _ in range(20)]
    burn(team)
    acts = [lambda one=one: make.reversal(one, 3) for one in charges]
    outcomes = race([*acts, *[lambda: burn(team)] * 10])
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert (consumed(team), make.pool(team).spent, deadlocks()) == (40, 40, 0)


def test_grants_expiries_charges_and_burns_side_by_side_keep_the_books(deadlocks):
    team = make.team(200)
    users = [make.member(team, 30) for _ in range(3)]
    for _ in range(3):
        make.grant(team, 50, lives=timedelta(seconds=3))
    time.sleep(3)
    acts = [
        *[lambda n=n: until_known(lambda: charging.settle_one(make.charge(team, users[n % 3], 1))) for n in range(20)],
        *[lambda: make.expire_grants(team)] * 4,
        *[lambda: make.grant(team, 7)] * 4,
        *[lambda: burn(team)] * 4,
    ]  # fmt: skip
    outcomes = race(acts)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert deadlocks() == 0
    burn(team)
    assert consumed(team) == 20


def race_one(act):
    """Start an act on a thread of its own; returns what waits for its end."""

    def run():
        try:
            act()
        finally:
            connection.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread.join

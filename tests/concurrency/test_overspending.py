"""A hundred workers on one payer never spend more than there is; without the lock they do."""

import pytest

from credits.ledger import charging, combining, reconcile
from credits.ledger.commands import Settled
from tests.concurrency.racing import race, tally, until_known, without_locks
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

WORKERS = 100
ways = pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])
commands = pytest.mark.parametrize("command", [make.charge, make.hold], ids=["charges", "holds"])


def spend(settle, command):
    return lambda: until_known(lambda: settle(command))


@ways
@commands
def test_a_hundred_workers_on_one_allocation_never_spend_more_than_it_has(settle, command):
    team = make.team(200)
    user = make.member(team, 40)
    outcomes = race([spend(settle, command(team, user, 1)) for _ in range(WORKERS)])
    assert tally(outcomes) == {"done": 40, "insufficient_credits": 60}
    own = make.allocation(team, user)
    assert (own.remaining, own.held + own.used) == (0, 40)
    assert make.pool(team).available == 160


@ways
def test_a_hundred_workers_on_one_pool_never_spend_more_than_it_has(settle):
    team = make.team("40.5")
    users = [make.member(team) for _ in range(5)]
    outcomes = race([spend(settle, make.charge(team, users[n % 5], 1)) for n in range(WORKERS)])
    assert tally(outcomes) == {"done": 40, "insufficient_credits": 60}
    assert str(make.pool(team).available) == "0.500000"


def test_amounts_of_all_sizes_never_spend_more_than_there_is_and_leave_nothing_that_fits():
    team = make.team(1000)
    costs = [(n * 37) % 60 + 1 for n in range(WORKERS)]
    outcomes = race([spend(combining.submit, make.charge(team, None, cost)) for cost in costs])
    taken = sum(one.charge.credits for one in outcomes if isinstance(one, Settled))
    refused = [cost for cost, one in zip(costs, outcomes, strict=True) if not isinstance(one, Settled)]
    assert taken == 1000 - make.pool(team).available <= 1000
    assert all(cost > make.pool(team).available for cost in refused)


@pytest.mark.breaks_the_ledger("without the lock credits are spent twice, which is the point")
@pytest.mark.parametrize("kind", ["pool", "allocation"])
def test_without_the_lock_they_overspend(monkeypatch, kind):
    """Negative control: the same race must break the books, or the tests above see nothing."""
    team = make.team(200 if kind == "allocation" else 10)
    user = make.member(team, 10 if kind == "allocation" else None)
    without_locks(monkeypatch)
    outcomes = race([spend(charging.settle_one, make.charge(team, user, 1)) for _ in range(40)])
    assert tally(outcomes)["done"] > 10
    assert {one.law for one in reconcile.prove(organization=team)} >= {f"{kind} balances", "conservation"}


def test_many_allocations_side_by_side_never_spend_more_than_each_has(deadlocks):
    team = make.team(1000)
    users = [make.member(team, 7) for _ in range(10)]
    outcomes = race([spend(combining.submit, make.charge(team, users[n % 10], 1)) for n in range(WORKERS)])
    assert tally(outcomes) == {"done": 70, "insufficient_credits": 30}
    assert {make.allocation(team, user).remaining for user in users} == {0}
    assert deadlocks() == 0

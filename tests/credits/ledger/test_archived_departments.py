"""Holds that end after their department was archived: what comes back goes on to the organization's pool, at once."""

import pytest

from credits.models import CreditPool, LedgerEntry, Shortfall
from kit import transactions
from orgs import departments
from orgs.audit.events import SYSTEM
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make.team(1000)


@pytest.fixture
def department(team):
    return make.department(team, 200)


def archive(department):
    with transactions.durable():
        departments.archive(department=department, by=SYSTEM)


def figures(pool):
    return pool.available, pool.held, pool.spent


@pytest.fixture(params=["the pool's", "an allocation's"])
def hold(request, team, department):
    """A hold of 50 that the department's pool pays, or an allocation from it."""
    user = make.member(team, 80 if request.param == "an allocation's" else None, department=department)
    return make.held(team, user, 50, ttl=60)


def test_a_release_returns_to_the_organization(team, department, hold):
    archive(department)
    assert make.pool(team).available == 950
    make.settled(make.release(hold))
    assert figures(make.pool(department)) == (0, 0, 0)
    assert figures(make.pool(team)) == (1000, 0, 0)
    assert LedgerEntry.objects.filter(kind="transfer", target_pool=make.pool(team), amount=50).count() == 1


def test_a_capture_takes_its_cost_and_returns_the_rest_to_the_organization(team, department, hold):
    archive(department)
    charge = make.captured(hold, 20).charge
    assert (charge.credits, charge.shortfall) == (20, 0)
    assert make.pool(department).available == 0
    assert make.pool(team).available == 980


def test_expiry_returns_to_the_organization(team, department, hold):
    archive(department)
    with make.later("2 minutes"):
        make.settled(make.expire(hold))
    assert (make.pool(department).available, make.pool(team).available) == (0, 1000)


def test_many_ends_in_one_batch_return_all(team, department, hold):
    user = make.member(team, None, department=department)
    holds = [hold, *(make.held(team, user, 10) for _ in range(3))]
    archive(department)
    outcomes = make.settle(
        make.capture(holds[0], 5), make.capture(holds[1], 4), *map(make.release, holds[2:])
    )
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert (make.pool(department).available, make.pool(team).available) == (0, 991)


def test_what_returns_settles_what_the_organization_owes(team, department, hold):
    archive(department)
    make.captured(make.held(team, None, 950), 980)
    assert Shortfall.objects.get().settled == 0
    make.settled(make.release(hold))
    assert Shortfall.objects.get().settled == 30
    assert make.pool(team).available == 20


def test_a_department_that_lives_keeps_what_comes_back(team, department):
    """Negative control."""
    user = make.member(team, None, department=department)
    make.settled(make.release(make.held(team, user, 50)))
    assert (make.pool(department).available, make.pool(team).available) == (200, 800)
    assert CreditPool.objects.filter(held__gt=0).count() == 0

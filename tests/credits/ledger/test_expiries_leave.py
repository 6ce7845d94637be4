"""What an expiry leaves alone although the pool has it: credits in holds, and grants whose time has not come."""

from datetime import timedelta

import pytest

from credits.ledger import expiries
from kit import transactions
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def expire(team):
    with transactions.durable():
        return expiries.expire(organization=team)


def test_credits_in_holds_stay_also_where_the_pool_has_others():
    team = make.team(50)
    make.grant(team, 100, lives=DAY)
    make.held(team, None, 90, ttl=24 * 3600 + 600)
    with make.later("1 day"):
        assert expire(team) == 10
    assert (make.pool(team).available, make.pool(team).held) == (50, 90)


def test_a_grant_whose_time_has_not_come_stays_beside_one_that_is_over():
    team = make.team()
    make.grant(team, 10, lives=DAY)
    later = make.grant(team, 20, lives=2 * DAY)
    with make.later("1 day"):
        assert expire(team) == 10
    assert (make.pool(team).available, make.left(later)) == (20, 20)

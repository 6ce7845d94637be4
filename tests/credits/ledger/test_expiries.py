"""What is left of a grant when its time is over (product.md §6 «Expiry»)."""

from datetime import timedelta

import pytest

from credits.ledger import expiries
from credits.models import GrantBalance, LedgerEntry
from kit.errors import ValidationError
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def taken(team):
    """Return what expiring took, and from where."""
    rows = LedgerEntry.objects.filter(organization=team, kind="expire")
    return {(row.source_pool_id, row.source_allocation_id, row.amount) for row in rows}


class TestAGrantThatIsOver:
    def test_takes_what_is_unspent_from_the_pool(self):
        team = make.team()
        make.grant(team, 100, lives=DAY)
        make.charged(team, None, 30)
        with make.later("1 day"):
            assert make.expire_grants(team) == 70
        assert (make.pool(team).available, make.pool(team).spent) == (0, 30)

    def test_lives_until_its_time(self):
        team = make.team()
        make.grant(team, 100, lives=DAY)
        with make.later("23 hours 59 minutes"):
            assert make.expire_grants(team) == 0
        assert make.pool(team).available == 100

    def test_takes_from_departments_and_allocations_largest_first_an_entry_each(self):
        team = make.team()
        make.grant(team, 100, lives=DAY)
        part = make.department(team, 25)
        small, large = make.member(team, 15), make.member(team, 50)
        make.charged(team, large, 5)
        with make.later("1 day"):
            assert make.expire_grants(team) == 95
        own, theirs = make.pool(team), make.pool(part)
        assert taken(team) == {
            (own.pk, None, 10),
            (None, make.allocation(team, large).pk, 45),
            (theirs.pk, None, 25),
            (None, make.allocation(team, small).pk, 15),
        }
        assert (own.available, theirs.available, make.allocation(team, large).remaining) == (0, 0, 0)

    def test_takes_the_pool_first_and_then_the_largest_and_leaves_the_others_whole(self):
        team = make.team(60)
        make.grant(team, 40, lives=DAY)
        small, large = make.member(team, 25), make.member(team, 45)
        part = make.department(team, 15)
        with make.later("1 day"):
            assert make.expire_grants(team) == 40
        own = make.allocation(team, large)
        assert taken(team) == {(make.pool(team).pk, None, 15), (None, own.pk, 25)}
        assert (own.remaining, make.allocation(team, small).remaining, make.pool(part).available) == (
            20,
            25,
            15,
        )

    def test_takes_nothing_from_a_pool_in_its_overdraft(self):
        team = make.team()
        make.grant(team, 50, lives=DAY)
        make.overdraft(team, 100)
        user = make.member(team, 50)
        make.captured(make.held(team, user, 10), 10)
        make.grant(team, 5)
        make.captured(make.held(team, None, 5), 25)
        with make.later("1 day"):
            assert make.expire_grants(team) == 15  # of 50, 35 were spent
        assert (make.pool(team).available, make.allocation(team, user).remaining) == (-20, 25)

    def test_leaves_other_grants_whole(self):
        team = make.team()
        other = make.grant(team, 40, source="purchase")
        make.grant(team, 100, lives=DAY)
        make.charged(team, None, 30)
        with make.later("1 day"):
            assert make.expire_grants(team) == 70
        assert (make.pool(team).available, make.left(other)) == (40, 40)

    def test_is_in_the_audit_log(self):
        team = make.team()
        make.grant(team, 100, lives=DAY)
        with make.later("1 day"):
            make.expire_grants(team)
        assert AuditEvent.objects.get(action="credits.expired").after["credits"] == "100"

    def test_expires_once(self):
        team = make.team(10)
        make.grant(team, 100, lives=DAY)
        with make.later("1 day"):
            make.expire_grants(team)
            assert make.expire_grants(team) == 0
        assert make.pool(team).available == 10

    @pytest.mark.django_db(transaction=True)
    def test_is_found_by_the_job(self):
        team = make.team()
        make.grant(team, 100, lives=DAY)
        with make.later("1 day"):
            assert (expiries.expire_due(), expiries.expire_due()) == (1, 0)
        assert make.pool(team).available == 0

    def test_cannot_be_granted_with_a_time_that_is_past(self):
        team = make.team()
        with pytest.raises(ValidationError):
            make.grant(team, 10, lives=-DAY)


class TestCreditsInHolds:
    @pytest.fixture
    def held(self):
        """A team with 100 credits of a day, 30 of them held; a day later all that is free has expired."""
        team = make.team()
        make.grant(team, 100, lives=DAY)
        hold = make.held(team, None, 30, ttl=24 * 3600 + 600)
        with make.later("1 day"):
            assert make.expire_grants(team) == 70
        return team, hold

    def test_expire_when_the_hold_ends_uncaptured(self, held):
        team, hold = held
        with make.later("1 day"):
            make.settled(make.release(hold))
            assert make.expire_grants(team) == 30
        assert make.pool(team).available == 0

    def test_are_used_when_the_hold_is_captured(self, held):
        team, hold = held
        with make.later("1 day"):
            make.captured(hold, 30)
            assert make.expire_grants(team) == 0
        assert GrantBalance.objects.get(organization=team).consumed == 30

    def test_of_another_grant_keep_nothing_of_this_one(self):
        team = make.team()
        make.grant(team, 100, source="promotion")
        make.grant(team, 100, source="purchase", lives=DAY)
        make.held(team, None, 30, ttl=24 * 3600 + 600)
        with make.later("1 day"):
            assert make.expire_grants(team) == 100
        assert make.pool(team).available == 70

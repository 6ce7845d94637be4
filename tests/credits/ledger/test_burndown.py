"""Of which grants spent credits were: by priority, then earliest expiry, then age (product.md §6 «Burn-down»)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from credits.ledger import burndown
from credits.models import CreditPool, Grant, GrantBalance
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

DAY, WEEK = timedelta(days=1), timedelta(days=7)


class TestBurning:
    def test_uses_presents_before_what_was_paid_for(self):
        team = make.team()
        bought, gift = make.grant(team, 100, source="purchase"), make.grant(team, 10, source="goodwill")
        make.charged(team, None, 30)
        make.burn(team)
        assert (make.left(gift), make.left(bought)) == (0, 80)

    def test_uses_what_expires_first_and_then_what_is_oldest(self):
        team = make.team()
        never, old = make.grant(team, 10), make.grant(team, 10, lives=WEEK)
        young, soon = make.grant(team, 10, lives=WEEK), make.grant(team, 10, lives=DAY)
        make.charged(team, None, 25)
        make.burn(team)
        assert [make.left(one) for one in (soon, old, young, never)] == [0, 0, 5, 10]

    def test_obeys_a_priority_that_was_said(self):
        team = make.team()
        last, first = make.grant(team, 10, priority=99), make.grant(team, 10, source="purchase", priority=1)
        make.charged(team, None, 4)
        make.burn(team)
        assert (make.left(first), make.left(last)) == (6, 10)

    def test_waits_for_the_burn_since_a_charge_touches_no_grant(self):
        team = make.team()
        grant = make.grant(team, 10)
        make.charged(team, None, 4)
        assert make.left(grant) == 10

    def test_counts_what_allocations_and_departments_spent(self):
        team = make.team(100)
        grant = Grant.objects.get(organization=team)
        member = make.member(team, 40)
        other = make.member(team, department=make.department(team, 30))
        make.charged(team, member, 5)
        make.charged(team, other, 7)
        make.burn(team)
        assert make.left(grant) == 88

    def test_twice_assigns_nothing_twice(self):
        team = make.team(100)
        make.charged(team, None, 30)
        make.burn(team)
        make.burn(team)
        assert GrantBalance.objects.get(organization=team).consumed == 30

    def test_in_two_halves_is_one_burn(self):
        team = make.team()
        grants = [make.grant(team, 10) for _ in range(3)]
        make.charged(team, None, 13)
        make.burn(team)
        make.charged(team, None, "4.5")
        make.burn(team)
        assert [make.left(one) for one in grants] == [0, Decimal("2.5"), 10]

    def test_leaves_what_an_overdraft_spent_to_the_next_grant(self):
        team = make.team(10)
        make.overdraft(team, 50)
        make.captured(make.held(team, None, 10), 25)
        make.burn(team)
        second = make.grant(team, 100)
        make.burn(team)
        assert (make.pool(team).available, make.left(second)) == (85, 85)

    def test_leaves_held_credits_alone(self):
        team = make.team(10)
        make.held(team, None, 4)
        make.burn(team)
        assert GrantBalance.objects.get(organization=team).left == 10

    def test_comes_first_when_credits_are_granted(self):
        team = make.team()
        old = make.grant(team, 10, source="purchase")
        make.charged(team, None, 4)
        make.grant(team, 10, source="promotion")
        assert make.left(old) == 6

    @pytest.mark.django_db(transaction=True)
    def test_of_all_finds_who_spent_lately(self):
        teams = [make.team(10) for _ in range(3)]
        for team in teams[:2]:
            make.charged(team, None, 4)
        assert burndown.burn_due() == 2
        assert [GrantBalance.objects.get(organization=team).left for team in teams] == [6, 6, 10]


class TestAReversal:
    def test_gives_back_to_the_grant_that_was_used_last(self):
        team = make.team()
        first, second = make.grant(team, 10, source="goodwill"), make.grant(team, 10, source="purchase")
        charge = make.charged(team, None, 14)
        make.burn(team)
        make.reversal(charge, 6)
        assert (make.left(first), make.left(second)) == (2, 10)

    def test_after_its_grant_expired_comes_back_as_goodwill_of_thirty_days(self):
        team = make.team()
        gone = make.grant(team, 100, lives=DAY)
        charge = make.charged(team, None, 30)
        with make.later("2 days"):
            make.expire_grants(team)
            make.reversal(charge, 20)
            returned = Grant.objects.get(organization=team, source="goodwill")
            assert (returned.credits, (returned.expires_at - returned.created_at).days) == (20, 30)
            assert (make.pool(team).available, make.left(gone), make.left(returned)) == (20, 0, 20)
            assert GrantBalance.objects.get(pk=gone.pk).expired == 90
        with make.later("33 days"):
            make.expire_grants(team)
            assert make.pool(team).available == 0

    def test_before_the_burn_changes_no_grant(self):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        make.reversal(charge)
        assert GrantBalance.objects.get(organization=team).left == 100


@pytest.mark.breaks_the_ledger("a cache of what was spent is lowered by SQL")
def test_a_cache_that_says_too_little_was_spent_gives_nothing_back():
    team = make.team()
    grant = make.grant(team, 100, lives=timedelta(days=1))
    make.charged(team, None, 30)
    make.burn(team)
    CreditPool.objects.filter(organization=team).update(spent=10)
    with make.later("2 days"):
        make.burn(team)
    assert GrantBalance.objects.get(pk=grant.pk).consumed == 30
    assert not Grant.objects.filter(organization=team, source="goodwill").exists()

"""Which payer pays: product.md §6, in every mode of shared spending."""

import pytest

from credits.ledger.payers import InsufficientCredits
from orgs.audit.events import SYSTEM
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def payer(outcome):
    return outcome.payer.kind, outcome.payer.remaining


def refusal(outcome):
    assert isinstance(outcome, InsufficientCredits), outcome
    assert (outcome.code, outcome.status) == ("insufficient_credits", 402)
    return outcome.details["limit"]


class TestAllocation:
    def test_pays_for_its_member_and_leaves_the_pool_alone(self):
        team = make.team(100)
        user = make.member(team, 30)
        settled = make.settled(make.charge(team, user, 10))
        assert payer(settled) == ("allocation", 20)
        assert make.pool(team).available == 70
        own = make.allocation(team, user)
        assert (own.remaining, own.used, own.spent, own.held) == (20, 10, 10, 0)

    def test_refuses_more_than_it_has_and_moves_nothing(self):
        team = make.team(100)
        user = make.member(team, 30)
        [outcome] = make.settle(make.hold(team, user, "30.000001"))
        assert refusal(outcome) == {
            "kind": "allocation",
            "scope": team.public_id,
            "needed": "30.000001",
            "remaining": "30",
            "resets_at": None,
        }
        assert make.allocation(team, user).remaining == 30

    def test_gives_its_last_credit(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.held(team, user, 30)
        own = make.allocation(team, user)
        assert (own.remaining, own.held) == (0, 30)

    @pytest.mark.parametrize("mode", ["never", "without_allocation", "always"])
    def test_when_revoked_is_a_limit_of_nothing_in_every_mode(self, mode):
        team = make.team(100, shared_spending=mode)
        user = make.member(team, 30)
        make.revoke(team, user)
        [outcome] = make.settle(make.charge(team, user, 1))
        assert refusal(outcome)["kind"] == "allocation"
        assert make.pool(team).available == 100

    @pytest.mark.parametrize("mode", ["never", "without_allocation"])
    def test_when_exhausted_is_a_limit_of_nothing(self, mode):
        team = make.team(100, shared_spending=mode)
        user = make.member(team, 5)
        make.charged(team, user, 5)
        [outcome] = make.settle(make.charge(team, user, 1))
        assert refusal(outcome) | {"scope": ""} == {
            "kind": "allocation",
            "scope": "",
            "needed": "1",
            "remaining": "0",
            "resets_at": None,
        }

    def test_of_another_organization_never_pays(self):
        rich, poor = make.team(100), make.team(shared_spending="never")
        user = make.member(rich, 50)
        make.orgs.member(poor, who=user)
        [outcome] = make.settle(make.charge(poor, user, 1))
        assert refusal(outcome)["remaining"] == "0"
        assert make.allocation(rich, user).remaining == 50


class TestWithoutAllocation:
    def test_never_shared_refuses(self):
        team = make.team(100, shared_spending="never")
        [outcome] = make.settle(make.charge(team, make.member(team), 1))
        assert refusal(outcome)["remaining"] == "0"

    @pytest.mark.parametrize("mode", ["without_allocation", "always"])
    def test_the_organizations_pool_pays(self, mode):
        team = make.team(100, shared_spending=mode)
        assert payer(make.settled(make.charge(team, make.member(team), 1))) == ("pool", 99)

    @pytest.mark.parametrize("mode", ["without_allocation", "always"])
    def test_the_pool_of_a_funded_department_pays_first(self, mode):
        team = make.team(100, shared_spending=mode)
        department = make.department(team, 40)
        user = make.member(team, department=department)
        assert payer(make.settled(make.charge(team, user, 10))) == ("pool", 30)
        assert make.pool(department).available == 30
        assert make.pool(team).available == 60

    def test_a_department_without_a_pool_leaves_it_to_the_organizations(self):
        team = make.team(100)
        user = make.member(team, department=make.department(team))
        assert payer(make.settled(make.charge(team, user, 10))) == ("pool", 90)

    def test_a_member_of_a_funded_department_is_limited_to_its_pool(self):
        team = make.team(100)
        user = make.member(team, department=make.department(team, 40))
        [outcome] = make.settle(make.hold(team, user, 41))
        assert refusal(outcome)["kind"] == "pool"
        assert refusal(outcome)["remaining"] == "40"

    def test_after_a_move_the_other_departments_pool_pays(self):
        team = make.team(100)
        first, second = make.department(team, 40), make.department(team, 20)
        user = make.member(team, department=first)
        make.charged(team, user, 1)
        make.orgs.memberships.move(membership=make.membership(team, user), department=second, by=SYSTEM)
        assert payer(make.settled(make.charge(team, user, 1))) == ("pool", 19)


class TestAlways:
    def test_the_organizations_pool_pays_what_an_allocation_cannot(self):
        team = make.team(100, shared_spending="always")
        user = make.member(team, 10)
        assert payer(make.settled(make.charge(team, user, 11))) == ("pool", 79)
        assert make.allocation(team, user).remaining == 10

    def test_one_request_is_paid_by_one_payer(self):
        team = make.team(20, shared_spending="always")
        user = make.member(team, 10)
        [outcome] = make.settle(make.charge(team, user, 15))
        assert refusal(outcome)["needed"] == "15"
        assert make.allocation(team, user).remaining == make.pool(team).available == 10

    def test_allocation_then_department_then_organization(self):
        team = make.team(100, shared_spending="always")
        department = make.department(team, 30)
        user = make.member(team, 10, department=department)
        assert make.pool(department).available == 20
        make.charged(team, user, 10)
        make.charged(team, user, 20)
        make.charged(team, user, 30)
        assert (make.allocation(team, user).remaining, make.pool(department).available) == (0, 0)
        assert make.pool(team).available == 40


class TestLettingSpendFromThePool:
    def test_removes_the_limit(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.revoke(team, user, limited=False)
        assert payer(make.settled(make.charge(team, user, 1))) == ("pool", 99)

    def test_a_new_allocation_is_a_limit_again(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.revoke(team, user, limited=False)
        make.allocate(team, user, 5)
        [outcome] = make.settle(make.charge(team, user, 6))
        assert refusal(outcome)["remaining"] == "5"


class TestOrganizationItself:
    def test_spends_from_its_own_pool_even_where_members_may_not(self):
        team = make.team(100, shared_spending="never")
        make.department(team, 40)
        assert payer(make.settled(make.charge(team, None, 10))) == ("pool", 50)

    def test_is_refused_by_the_pool(self):
        [outcome] = make.settle(make.charge(make.team(5), None, 6))
        assert refusal(outcome)["kind"] == "pool"

    def test_a_personal_organization_pays_from_its_pool(self):
        user = make.orgs.user()
        personal = make.orgs.organizations.personal_for(user=user)
        make.grant(personal, 10)
        assert payer(make.settled(make.charge(personal, user, 4))) == ("pool", 6)

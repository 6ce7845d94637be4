"""Giving back a charge, whole or part, once (product.md §6 «Reversal»)."""

from decimal import Decimal
from uuid import uuid4

import pytest

from credits.ledger.keys import IdempotencyConflict
from credits.models import DailyUsage, QuotaUsage, Shortfall, UsageRecord
from kit.errors import NotFound, ValidationError
from orgs import departments
from orgs.audit.events import SYSTEM
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


class TestReversal:
    def test_of_a_whole_charge_returns_all_of_it(self):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        done = make.reversal(charge)
        assert (make.pool(team).available, make.pool(team).spent) == (100, 0)
        assert (done.reversal.corrects, done.reversal.credits, done.reversal.reason) == (
            charge,
            30,
            "a mistake",
        )

    def test_of_a_part_returns_that_part(self):
        team = make.team(100)
        make.reversal(make.charged(team, None, 30), "0.000001")
        assert make.pool(team).available == Decimal("70.000001")

    def test_again_with_the_same_figures_answers_the_first(self):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        first = make.reversal(charge, 10)
        again = make.reversal(charge, "10.0")
        assert (again.replayed, again.reversal.pk) == (True, first.reversal.id)
        assert make.pool(team).available == 80

    @pytest.mark.parametrize("credits", [None, 5, 30])
    def test_again_with_other_figures_is_refused(self, credits):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        make.reversal(charge, 10)
        with pytest.raises(IdempotencyConflict):
            make.reversal(charge, credits)
        assert make.pool(team).available == 80

    @pytest.mark.parametrize("credits", ["0", "-1", "30.000001", "NaN"])
    def test_of_more_than_it_cost_or_of_nothing_is_refused(self, credits):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        with pytest.raises(ValidationError):
            make.reversal(charge, credits)
        assert make.pool(team).available == 70

    def test_of_a_free_charge_is_refused(self):
        with pytest.raises(ValidationError):
            make.reversal(make.charged(make.team(), None, 0))

    def test_of_a_reversal_or_of_nothing_is_not_found(self):
        charge = make.charged(make.team(100), None, 30)
        reversal = make.reversal(charge).reversal
        for unknown in (reversal.id, uuid4()):
            with pytest.raises(NotFound):
                make.reversal(unknown)

    def test_of_a_charge_of_another_organization_is_not_found(self):
        charge = make.charged(make.team(100), None, 30)
        with pytest.raises(NotFound):
            make.reversal(charge, organization=make.team(100))

    def test_takes_it_off_the_rollup_and_does_not_return_the_quota(self):
        team = make.team(100, unlimited=False)
        make.limit_calls(team, day=5)
        make.reversal(make.charged(team, None, 30), 12)
        assert (DailyUsage.objects.get().credits, DailyUsage.objects.get().requests) == (18, 1)
        assert QuotaUsage.objects.get(period="day").used == 1

    def test_lies_on_its_own_day(self):
        team = make.team(100)
        charge = make.charged(team, None, 30)
        with make.later("3 days"):
            reversal = make.reversal(charge).reversal
        assert (reversal.day - UsageRecord.objects.get(pk=charge).day).days == 3


class TestWhereItReturns:
    def test_to_the_open_allocation_of_the_same_period(self):
        team = make.team(100)
        user = make.member(team, 30)
        make.reversal(make.charged(team, user, 10), 4)
        own = make.allocation(team, user)
        assert (own.remaining, own.used, own.spent, own.allocated) == (24, 6, 6, 30)

    def test_to_the_pool_of_a_closed_allocation(self):
        team = make.team(100)
        user = make.member(team, 30)
        charge = make.charged(team, user, 10)
        make.revoke(team, user)
        make.reversal(charge)
        assert (make.pool(team).available, make.allocation(team, user).remaining) == (100, 0)

    def test_to_the_pool_when_the_charge_lies_in_an_earlier_period(self):
        team = make.team(100)
        user = make.member(team, 30)
        charge = make.charged(team, user, 10)
        make.revoke(team, user)
        make.allocate(team, user, 20)
        make.reversal(charge)
        own = make.allocation(team, user)
        assert (own.allocated, own.used, make.pool(team).available) == (20, 0, 80)

    @pytest.mark.parametrize("is_open", [True, False])
    def test_to_the_pool_that_fed_the_allocation_then_wherever_it_comes_from_now(self, is_open):
        team = make.team(200)
        department = make.department(team)
        user = make.member(team, 50, department=department)
        charge = make.charged(team, user, 40)
        make.fund(department, 50)
        make.allocate(team, user, 10)
        later = make.charged(team, user, 10)
        if not is_open:
            make.revoke(team, user)
        make.reversal(charge)
        assert (make.pool(team).available, make.pool(department).available) == (150, 40)
        make.reversal(later)
        own = make.allocation(team, user).remaining
        assert (make.pool(team).available, make.pool(department).available + own) == (150, 50)

    def test_to_the_departments_pool_that_paid(self):
        team = make.team(100)
        department = make.department(team, 40)
        make.reversal(make.charged(team, make.member(team, department=department), 10))
        assert make.pool(department).available == 40

    @pytest.mark.parametrize("credits", [None, 15])
    def test_to_the_organizations_pool_when_the_department_is_archived(self, credits):
        team = make.team(100)
        department = make.department(team, 40)
        user = make.member(team, credits, department=department)
        charge = make.charged(team, user, 10)
        departments.archive(department=department, by=SYSTEM)
        make.reversal(charge)
        assert (make.pool(team).available, make.pool(department).available) == (100, 0)


class TestShortfall:
    def test_is_forgiven_first(self):
        team = make.team(10)
        charge = make.captured(make.held(team, None, 10), 30).charge.id
        reversal = make.reversal(charge, 15).reversal
        assert (reversal.credits, reversal.shortfall, reversal.cost) == (0, 15, 15)
        assert make.pool(team).available == 0
        owed = Shortfall.objects.get()
        assert (owed.amount, owed.forgiven) == (20, 15)

    def test_then_what_was_taken_returns(self):
        team = make.team(10)
        charge = make.captured(make.held(team, None, 10), 30).charge.id
        make.reversal(charge)
        assert make.pool(team).available == 10
        assert Shortfall.objects.get().forgiven == 20

    def test_that_was_settled_returns_to_the_pool_that_settled_it(self):
        team = make.team(20)
        user = make.member(team, 10)
        charge = make.captured(make.held(team, user, 10), 14).charge.id
        assert make.pool(team).available == 6
        make.reversal(charge)
        assert (make.pool(team).available, make.allocation(team, user).remaining) == (10, 10)
        assert make.reversal(charge).replayed

    def test_of_another_charge_is_settled_by_what_returns(self):
        team = make.team(20)
        first = make.charged(team, None, 15)
        make.captured(make.held(team, None, 5), 12)
        make.reversal(first)
        assert (make.pool(team).available, Shortfall.objects.get().settled) == (8, 7)

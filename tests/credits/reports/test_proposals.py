"""Proposals: what somebody needs by what their days took, who gets which, and applying them in one transaction."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from credits import amounts
from credits.ledger.payers import InsufficientCredits
from credits.models import Budget, DailyUsage, Refusal
from credits.reports import needs, proposals
from credits.reports.proposals import Accepted
from credits.reports.proposed import Proposals, Why
from kit.errors import Conflict, DomainError, ValidationError
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Organization, User
from tests.factories import credits as make

CREDITS = st.decimals(min_value=0, max_value=1000, places=6)


def days(*credits: object) -> list[Decimal]:
    return [Decimal(str(one)) for one in credits]


class TestNeeds:
    def test_nine_of_ten_spans_fit_into_what_is_needed(self):
        assert needs.need(by_day=days(*[10] * 91), span=30) == 300
        assert needs.need(by_day=days(*[0] * 90, 900), span=1) == 0  # one day in 91 is not a need
        assert needs.need(by_day=days(*range(1, 11)), span=1) == 9
        assert needs.need(by_day=days(*[10] * 28), span=30) == 300  # 28 days are scaled up

    @given(
        by_day=st.lists(CREDITS, min_size=1, max_size=91), span=st.sampled_from([1, 7, 30]), credits=CREDITS
    )
    def test_a_replay_refuses_what_lies_beyond_the_amount_of_each_period(self, by_day, span, credits):
        periods = [by_day[at : at + span] for at in range(0, len(by_day), span)]
        beyond = sum(max(sum(one) - credits, Decimal(0)) for one in periods)
        assert needs.refused(by_day=by_day, span=span, credits=credits) == beyond

    def test_a_budget_is_the_mean_month_and_twice_its_spread(self):
        assert needs.budget(by_day=days(*[100] * 60)) == 3000
        assert needs.budget(by_day=days(*[50, 150] * 30)) == 3550  # 3,000 + 2 × 50 × √30 = 3,547.7

    @given(st.decimals(min_value="0.000001", max_value=10**9, places=6))
    def test_a_tidy_amount_is_the_next_one_that_people_would_choose(self, amount):
        tidy = amounts.tidy(amount)
        assert amount <= tidy <= max(amount * Decimal("1.05"), amount + 1)
        assert tidy == tidy.to_integral_value()
        assert len(str(int(tidy)).rstrip("0")) <= 3
        assert amounts.tidy(tidy) == tidy


@pytest.fixture
def team(db: None) -> Organization:
    return make.team(10_000)


def used(team: Organization, user: User, a_day: object, *, days: int = 90, department: int = 0) -> None:
    today = datetime.now(UTC).date()
    DailyUsage.objects.bulk_create(
        DailyUsage(
            organization=team, day=today - timedelta(days=back), user_id=user.pk, department_id=department,
            service="llm", requests=1, credits=Decimal(str(a_day)),
        )
        for back in range(1, days + 1)
    )  # fmt: skip


def found(team: Organization) -> Proposals:
    return proposals.find(organization=team, now=datetime.now(UTC))


@pytest.mark.breaks_the_ledger("days of use are made up")
def test_who_runs_out_gets_more_and_who_leaves_credits_unused_less(team):
    short, rich, right, idle, lump, bitten = (make.member(team) for _ in range(6))
    for user, credits in ((short, 200), (rich, 2000), (right, 340), (idle, 500), (bitten, 400)):
        make.allocate(team, user, credits, reset_period="monthly")
        if user is not idle:
            used(team, user, 10)
    make.allocate(team, lump, 1000)  # never comes again
    used(team, lump, 2)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    Refusal.objects.create(
        organization=team, user=bitten, member=bitten.pk, code="insufficient_credits", limit="allocation",
        hour=hour, count=12, first_at=hour, last_at=hour,
    )  # fmt: skip
    answer = found(team)
    by_user = {one.user_id: one for one in answer.members}
    assert answer.basis.days == 90
    assert by_user.keys() == {one.public_id for one in (short, rich, lump, bitten)}
    # 30 days took 300; a tenth on top
    assert (by_user[short.public_id].why, by_user[short.public_id].credits) == (Why.RUNS_OUT, 330)
    assert (by_user[rich.public_id].why, by_user[rich.public_id].credits) == (Why.UNUSED, 330)
    assert by_user[lump.public_id].credits == 66
    # 400 did not do: a quarter on top
    assert by_user[bitten.public_id].credits == 500
    assert by_user[bitten.public_id].sentence.endswith("400 is set. 12 requests were refused.")
    assert by_user[short.public_id].sentence == (
        "Nine times of ten, 30 days took at most 300 credits; 200 is set. "
        "300 credits of the past use would not have fitted into it."
    )
    assert by_user[short.public_id].refused == 0


@pytest.mark.breaks_the_ledger("days of use are made up")
def test_it_says_when_there_is_too_little_to_go_by(team):
    user = make.member(team, 100)
    used(team, user, 10, days=27)
    answer = found(team)
    assert (answer.basis.days, answer.basis.is_enough, answer.members) == (27, False, [])
    assert found(make.team(0)).basis.days == 0


@pytest.mark.breaks_the_ledger("days of use are made up")
def test_departments_get_a_budget_unless_one_fits_or_is_hard(team):
    part = make.department(team)
    used(team, make.member(team, department=part), 100, department=part.pk)
    [proposed] = found(team).departments
    assert (proposed.department_id, proposed.now, proposed.credits) == (part.public_id, None, 3000)
    apply(team, departments={part.public_id: proposed.credits})
    budget = Budget.objects.get()
    assert (budget.credits, budget.period, budget.is_hard) == (3000, "month", False)
    assert found(team).departments == []
    Budget.objects.update(credits=2000)
    [proposed] = found(team).departments
    assert proposed.now == 2000
    apply(team, departments={part.public_id: proposed.credits})
    assert Budget.objects.get().credits == 3000
    Budget.objects.update(credits=2000, is_hard=True)
    assert found(team).departments == []
    with pytest.raises(Conflict, match="hard budget"):
        apply(team, departments={part.public_id: proposed.credits})
    assert Budget.objects.get().is_hard


def apply(team: Organization, members=None, departments=None):
    with transaction.atomic():
        accepted = Accepted(members=members or {}, departments=departments or {})
        return proposals.apply(organization=team, accepted=accepted, by=SYSTEM)


class TestApplying:
    def test_lowered_ones_pay_for_raised_ones(self, team):
        first, second = make.member(team, 9000), make.member(team, 1000)
        given, _ = apply(team, {second.public_id: Decimal(5000), first.public_id: Decimal(4000)})
        assert [row.allocated for row in given] == [4000, 5000]
        assert make.pool(team).available == 1000
        assert AuditEvent.objects.filter(action="credits.allocated", target=second.public_id).count() == 2

    def test_one_refusal_undoes_all(self, team):
        part, user, other = make.department(team), make.member(team, 100), make.member(team, 100)
        terms = {user.public_id: Decimal(200), other.public_id: Decimal(50_000)}
        with pytest.raises(InsufficientCredits):
            apply(team, terms, {part.public_id: Decimal(10)})
        make.charged(team, other, 60)
        with pytest.raises(DomainError, match="used or held"):
            apply(team, {user.public_id: Decimal(200), other.public_id: Decimal(50)})
        with pytest.raises(ValidationError):
            apply(team, {user.public_id: Decimal(200)}, {"dep_unknown": Decimal(10)})
        assert make.allocation(team, user).allocated == 100
        assert not Budget.objects.exists()

    def test_nothing_and_strangers_are_refused(self, team):
        closed = make.member(team, 100)
        make.revoke(team, closed)
        for members in ({}, {closed.public_id: Decimal(1)}, {"usr_unknown": Decimal(1)}):
            with pytest.raises(ValidationError):
                apply(team, members)

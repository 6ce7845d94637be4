"""Budgets: what a hard one counts, refuses and lets pass, what a soft one tells, and who changed them (product.md §9)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from credits.ledger import checking, holds, statements
from credits.ledger.commands import Settled
from credits.limits import budgets
from credits.limits.ceilings import BudgetExceeded
from credits.models import Budget, BudgetUsage
from credits.pricing.costs import CreditsCost
from kit.errors import AlreadyExists, NotFound, ValidationError
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db


def at(moment: datetime):
    """Live from that moment on, by the ledger's clock."""
    return make.later(f"{(moment - datetime.now(UTC)).total_seconds()} seconds")


def move(team, time_zone):
    """Give the organization another time zone."""
    Organization.objects.filter(pk=team.pk).update(time_zone=time_zone)
    team.refresh_from_db()


def on(model, cost):
    """Return a cost that a model came to."""
    return CreditsCost(Decimal(cost), model=model)


def change(budget, credits, *, is_hard=True):
    with transaction.atomic():
        return budgets.change(budget=budget, credits=Decimal(credits), is_hard=is_hard, by=SYSTEM)


def archive(budget):
    with transaction.atomic():
        budgets.archive(budget=budget, by=SYSTEM)


@pytest.fixture
def team():
    return make.team(1000)


class TestHard:
    def test_lets_through_to_the_last_credit_and_refuses_what_goes_beyond(self, team):
        budget = make.budget(team, 10)
        make.charged(team, None, 4)
        make.held(team, None, 6)
        outcomes = make.settle(make.charge(team, None, "0.000001"), make.hold(team, None, 0))
        assert isinstance(outcomes[0], BudgetExceeded)
        assert isinstance(outcomes[1], Settled), "what costs nothing needs no budget"
        assert make.taken(budget) == (4, 6)
        assert make.pool(team).available == 990

    def test_refusal_says_which_limit_bit_what_remains_and_until_when(self, team):
        Organization.objects.filter(pk=team.pk).update(time_zone="America/New_York")
        make.budget(team, 10, period="week")
        make.charged(team, None, 7)
        [refusal] = make.settle(make.charge(team, None, 5))
        assert (refusal.code, refusal.status) == ("budget_exceeded", 402)
        limit = refusal.details["limit"]
        resets = datetime.fromisoformat(limit.pop("resets_at"))
        assert limit == {"kind": "budget", "scope": "organization", "needed": "5", "remaining": "3"}
        assert resets > datetime.now(UTC)
        assert resets - datetime.now(UTC) <= timedelta(days=7, hours=1)
        assert "the week's budget of the organization has 3 left" in refusal.message

    @pytest.mark.parametrize("scope", ["department", "member", "model"])
    def test_counts_and_refuses_only_its_own(self, team, scope):
        department = make.department(team)
        user, other = make.member(team, department=department), make.member(team)
        subject = {
            "department": {"department": department},
            "member": {"user": user},
            "model": {"model": "house-7"},
        }
        budget = make.budget(team, 10, **subject[scope])
        make.charged(team, user, on("house-7", 8))
        make.charged(team, other, on("other", 50))
        [refusal, passed] = make.settle(
            make.charge(team, user, on("house-7", 3)), make.charge(team, other, on("other", 3))
        )
        assert isinstance(refusal, BudgetExceeded)
        assert isinstance(passed, Settled)
        names = {
            "department": department.public_id,
            "member": user.public_id,
            "model": "house-7",
        }
        assert refusal.details["limit"]["scope"] == f"{scope} {names[scope]}"
        assert make.taken(budget) == (8, 0)

    def test_of_several_the_one_with_least_left_is_named(self, team):
        make.budget(team, 20)
        make.budget(team, 12, period="day")
        make.charged(team, None, 11)
        [refusal] = make.settle(make.charge(team, None, 10))
        assert refusal.details["limit"]["remaining"] == "1"
        assert "day's" in refusal.message

    def test_is_exact_inside_a_batch_and_takes_no_quota_for_a_refusal(self):
        team = make.team(100, unlimited=False)
        make.limit_calls(team, day=3)
        make.budget(team, 2)
        outcomes = make.settle(*(make.charge(team) for _ in range(4)))
        assert [isinstance(one, BudgetExceeded) for one in outcomes] == [False, False, True, True]
        assert isinstance(make.settle(make.charge(team, None, 0))[0], Settled)

    def test_is_exceeded_by_captures_and_by_calls_that_have_happened(self, team):
        budget = make.budget(team, 10)
        make.captured(make.held(team, None, 10), 25)
        make.charged(team, None, 5, after_the_fact=True)
        assert make.taken(budget) == (30, 0)
        [state] = budgets.states(organization=team, now=datetime.now(UTC))
        assert (state.percent, state.remaining) == (Decimal("300.0"), -20)

    def test_holds_leave_it_when_they_end(self, team):
        budget = make.budget(team, 10, model="house-7")
        released, captured, expired = (
            make.held(team, None, on("house-7", cost), ttl=60) for cost in (2, 3, 4)
        )
        assert make.taken(budget) == (0, 9)
        make.settled(make.release(released))
        make.captured(captured, 1)
        with make.later("2 minutes"):
            holds.expire_due()
            make.captured(expired, 5)  # late
        assert make.taken(budget) == (6, 0)

    def test_what_overdue_holds_reserve_of_it_is_free_again_without_the_sweeper(self, team):
        user = make.member(team, 100)
        budget = make.budget(team, 10, user=user)
        make.held(team, user, 10, ttl=60)
        [refusal] = make.settle(make.charge(team, user, 5))
        assert isinstance(refusal, BudgetExceeded)
        with make.later("2 minutes"):
            make.charged(team, user, 5)
            assert make.taken(budget) == (5, 0)

    def test_gets_back_what_a_reversal_gives_back(self, team):
        budget = make.budget(team, 10)
        charge = make.charged(team, None, 10)
        make.reversal(charge, 4)
        make.charged(team, None, 4)
        assert make.taken(budget) == (10, 0)

    def test_counts_a_debt_when_it_is_settled(self, team):
        budget = make.budget(team, 2000)
        make.captured(make.held(team, None, 1000), 1100)
        assert make.taken(budget) == (1000, 0)
        make.grant(team, 500)
        assert make.taken(budget) == (1100, 0)

    def test_a_debt_that_a_release_settles_counts_too(self, team):
        budget = make.budget(team, 2000)
        freed = make.held(team, None, 100)
        make.captured(make.held(team, None, 900), 950)
        make.settled(make.release(freed))
        assert make.taken(budget) == (950, 0)

    def test_begins_with_what_its_period_has_used_and_holds(self, team):
        make.charged(team, None, 6)
        make.held(team, None, 3)
        budget = make.budget(team, 10)
        assert make.taken(budget) == (6, 3)
        [refusal] = make.settle(make.charge(team, None, 2))
        assert refusal.details["limit"]["remaining"] == "1"

    def test_begins_anew_with_its_period_and_a_hold_counts_where_it_was_placed(self, team):
        Organization.objects.filter(pk=team.pk).update(time_zone="America/New_York")
        midnight = datetime(2027, 3, 15, 4, tzinfo=UTC)  # the day before had 23 hours
        with at(midnight - timedelta(seconds=30)):
            budget = make.budget(team, 10, period="day")
            assert budget.since == date(2027, 3, 12)
            hold = make.held(team, None, 9)
            [refusal] = make.settle(make.charge(team, None, 2))
            assert datetime.fromisoformat(refusal.details["limit"]["resets_at"]) == midnight
        with at(midnight):
            make.charged(team, None, 8)
            make.captured(hold, 9)
            rows = BudgetUsage.objects.order_by("starts_on").values_list("starts_on", "used", "held")
            assert list(rows) == [(date(2027, 3, 14), 0, 0), (date(2027, 3, 15), 17, 0)]

    def test_a_call_that_happened_before_it_began_does_not_count(self, team):
        budget = make.budget(team, 10, period="day")
        make.charged(team, None, 5, after_the_fact=True, occurred_at=statements.clock() - timedelta(days=3))
        assert make.taken(budget) == (0, 0)
        assert not BudgetUsage.objects.exists()

    def test_begins_with_what_lies_on_tomorrow_where_the_time_zone_moved_west(self, team):
        move(team, "Pacific/Auckland")
        with at(datetime(2027, 6, 10, 15, tzinfo=UTC)):  # 11 June there
            make.charged(team, None, 7)
            make.held(team, None, 2, ttl=86_400)
            move(team, "America/Los_Angeles")
            budget = make.budget(team, 10, period="day")
            assert make.taken(budget) == (0, 0)
        with at(datetime(2027, 6, 11, 12, tzinfo=UTC)):  # 11 June here too
            assert make.taken(budget) == (7, 2)
            [refusal] = make.settle(make.charge(team, None, 2))
            assert refusal.details["limit"]["remaining"] == "1"

    def test_begins_with_a_call_that_is_dated_just_after_midnight(self, team):
        midnight = datetime(2027, 6, 11, tzinfo=UTC)
        with at(midnight - timedelta(seconds=30)):
            ahead = midnight + timedelta(seconds=10)
            make.charged(team, None, 7, after_the_fact=True, occurred_at=ahead)
            budget = make.budget(team, 10, period="day")
        with at(midnight + timedelta(seconds=30)):
            assert make.taken(budget) == (7, 0)

    @pytest.mark.parametrize("period", ["day", "week", "month"])
    def test_refuses_after_the_time_zone_moved_as_far_west_as_there_is(self, team, period):
        move(team, "Etc/GMT-14")
        with at(datetime(2027, 2, 28, 10, 30, tzinfo=UTC)):  # Monday, 1 March there
            make.budget(team, 10, period=period)
            move(team, "Etc/GMT+12")  # Saturday, 27 February there
            assert isinstance(make.settle(make.charge(team, None, 11))[0], BudgetExceeded)
            make.charged(team, None, 10)

    def test_what_comes_back_of_yesterday_may_be_spent_today_and_shows_as_nothing_used(self, team):
        noon = datetime(2027, 6, 10, 12, tzinfo=UTC)
        with at(noon):
            budget = make.budget(team, 10, period="day")
            charge = make.charged(team, None, 9)
        with at(noon + timedelta(days=1)):
            make.reversal(charge)
            [state] = budgets.states(organization=team, now=statements.clock())
            assert (state.used, state.percent, state.remaining) == (-9, Decimal("0.0"), 19)
            assert isinstance(make.settle(make.charge(team, None, 20))[0], BudgetExceeded)
            make.charged(team, None, 19)
            assert make.taken(budget) == (10, 0)

    def test_check_says_it_beforehand_and_counts_nothing(self, team):
        budget = make.budget(team, 10)
        assert checking.check(make.hold(team, None, 10)).refusal is None
        refusal = checking.check(make.hold(team, None, 11)).refusal
        assert isinstance(refusal, BudgetExceeded)
        assert make.taken(budget) == (0, 0)

    def test_an_organization_without_one_writes_no_row(self, team):
        make.budget(team, 1, is_hard=False)
        make.charged(team, None, 5)
        assert not BudgetUsage.objects.exists()


class TestSoft:
    def test_refuses_nothing_and_says_how_far_it_is(self, team):
        make.budget(team, 10, is_hard=False, model="house-7")
        make.charged(team, None, on("house-7", "12.5"))
        make.charged(team, None, 7)
        [state] = budgets.states(organization=team, now=datetime.now(UTC))
        assert (state.used, state.held, state.percent) == (Decimal("12.5"), 0, Decimal("125.0"))

    def test_hardened_it_counts_exactly_and_softened_it_lets_through(self, team):
        budget = make.budget(team, 10, is_hard=False)
        make.charged(team, None, 8)
        make.held(team, None, 1)
        budget = change(budget, 10)
        assert make.taken(budget) == (8, 1)
        assert isinstance(make.settle(make.charge(team, None, 2))[0], BudgetExceeded)
        budget = change(budget, 10, is_hard=False)
        make.charged(team, None, 2)
        assert make.taken(change(budget, 10)) == (10, 1)

    def test_hardened_again_it_forgets_what_it_held_before(self, team):
        budget = make.budget(team, 10)
        hold = make.held(team, None, 9)
        budget = change(budget, 10, is_hard=False)
        make.settled(make.release(hold))
        assert make.taken(change(budget, 10)) == (0, 0)
        make.charged(team, None, 10)


class TestPace:
    def test_is_what_the_period_will_have_used_at_this_rate(self, team):
        with at(datetime(2027, 6, 10, 12, tzinfo=UTC)):
            make.budget(team, 100, is_hard=False)
            make.charged(team, None, 9)
            [state] = budgets.states(organization=team, now=datetime(2027, 6, 11, tzinfo=UTC))
            assert state.pace == 27
            [early] = budgets.states(organization=team, now=datetime(2027, 6, 1, 12, tzinfo=UTC))
            assert early.pace is None


class TestChanging:
    def test_every_change_is_audited_and_saying_it_again_is_none(self, team):
        budget = make.budget(team, 10)
        change(budget, 20)
        change(budget, 20)
        archive(budget)
        events = AuditEvent.objects.filter(organization=team.public_id, action__startswith="budget.")
        events = events.order_by("sequence")
        assert [(one.action, one.before.get("credits"), one.after.get("credits")) for one in events] == [
            ("budget.created", None, "10"),
            ("budget.changed", "10", "20"),
            ("budget.archived", "20", None),
        ]

    def test_a_new_ceiling_bites_at_once(self, team):
        budget = make.budget(team, 10)
        make.charged(team, None, 8)
        change(budget, 5)
        assert isinstance(make.settle(make.charge(team, None, 1))[0], BudgetExceeded)
        change(budget, 9)
        make.charged(team, None, 1)

    def test_an_archived_one_refuses_no_more_and_makes_room_for_another(self, team):
        budget = make.budget(team, 1)
        archive(budget)
        make.charged(team, None, 5)
        with pytest.raises(NotFound):
            archive(budget)
        with pytest.raises(NotFound):
            change(budget, 5)
        assert make.taken(make.budget(team, 10)) == (5, 0)

    def test_one_is_set_once_per_subject_period_and_kind(self, team):
        make.budget(team, 10)
        make.budget(team, 10, is_hard=False)
        make.budget(team, 10, period="day")
        with pytest.raises(AlreadyExists):
            make.budget(team, 20)
        assert Budget.objects.count() == 3

    def test_what_makes_no_sense_is_refused(self, team):
        for terms in ({"period": "year"}, {"model": "x" * 129}, {"model": "a\nb"}):
            with pytest.raises(ValidationError):
                make.budget(team, 10, **terms)
        for credits in (0, "0.0000001", 10**10):
            with pytest.raises(ValidationError):
                make.budget(team, credits)
        with pytest.raises(ValidationError):
            make.budget(team, 10, user=make.member(team), model="house-7")
        stranger = orgs.user()
        with pytest.raises(NotFound):
            make.budget(team, 10, user=stranger)
        with pytest.raises(NotFound):
            make.budget(team, 10, department=make.department(make.team()))

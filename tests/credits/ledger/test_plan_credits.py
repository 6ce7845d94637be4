"""What a paid fee brings: in proportion, once, new before old expires (product.md §9 «Plan credits», §6 «Expiry»)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db import transaction

from credits.ledger import plan_credits
from credits.models import Grant, GrantBalance
from orgs import subscriptions
from orgs.audit.events import SYSTEM
from orgs.clock import read
from orgs.models import Plan, PlanFee
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
YEAR_OF_ENDS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


@pytest.fixture
def now():
    return read()


def plan(code):
    return Plan.objects.get(code=code)


def pay(team, code, cents, full, start, end, **terms):
    """Tell of a paid fee, as Lago's side does; the organization is on that plan from then on."""
    subscription = make.subscribe(team, code)
    with transaction.atomic():
        fee, _ = subscriptions.fee_paid(
            subscription=subscription,
            plan=plan(code),
            period_start=start,
            period_end=end,
            amount_cents=cents,
            full_amount_cents=full,
            currency="USD",
            reference=f"INV-{start:%Y%m%d}-{code}",
            by=SYSTEM,
            **terms,
        )
    return fee


def due(fee):
    fee.refresh_from_db()
    fee.subscription.refresh_from_db()
    with transaction.atomic():
        return plan_credits.grant_due(fee=fee, by=SYSTEM)


def granted(team):
    return list(Grant.objects.filter(organization=team, source="plan").order_by("created_at"))


class TestAMonth:
    def test_paid_whole_brings_all_credits_for_the_month_and_seven_days(self, now):
        team, end = make.team(), now + 30 * DAY
        pay(team, "professional", 4900, 4900, now, end)
        [grant] = granted(team)
        assert (grant.credits, grant.expires_at, make.pool(team).available) == (6000, end + 7 * DAY, 6000)

    @pytest.mark.parametrize(
        ("cents", "brought"),
        [(2450, "3000"), (4737, "5800.408163"), (4900, "6000"), (163, "199.591836"), (0, None)],
    )
    def test_paid_in_part_brings_that_part_rounded_down(self, now, cents, brought):
        team = make.team()
        pay(team, "professional", cents, 4900, now, now + 30 * DAY)
        assert [one.credits for one in granted(team)] == ([Decimal(brought)] if brought else [])

    def test_that_costs_nothing_brings_all_at_once(self, now):
        Plan.objects.filter(code="founders_friend").update(included_credits=50)
        team = make.team()
        pay(team, "founders_friend", 0, 0, now, now + 30 * DAY)
        assert make.pool(team).available == 50

    def test_of_a_plan_without_credits_brings_none(self, now):
        team = make.team()
        pay(team, "founders_friend", 0, 0, now, now + 30 * DAY)
        assert granted(team) == []

    def test_told_again_brings_nothing_twice(self, now):
        team = make.team()
        fee = pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
        pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
        assert (due(fee), len(granted(team))) == ([], 1)

    def test_of_the_trial_lives_a_week_and_seven_days(self, now):
        team = make.team()
        pay(team, "trial", 100, 100, now, now + 7 * DAY)
        assert [(one.credits, one.expires_at) for one in granted(team)] == [(500, now + 14 * DAY)]


class TestAnUpgrade:
    def test_brings_the_difference_for_the_rest_and_ends_nothing(self, now):
        team, end = make.team(), now + 15 * DAY
        pay(team, "starter", 1900, 1900, now - 15 * DAY, end)
        upgrade = {"replaced_plan": plan("starter"), "credited_cents": 950, "replaced_full_cents": 1900}
        pay(team, "professional", 2450, 4900, now, end, **upgrade)
        assert [one.credits for one in granted(team)] == [2000, 2000]  # 3000 of the new less 1000 of the old
        assert make.pool(team).available == 4000

    def test_is_rounded_down_in_all(self, now):
        team = make.team()
        upgrade = {"replaced_plan": plan("starter"), "credited_cents": 1837, "replaced_full_cents": 1900}
        pay(team, "professional", 4737, 4900, now, now + 29 * DAY, **upgrade)
        assert [one.credits for one in granted(team)] == [Decimal("3866.723952")]  # 5800.408163 - 1933.684211

    def test_to_a_plan_with_fewer_credits_takes_nothing_away(self, now):
        team = make.team()
        upgrade = {"replaced_plan": plan("enterprise"), "credited_cents": 9900, "replaced_full_cents": 9900}
        pay(team, "professional", 4900, 4900, now, now + 30 * DAY, **upgrade)
        assert granted(team) == []

    def test_is_over_with_the_month_it_was_made_in(self, now):
        team, end = make.team(), now + 15 * DAY
        pay(team, "starter", 1900, 1900, now - 15 * DAY, end - MOMENT)
        upgrade = {"replaced_plan": plan("starter"), "credited_cents": 950, "replaced_full_cents": 1900}
        pay(team, "professional", 2450, 4900, now, end - MOMENT, **upgrade)
        with make.later("15 days"):
            pay(team, "professional", 4900, 4900, end, end + 30 * DAY)
            assert make.pool(team).available == 6000


class TestARenewal:
    @pytest.fixture
    def team(self, now):
        team = make.team()
        pay(team, "starter", 1900, 1900, now - 30 * DAY, now - MOMENT)
        return team

    def test_grants_first_and_expires_second_so_allocations_stay_whole(self, team, now):
        user = make.member(team, 1500)
        department = make.department(team, 400)
        make.charged(team, user, 300)
        pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
        own = make.allocation(team, user)
        assert (own.allocated, own.remaining, make.pool(department).available) == (1500, 1200, 400)
        assert make.pool(team).available == 400  # 2000 came, 1700 of the old went
        old, new = granted(team)
        assert (make.left(old), make.left(new)) == (0, 2000)
        assert GrantBalance.objects.get(pk=old.pk).expired == 1700

    def test_takes_from_allocations_what_new_credits_do_not_cover(self, team, now):
        user = make.member(team, 1500)
        pay(team, "starter", 950, 1900, now, now + 30 * DAY)
        assert (make.pool(team).available, make.allocation(team, user).remaining) == (0, 1000)

    def test_leaves_what_is_held_to_its_hold(self, team, now):
        hold = make.held(team, None, 100)
        pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
        assert make.pool(team).available == 2000
        make.settled(make.release(hold))
        assert make.expire_grants(team) == 100
        assert make.pool(team).available == 2000

    def test_leaves_what_was_bought(self, team, now):
        bought = make.grant(team, 70, source="purchase")
        pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
        assert (make.left(bought), make.pool(team).available) == (70, 2070)

    def test_paid_late_within_seven_days_finds_the_old_credits_alive(self, team, now):
        with make.later("6 days 23 hours"):
            assert make.expire_grants(team) == 0
            pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
            assert make.pool(team).available == 2000
            assert make.left(granted(team)[0]) == 0

    def test_paid_after_seven_days_finds_them_expired_and_lives_its_own_month(self, team, now):
        with make.later("8 days"):
            assert make.expire_grants(team) == 2000
            pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
            assert (make.pool(team).available, granted(team)[1].expires_at) == (2000, now + 37 * DAY)

    def test_paid_when_its_month_is_over_lives_seven_days_more(self, team, now):
        with make.later("60 days"):
            make.expire_grants(team)
            pay(team, "starter", 1900, 1900, now, now + 30 * DAY)
            new = granted(team)[1]
            assert new.expires_at - new.created_at <= 7 * DAY
            assert new.expires_at > now + 66 * DAY

    def test_never_paid_leaves_them_for_seven_days(self, team):
        with make.later("6 days 23 hours"):
            assert make.expire_grants(team) == 0
        with make.later("7 days"):
            assert make.expire_grants(team) == 2000


class TestAYear:
    @pytest.fixture
    def start(self, now):
        """The 31st of a month not long ago: some months have no such day."""
        return datetime(now.year, 1, 31, tzinfo=UTC)

    def test_has_twelve_months_counted_from_its_first_day(self, start):
        team = make.team()
        fee = pay(team, "starter", 19000, 19000, start, start.replace(year=start.year + 1) - MOMENT)
        months = plan_credits.slices(fee)
        assert [one.credits for one in months] == [2000] * 12
        leap = start.year % 4 == 0
        assert [one.start.day for one in months] == [31, 28 + leap, *YEAR_OF_ENDS[2:]]
        assert all(one.end == following.start for one, following in pairwise(months))

    def test_brings_each_month_when_it_begins_and_ends_the_one_before(self, now):
        team = make.team()
        fee = pay(team, "starter", 19000, 19000, now, now + 365 * DAY)
        assert [one.credits for one in granted(team)] == [2000]
        make.charged(team, None, 500)
        with make.later("20 days"):
            assert due(fee) == []
        with make.later("32 days"):
            assert len(due(fee)) == 1
            assert due(fee) == []
            assert make.pool(team).available == 2000

    @pytest.mark.django_db(transaction=True)
    def test_is_gone_on_with_by_the_job(self, now):
        team = make.team()
        pay(team, "starter", 19000, 19000, now, now + 365 * DAY)
        with make.later("32 days"):
            assert (plan_credits.grant_all_due(), plan_credits.grant_all_due()) == (1, 0)
        assert len(granted(team)) == 2

    def test_ends_with_its_subscription(self, now):
        team = make.team()
        fee = pay(team, "starter", 19000, 19000, now, now + 365 * DAY)
        with transaction.atomic():
            subscriptions.end(subscription=fee.subscription, at=now + 20 * DAY, by=SYSTEM)
        with make.later("32 days"):
            assert due(fee) == []

    def test_of_a_replaced_plan_brings_nothing_more_even_when_the_plan_comes_back(self, now):
        team = make.team()
        fee = pay(team, "starter", 19000, 19000, now, now + 365 * DAY)
        rest = {"replaced_plan": plan("starter"), "credited_cents": 17500, "replaced_full_cents": 19000}
        with make.later("29 days"):
            pay(team, "professional", 45109, 49000, now + 29 * DAY, now + 365 * DAY, **rest)
            month = (plan_credits.slices(fee)[0].end - now).days
            first = Decimal(6000) - Decimal(2000) * (month - 29) / month
            assert granted(team)[1].credits == first.quantize(Decimal("0.000001"), rounding="ROUND_FLOOR")
        make.subscribe(team, "starter")
        with make.later("65 days"):
            assert due(fee) == []

    @pytest.mark.parametrize("job_was_late", [False, True])
    def test_replaced_before_the_job_brought_the_new_month_brings_no_less_and_that_month_never(
        self, job_was_late
    ):
        start, end = datetime(2031, 1, 10, 12, tzinfo=UTC), datetime(2032, 1, 10, 12, tzinfo=UTC)
        with make.at(f"{start:%Y-%m-%dT%H:%M:%S}"):
            team = make.team()
            fee = pay(team, "starter", 19000, 19000, start, end)
        changed = datetime(2031, 2, 13, 12, tzinfo=UTC)  # three of 28 days into the second month
        with make.at(f"{changed:%Y-%m-%dT%H:%M:%S}"):
            if not job_was_late:
                assert len(due(fee)) == 1
            read_before = PlanFee.objects.select_related("subscription").get(pk=fee.pk)
            rest = {"replaced_plan": plan("starter"), "credited_cents": 17200, "replaced_full_cents": 19000}
            pay(team, "professional", 44400, 49000, changed, end, **rest)
            with transaction.atomic():  # as a job that read the fee before the change
                assert plan_credits.grant_due(fee=read_before, by=SYSTEM) == []
            make.subscribe(team, "starter")
            assert due(fee) == []
        brought = [grant.credits for grant in granted(team)]
        part = Decimal("214.285714")  # 2,000 of three days of 28
        assert brought == ([2000, 6000 + part] if job_was_late else [2000, 2000, 4000 + part])

    def test_in_part_brings_whole_months_and_the_rest_in_the_last(self, now):
        fee = pay(make.team(), "professional", 24500, 49000, now, now + 182 * DAY)
        credits = [one.credits for one in plan_credits.slices(fee)]
        assert sum(credits) == 36000
        assert credits == [6000] * 6

    def test_of_which_days_are_left_after_an_upgrade_brings_their_part_of_a_month(self, now):
        terms = {"replaced_plan": plan("starter"), "credited_cents": 521, "replaced_full_cents": 19000}
        team = make.team()
        pay(team, "professional", 1342, 49000, now, now + 10 * DAY, **terms)  # 10 of 365 days
        assert [int(one.credits) for one in granted(team)] == [1917]  # 12 × 6000 × 10/365, less 54.8 of 2000

"""Runway and forecast: 0, not applicable and not known yet are three answers; weekdays count once there are four weeks."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credits.reports import forecast
from credits.reports.forecast import State
from orgs.models import Subscription
from tests.factories import credits as make

TODAY = date(2026, 11, 20)
"""A Friday."""


def use(days: int, credits: object = 10, *, weekend: object = None) -> dict[date, Decimal]:
    """Return so many whole days of use before today; weekends may differ."""
    found = {}
    for offset in range(1, days + 1):
        day = TODAY - timedelta(days=offset)
        amount = weekend if weekend is not None and day.weekday() >= 5 else credits
        found[day] = Decimal(str(amount))
    return found


def lasting(left: object, by_day: dict[date, Decimal], known: int) -> forecast.Runway:
    at = forecast.pace(by_day=by_day, today=TODAY, known_days=known)
    return forecast.runway(left=Decimal(str(left)), pace=at, today=TODAY)


class TestRunway:
    def test_is_what_is_left_by_the_mean_of_the_last_fourteen_whole_days(self):
        runway = lasting(105, use(14), 14)
        assert (runway.state, runway.days, runway.until) == (State.KNOWN, 10, TODAY + timedelta(days=10))
        assert runway.a_day == 10

    def test_looks_no_further_back_than_fourteen_days(self):
        by_day = use(14) | {TODAY - timedelta(days=20): Decimal(100_000)}
        assert lasting(100, by_day, 20).days == 10

    def test_leaves_today_out_since_it_is_not_over(self):
        assert lasting(100, use(14) | {TODAY: Decimal(5000)}, 14).days == 10

    def test_of_nothing_left_is_zero(self):
        for left in (0, -5):
            runway = lasting(left, use(14), 14)
            assert (runway.state, runway.days) == (State.KNOWN, 0)

    def test_of_nothing_used_is_not_applicable(self):
        runway = lasting(100, {}, 30)
        assert (runway.state, runway.days, runway.until) == (State.NOT_APPLICABLE, None, None)

    def test_of_two_days_is_not_known_yet(self):
        runway = lasting(100, use(2), 2)
        assert (runway.state, runway.days) == (State.NOT_KNOWN_YET, None)

    def test_of_few_days_takes_those_that_are_known(self):
        assert lasting(100, use(5), 5).days == 10

    def test_minds_the_weekday_once_there_are_four_weeks(self):
        """Ten on working days, nothing at weekends: thirty credits last from Friday over the weekend until Wednesday."""
        runway = lasting(30, use(28, 10, weekend=0), 28)
        assert runway.days == 5  # Saturday, Sunday, Monday, Tuesday, Wednesday
        assert lasting(30, use(28, 10, weekend=0), 27).days == 4  # 100 in 14 days are 7.14 a day

    def test_takes_its_level_from_two_weeks_and_its_shape_from_four(self):
        by_day = use(28, 10, weekend=0) | {day: one * 2 for day, one in use(14, 10, weekend=0).items()}
        assert lasting(60, by_day, 28).days == 5  # twenty a working day now

    def test_of_more_reversed_than_used_never_counts_backwards(self):
        assert lasting(100, use(14, -3), 14).state is State.NOT_APPLICABLE

    def test_of_ages_names_no_date(self):
        runway = lasting("999999999", use(14, "0.000001"), 14)
        assert runway.days > forecast.LONGEST
        assert runway.until is None


class TestForecast:
    def expected(self, by_day, known, until, used):
        at = forecast.pace(by_day=by_day, today=TODAY, known_days=known)
        return forecast.forecast(
            by_day=by_day, pace=at, since=TODAY, until=until, today=TODAY, used=Decimal(str(used))
        )

    def test_is_what_was_used_and_the_pace_of_the_days_to_come(self):
        by_day = use(14) | {TODAY: Decimal(4)}
        found = self.expected(by_day, 14, TODAY + timedelta(days=10), 104)
        assert found.expected == 104 + 6 + 100  # today still lacks six

    def test_of_a_day_that_used_more_than_its_pace_adds_only_the_days_to_come(self):
        by_day = use(14) | {TODAY: Decimal(50)}
        assert self.expected(by_day, 14, TODAY + timedelta(days=1), 150).expected == 160

    def test_over_weeks_minds_the_weekday(self):
        found = self.expected(use(28, 10, weekend=0), 28, TODAY + timedelta(days=9), 0)
        assert round(found.expected, 2) == 10 + 50  # today, and Monday to Friday; the next weekend is free

    def test_of_two_days_is_not_known_yet(self):
        found = self.expected(use(2), 2, TODAY + timedelta(days=9), 20)
        assert (found.state, found.expected, found.used) == (State.NOT_KNOWN_YET, None, 20)


@pytest.mark.django_db
class TestOfRows:
    @pytest.fixture
    def team(self):
        with make.later("-60 days"):
            team = make.team(1000)
            department = make.department(team, 200)
            self.member = make.member(team, 100)
            self.engineer = make.member(team, 80, department=department)
            self.free = make.member(team)
            type(self.member).objects.update(date_joined=timezone.now() - timedelta(days=60))
        from orgs.models import Membership

        Membership.objects.update(joined_at=timezone.now() - timedelta(days=60))
        for days in range(1, 41):
            with make.later(f"-{days} days"):
                make.charged(team, self.member, 1)
                make.charged(team, self.engineer, "0.5")
                make.charged(team, self.free, 2)
        self.department = department
        return team

    def test_an_organization_a_pool_a_department_and_a_member_each_have_their_own(self, team):
        now = timezone.now()
        whole = forecast.of_organization(organization=team, now=now).runway
        assert (whole.left, whole.a_day) == (1000 - 140, Decimal("3.5"))
        own = forecast.of_pool(pool=make.pool(team), now=now).runway
        assert (own.left, own.a_day) == (1000 - 200 - 100 - 80 + 60, 3)
        part = forecast.of_department(department=self.department, now=now).runway
        assert (part.left, part.a_day) == (200 - 20, Decimal("0.5"))
        mine = forecast.of_member(organization=team, user=self.member, now=now).runway
        assert (mine.left, mine.a_day, mine.state) == (60, 1, State.KNOWN)
        many = forecast.of_departments(organization=team, lefts={self.department.pk: Decimal(180)}, now=now)
        assert many == {self.department.pk: part}

    def test_a_member_whom_a_pool_pays_has_none_of_their_own(self, team):
        found = forecast.of_member(organization=team, user=self.free, now=timezone.now())
        assert found.runway.state is State.NOT_APPLICABLE
        assert found.runway.days is None

    def test_nobodys_first_day_is_a_runway_of_zero(self):
        team = make.team()
        runway = forecast.of_organization(organization=team, now=timezone.now()).runway
        assert (runway.state, runway.days) == (State.NOT_KNOWN_YET, None)

    def test_the_period_is_the_plans_or_the_calendar_month(self, team):
        Subscription.objects.filter(organization=team).delete()
        now = datetime(2026, 2, 10, tzinfo=UTC)
        found = forecast.of_organization(organization=team, now=now).forecast
        assert (found.since, found.until) == (date(2026, 2, 1), date(2026, 2, 28))

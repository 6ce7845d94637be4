"""Quotas: how many calls a plan allows a day and a month, in the organization's calendar (product.md §9)."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.ledger import holds
from credits.limits.quotas import QuotaExceeded
from credits.models import QuotaUsage
from orgs.models import Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def used(period="day"):
    return list(QuotaUsage.objects.filter(period=period).order_by("starts_on").values_list("used", flat=True))


@pytest.fixture
def team():
    made = make.team(100, unlimited=False)
    make.limit_calls(made, day=2, month=3)
    return made


class TestQuota:
    def test_of_no_plan_is_a_hundred_a_day_and_a_thousand_a_month(self):
        team = make.team(10, unlimited=False)
        quota = make.settled(make.charge(team, None, "0.1")).quota
        assert {name: (one.limit, one.used) for name, one in quota.items()} == {
            "day": (100, 1),
            "month": (1000, 1),
        }

    def test_of_an_unlimited_plan_is_none_and_writes_nothing(self):
        settled = make.settled(make.charge(make.team(10)))
        assert settled.quota is None
        assert not QuotaUsage.objects.exists()

    def test_counts_holds_charges_and_byok(self, team):
        make.held(team)
        make.charged(team, make.member(team), 5, byok=True)
        assert used() == [2]

    @pytest.mark.parametrize("command", [make.hold, make.charge])
    @pytest.mark.parametrize("cost", [0, 1])
    def test_refuses_the_call_after_the_last(self, team, command, cost):
        make.settle(make.charge(team), make.charge(team))
        [outcome] = make.settle(command(team, None, cost))
        assert isinstance(outcome, QuotaExceeded)
        assert (outcome.code, outcome.status) == ("quota_exceeded", 429)
        assert outcome.details["limit"]["kind"] == "quota"
        assert outcome.details["limit"]["scope"] == "day"
        assert (used(), make.pool(team).available) == ([2], 98)

    def test_says_when_the_next_day_begins(self, team):
        make.settle(make.charge(team), make.charge(team))
        [outcome] = make.settle(make.charge(team))
        resets = datetime.fromisoformat(outcome.details["limit"]["resets_at"])
        now = datetime.now(UTC)
        assert resets == (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        assert 0 < outcome.details["retry_after"] <= 86_400

    def test_is_exact_inside_a_batch(self, team):
        outcomes = make.settle(*(make.charge(team) for _ in range(5)))
        assert [isinstance(one, QuotaExceeded) for one in outcomes] == [False, False, True, True, True]

    def test_begins_anew_the_next_day_until_the_month_is_used_up(self, team):
        with make.at("2031-05-10T12:00:00"):
            make.settle(make.charge(team), make.charge(team))
        with make.at("2031-05-11T12:00:00"):
            outcomes = make.settle(make.charge(team), make.charge(team))
            assert outcomes[1].details["limit"]["scope"] == "month"
        assert used() == [2, 1]

    def test_day_is_that_of_the_organizations_calendar(self, team):
        Organization.objects.filter(pk=team.pk).update(time_zone="Pacific/Kiritimati")
        make.charged(team)
        assert (
            QuotaUsage.objects.get(period="day").starts_on == (datetime.now(UTC) + timedelta(hours=14)).date()
        )

    def test_is_not_counted_by_a_refusal(self, team):
        make.settle(make.charge(team, None, 1000))
        assert sum(used()) == 0

    def test_is_not_counted_by_a_capture_and_not_returned_by_it(self, team):
        make.captured(make.held(team), 1)
        assert used() == [1]


class TestGivingBack:
    def test_by_a_release(self, team):
        make.settled(make.release(make.held(team)))
        assert (used(), used("month")) == ([0], [0])

    def test_by_expiry_in_the_period_that_counted_it(self, team):
        make.held(team, ttl=60)
        with make.later("2 days"):
            make.charged(team)
            holds.expire_due()
        assert used() == [0, 1]

    def test_happens_once(self, team):
        make.held(team)
        hold = make.held(team)
        for _ in range(3):
            make.settled(make.release(hold))
            make.settle(make.expire(hold))
        assert used() == [1]

    def test_of_a_hold_that_counted_nothing_gives_nothing(self):
        team = make.team(100)
        hold = make.held(team)
        make.limit_calls(team, day=5)
        make.settle(make.charge(team), make.release(hold))  # together, so that the counter is at hand
        assert used() == [1]


class TestMidnight:
    @pytest.mark.parametrize(
        ("zone", "midnight"),
        [
            ("America/New_York", datetime(2027, 3, 14, 5, tzinfo=UTC)),
            ("America/New_York", datetime(2027, 3, 15, 4, tzinfo=UTC)),
            ("Africa/Cairo", datetime(2027, 4, 29, 22, tzinfo=UTC)),
            ("America/Havana", datetime(2027, 11, 7, 4, tzinfo=UTC)),
        ],
        ids=["before 23 hours", "after 23 hours", "skipped by the clocks", "repeated by the clocks"],
    )
    def test_of_the_organizations_zone_is_where_the_next_day_begins(self, team, zone, midnight):
        Organization.objects.filter(pk=team.pk).update(time_zone=zone)
        make.limit_calls(team, day=2)
        with make.later(f"{(midnight - timedelta(seconds=30) - datetime.now(UTC)).total_seconds()} seconds"):
            outcomes = make.settle(*(make.charge(team) for _ in range(3)))
            limit = outcomes[2].details["limit"]
            assert datetime.fromisoformat(limit["resets_at"]) == midnight
            assert 0 < outcomes[2].details["retry_after"] <= 30
        with make.later(f"{(midnight - datetime.now(UTC)).total_seconds()} seconds"):
            outcomes = make.settle(*(make.charge(team) for _ in range(3)))
            assert [isinstance(one, QuotaExceeded) for one in outcomes] == [False, False, True]
        assert used() == [2, 2]

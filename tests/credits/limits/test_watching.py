"""The watch over limits: who is told what, once per crossing, and again only after going back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.test import Client
from django.utils import timezone

from credits.limits import crossings, telling, watching
from credits.models import CreditPool, Crossing
from credits.sharing import resets
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.departments import add_manager
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice
from orgs.organizations import archive
from tests.factories import credits as make
from tests.factories import orgs
from tests.orgs.racing import race

pytestmark = pytest.mark.django_db


def watch() -> list[tuple[str, str]]:
    """Look once; return (first name of who was told, title) of every new notice, in the order of both."""
    before = set(Notice.objects.values_list("pk", flat=True))
    watching.watch(now=timezone.now())
    return told(before)


def told(before=()):
    new = Notice.objects.exclude(pk__in=before).select_related("user")
    return sorted((one.user.name.partition(" ")[0], one.title) for one in new)


def lines(kind, who=None):
    found = Notice.objects.filter(kind=kind)
    return " ".join((found.get(user=who) if who else found.first()).lines)


@pytest.fixture
def team():
    made = make.team(1000)
    type(made).objects.filter(pk=made.pk).update(name="Acme", time_zone="Europe/Berlin")
    return made


@pytest.fixture
def mia(team):
    user = make.member(team, 100)
    type(user).objects.filter(pk=user.pk).update(name="Mia Member")
    return user


class TestAllocations:
    def test_the_highest_new_step_is_told_once_to_the_member_and_from_90_on_to_who_allocates(self, team, mia):
        make.charged(team, mia, 74)
        assert watch() == []
        make.charged(team, mia, 2)
        assert watch() == [("Mia", "You have used 76.0% of your credits in Acme")]
        assert watch() == []
        make.charged(team, mia, 24)
        assert watch() == [
            ("Mia", "You have used all of your credits in Acme"),
            ("Olive", "Mia Member has used all of their credits"),
        ]
        assert watch() == []
        assert sorted(Crossing.objects.values_list("step", flat=True)) == [75, 90, 100]

    def test_it_says_how_much_what_remains_and_what_comes_then(self, team, mia):
        make.held(team, mia, 10)
        make.charged(team, mia, 81)
        watch()
        assert lines("allocation", mia) == (
            "81 of 100 credits are used, 10 are held by running requests; 9 remain. "
            "The amount is not restored by itself. Requests beyond it are refused."
        )

    def test_it_says_when_the_amount_is_restored_and_when_it_expires(self, team, mia):
        row = make.allocation(team, mia)
        row.amount, row.resets_at = Decimal(100), datetime(2026, 11, 30, 23, tzinfo=UTC)
        row.expires_at = datetime(2026, 12, 24, 11, tzinfo=UTC)
        assert telling._outlook(row) == (
            "The amount of 100 is restored on 1 December 2026, 00:00 (Europe/Berlin). "
            "The allocation expires on 24 December 2026, 12:00 (Europe/Berlin). Requests beyond it are refused."
        )

    def test_each_period_is_told_of_and_what_is_due_for_its_reset_is_not(self, team, mia):
        make.allocate(team, mia, 100, reset_period="daily")
        make.charged(team, mia, 80)
        assert len(watch()) == 1
        with make.later("1 day"):
            make.charged(team, mia, 80)  # which resets it first
            assert watch() == [("Mia", "You have used 80.0% of your credits in Acme")]
            assert watch() == []
        make.charged(team, mia, 15)
        with make.later("2 days"):
            assert watch() == []  # 95 were used of yesterday's
            resets.run_due()
            assert watch() == []
        assert not Crossing.objects.exists()

    def test_going_back_makes_the_next_crossing_a_new_one_but_swaying_around_it_does_not(self, team, mia):
        make.charged(team, mia, 70)
        hold = make.held(team, mia, 6)
        assert len(watch()) == 1
        make.settled(make.release(hold))
        assert watch() == []
        hold = make.held(team, mia, 6)
        assert watch() == []
        make.settled(make.release(hold))
        make.allocate(team, mia, 200)
        assert watch() == []
        assert not Crossing.objects.exists()
        make.charged(team, mia, 80)
        assert watch() == [("Mia", "You have used 75.0% of your credits in Acme")]

    def test_the_audit_log_has_it_once_per_crossing_of_90(self, team, mia):
        make.charged(team, mia, 100)
        watch()
        watch()
        [event] = AuditEvent.objects.filter(action="allocation.above_90")
        assert (event.organization, event.target) == (team.public_id, mia.public_id)
        assert event.after == {"allocated": "100", "used": "100", "held": "0", "remaining": "0"}

    def test_managers_are_told_of_allocations_of_their_departments_pool_and_of_no_other(self, team, mia):
        part = make.department(team, 100)
        manager = orgs.member(team, who=orgs.user("Max Manager"))
        with transactions.durable():
            add_manager(department=part, membership=manager, by=SYSTEM)
        engineer = make.member(team, 10, department=part)
        make.charged(team, engineer, 9)
        make.charged(team, mia, 95)
        assert [title for name, title in watch() if name == "Max"] == [
            f"{engineer.name} has used 90.0% of their credits"
        ]

    def test_bots_are_not_told_but_who_allocates_is(self, team):
        bot = orgs.user("Build Bot", is_service=True)
        orgs.member(team, who=bot)
        make.allocate(team, bot, 10)
        make.charged(team, bot, 10)
        assert watch() == [("Olive", "Build Bot has used all of their credits")]

    def test_closed_ones_and_those_of_archived_organizations_are_over(self, team, mia):
        make.charged(team, mia, 100)
        watch()
        make.revoke(team, mia)
        assert watch() == []
        assert not Crossing.objects.exists()
        other = make.team(100)
        make.charged(other, make.member(other, 10), 10)
        with transactions.durable():
            archive(organization=other, by=SYSTEM)
        assert watch() == []


class TestPools:
    def test_below_its_threshold_who_shares_it_out_is_told_until_it_is_filled_again(self, team):
        CreditPool.objects.filter(organization=team).update(alert_below=100)
        make.charged(team, None, 900)
        assert watch() == []
        make.charged(team, None, 1)
        assert watch() == [("Olive", "The pool of Acme has 99 credits left")]
        make.grant(team, 3)
        assert watch() == []
        make.charged(team, None, 3)
        assert watch() == []
        make.grant(team, 10)
        assert watch() == []
        make.charged(team, None, 20)
        assert watch() == [("Olive", "The pool of Acme has 89 credits left")]

    def test_a_department_managers_are_told_of_their_own(self, team):
        part = make.department(team, 50, "Research")
        manager = orgs.member(team, who=orgs.user("Max Manager"))
        with transactions.durable():
            add_manager(department=part, membership=manager, by=SYSTEM)
        CreditPool.objects.filter(organization=team).update(alert_below=2000)
        CreditPool.objects.filter(department=part).update(alert_below=60)
        assert [one for one in watch() if one[0] == "Max"] == [
            ("Max", "The pool of Research has 50 credits left")
        ]


class TestQuotas:
    def test_each_period_is_told_of_and_the_next_one_begins_anew(self):
        team = make.team(1000, unlimited=False)
        make.limit_calls(team, day=10, month=100)
        make.settle(*(make.charge(team) for _ in range(5)))
        [(who, title)] = watch()
        assert (who, title.partition(" has ")[2]) == ("Olive", "used 50.0% of its calls of today")
        assert "5 of the 10 calls of the plan A plan are used, 5 remain." in lines("quota")
        make.settle(*(make.charge(team) for _ in range(5)))
        assert len(watch()) == 1
        assert watch() == []
        with make.later("1 day"):
            assert watch() == []
            assert not Crossing.objects.filter(kind="quota").exists()
            make.settle(*(make.charge(team) for _ in range(9)))
            assert [title for _, title in watch() if "today" in title] == [
                f"{team.name} has used 90.0% of its calls of today"
            ]

    def test_no_plan_has_limits_too_and_an_unlimited_one_none(self, team):
        make.charged(team)
        free = make.team(10, unlimited=False)
        make.settle(*(make.charge(free, None, 0) for _ in range(50)))
        assert [title for _, title in watch()] == [f"{free.name} has used 50.0% of its calls of today"]


class TestBudgets:
    def test_steps_are_told_to_who_sets_them_and_to_whom_they_concern(self, team, mia):
        make.budget(team, 100, user=mia, period="month", is_hard=False)
        make.charged(team, mia, 55)
        assert watch() == [
            ("Mia", "The monthly budget of Mia Member is at 55.0%"),
            ("Olive", "The monthly budget of Mia Member is at 55.0%"),
        ]
        assert "55 of 100 credits are used; 45 remain." in lines("budget")
        assert "It is a soft budget" in lines("budget")
        make.charged(team, mia, 40)
        assert [one for one in watch() if "budget" in one[1]] == [
            ("Mia", "The monthly budget of Mia Member is at 95.0%"),
            ("Olive", "The monthly budget of Mia Member is at 95.0%"),
        ]
        assert watch() == []

    def test_managers_are_told_of_their_departments(self, team):
        part = make.department(team, 50, "Research")
        manager = orgs.member(team, who=orgs.user("Max Manager"))
        with transactions.durable():
            add_manager(department=part, membership=manager, by=SYSTEM)
        engineer = make.member(team, department=part)
        make.budget(team, 10, department=part, period="day")
        make.charged(team, engineer, 10)
        assert [title for name, title in watch() if name == "Max"] == [
            "The daily budget of Research is at 100.0%"
        ]
        assert "It is a hard budget" in lines("budget")


class TestRunways:
    def test_under_seven_days_is_told_once_until_it_is_eight_again(self, team):
        now = timezone.now()
        for day in range(1, 15):
            with make.at(str(now - timedelta(days=day))):
                make.charged(team, None, 10)
        assert watching.watch_runways(now=now) == 0
        make.charged(team, None, 800)
        assert watching.watch_runways(now=now) == 1
        assert told() == [("Olive", "The credits of Acme last about 6 more days")]
        assert "It uses 10 credits a day" in lines("runway")
        assert watching.watch_runways(now=now) == 0
        make.grant(team, 100)
        assert watching.watch_runways(now=now) == 0
        assert not Crossing.objects.exists()
        make.charged(team, None, 150)
        assert watching.watch_runways(now=now) == 1


class TestShortfalls:
    def test_an_open_one_is_told_until_it_is_settled(self, team):
        small = make.team(1)
        make.captured(make.held(small, None, 1), 13)
        [(who, title)] = watch()
        assert (who, title) == ("Olive", f"Calls of {small.name} cost 12 credits more than there was")
        assert watch() == []
        make.grant(small, 100)
        assert watch() == []
        assert not Crossing.objects.exists()


def test_a_look_asks_the_same_however_many_organizations_there_are(team, mia, django_assert_max_num_queries):
    make.charged(team, mia, 76)
    watch()
    for _ in range(3):
        other = make.team(100)
        make.budget(other, 10, is_hard=False)
        make.charged(other, make.member(other, 10), 5)
    watch()
    with django_assert_max_num_queries(
        17
    ):  # five kinds: a savepoint and its end here, and Django's own statements
        watching.watch(now=timezone.now())


def test_one_kind_that_fails_stops_no_other(team, mia, monkeypatch, caplog):
    make.charged(team, mia, 76)
    monkeypatch.setattr(watching, "of_budgets", _broken)
    assert len(watch()) == 1
    assert "a watch over limits failed" in caplog.text


def test_links_lead_to_pages_that_their_receivers_may_open(team, mia):
    CreditPool.objects.filter(organization=team).update(alert_below=2000)
    make.budget(team, 100, user=mia, period="month", is_hard=False)
    make.charged(team, mia, 100)
    watch()
    assert Notice.objects.count() == 5
    for notice in Notice.objects.select_related("user"):
        client = Client()
        client.force_login(notice.user)
        assert client.get(notice.path).status_code == 200, notice.path


def test_many_at_once_are_told_in_transactions_of_a_bounded_size(team, monkeypatch):
    monkeypatch.setattr(crossings, "AT_ONCE", 2)
    for _ in range(5):
        make.charged(team, make.member(team, 10), 9)
    with transactions.durable():
        assert watching.allocations() == 2
    assert watching.watch(now=timezone.now()) == 3
    assert sorted(Notice.objects.values_list("user__name", flat=True).distinct()) == [
        "Member Person",
        "Olive Owner",
    ]
    assert Notice.objects.count() == 10  # each member, and the owner for each


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_two_looks_at_the_same_moment_cross_once():
    def look():
        with transactions.durable():
            return len(crossings.update(kind=Kind.POOL_LOW, source=crossings.LISTED, parameters=[rows]))

    organization = orgs.team()
    rows = crossings.listed((organization.pk, str(number), 0, True) for number in range(50))
    assert sorted(race(*[partial(look)] * 4)) == [0, 0, 0, 50]


def _broken(**_):
    raise RuntimeError("a query that failed")

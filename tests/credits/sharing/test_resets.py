"""Resets: amounts restored at the end of a period, whoever comes first, once, in order, and never after an expiry."""

import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from credits import tasks
from credits.ledger import checking, rebuilding, reconcile
from credits.ledger.payers import InsufficientCredits
from credits.models import Allocation, AllocationReset, LedgerEntry
from credits.sharing import resets
from credits.sharing.allocations import AllocationInUse, Mode
from credits.sharing.terms import KEEP
from kit.errors import ValidationError
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from orgs.notices.models import Notice
from tests.factories import books, orgs
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

MONDAY = "2027-03-01T12:00"
TUESDAY = "2027-03-02T00:00:05"
FRIDAY = "2027-03-05T09:00"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def figures(team, user):
    own = make.allocation(team, user)
    return own.allocated, own.remaining, own.held, own.used


def daily(team, credits=30, **terms):
    """Make a member whose amount is restored each day."""
    user = make.member(team)
    make.allocate(team, user, credits, reset_period="daily", **terms)
    return user


class TestAnAmount:
    def test_is_restored_when_its_day_is_over(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
        with make.at(TUESDAY):
            assert tasks.reset_allocations() == 1
        assert figures(team, user) == (30, 30, 0, 0)
        own = make.allocation(team, user)
        assert (own.spent, own.opened_at, own.resets_at) == (12, utc("2027-03-02"), utc("2027-03-03"))
        assert make.pool(team).available == 58

    def test_keeps_what_is_held_within_it(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
            hold = make.held(team, user, 8, ttl=86_400)
        with make.at(TUESDAY):
            tasks.reset_allocations()
            assert figures(team, user) == (30, 22, 8, 0)
            make.captured(hold, 10)  # of the period in which it is captured
            assert figures(team, user) == (30, 20, 0, 10)

    def test_is_what_was_set_and_not_what_was_left_of_it(self):
        """What expired or was missing is restored; what was added to it stays."""
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.allocate(team, user, 5, mode=Mode.ADD)
            make.charged(team, user, 35)
        with make.at(TUESDAY):
            tasks.reset_allocations()
            assert figures(team, user) == (35, 35, 0, 0)
            make.allocate(team, user, 10)
            make.charged(team, user, 4)
        with make.at(FRIDAY):
            tasks.reset_allocations()
            assert figures(team, user) == (10, 10, 0, 0)

    def test_that_has_grown_beyond_it_returns_to_the_pool(self):
        """A hold of the period before comes back after the amount was lowered: more than the amount lies there."""
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            charge = make.charged(team, user, 10)
            make.allocate(team, user, 10)
            make.reversal(charge)
            Allocation.objects.update(amount=6)  # as if an older release had kept less
        with make.at(TUESDAY):
            tasks.reset_allocations()
            assert figures(team, user) == (6, 6, 0, 0)
        reset = AllocationReset.objects.get()
        assert (reset.returned, reset.topped_up, reset.short) == (4, 0, 0)
        entry = LedgerEntry.objects.get(kind="reset")
        assert (entry.source_allocation_id, entry.target_pool_id, entry.amount, entry.reset_id) == (
            make.allocation(team, user).pk,
            make.pool(team).pk,
            4,
            reset.pk,
        )

    def test_that_never_resets_stays_used(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = make.member(team, 30)
            make.charged(team, user, 12)
        with make.at("2028-03-01T12:00"):
            assert tasks.reset_allocations() == 0
            resets.refresh(team)
        assert figures(team, user) == (30, 18, 0, 12)


class TestADateThatWasMissed:
    def test_for_three_days_collapses_into_the_last(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
        with make.at(FRIDAY):
            assert tasks.reset_allocations() == 1
        reset = AllocationReset.objects.get()
        assert (reset.due_at, reset.used, reset.topped_up) == (utc("2027-03-05"), 12, 12)
        own = make.allocation(team, user)
        assert (own.allocated, own.opened_at, own.resets_at) == (30, utc("2027-03-05"), utc("2027-03-06"))

    def test_is_reset_once_however_often_the_job_runs(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
        with make.at(FRIDAY):
            assert (tasks.reset_allocations(), tasks.reset_allocations()) == (1, 0)
            make.charged(team, user, 1)
            with transaction.atomic():
                assert resets.run(pool_id=make.pool(team).pk) == []
        assert figures(team, user) == (30, 29, 0, 1)

    def test_of_more_than_one_transaction_takes_is_made_in_several(self, monkeypatch):
        monkeypatch.setattr(resets, "_TOGETHER", 2)
        team = make.team(100)
        with make.at(MONDAY):
            users = [daily(team, 10) for _ in range(5)]
            for user in users:
                make.charged(team, user, 10)
        with make.at(TUESDAY):
            with transaction.atomic():
                assert len(resets.run(pool_id=make.pool(team).pk)) == 2
            make.charged(team, users[4], 1)
        assert [figures(team, user) for user in users] == [(10, 10, 0, 0)] * 4 + [(10, 9, 0, 1)]

    def test_cannot_be_written_twice(self):
        team = make.team(100)
        with make.at(MONDAY):
            daily(team)
        with make.at(TUESDAY):
            tasks.reset_allocations()
        first = AllocationReset.objects.get()
        first.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            first.save(force_insert=True)

    def test_by_two_periods_comes_to_the_same_as_two_resets(self):
        """I23: two half runs are one run."""
        ends = []
        for stops in ([TUESDAY, FRIDAY], [FRIDAY]):
            team = make.team(100)
            with make.at(MONDAY):
                user = daily(team)
                make.charged(team, user, 12)
            for stop in stops:
                with make.at(stop):
                    tasks.reset_allocations()
            own = make.allocation(team, user)
            ends.append((figures(team, user), own.opened_at, own.resets_at, make.pool(team).available))
        assert ends[0] == ends[1]


class TestASpend:
    def test_that_finds_the_date_past_resets_first(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 30)
            [refused] = make.settle(make.charge(team, user, 1))
            assert isinstance(refused, InsufficientCredits)
            assert refused.details["limit"]["resets_at"] == "2027-03-02T00:00:00+00:00"
        with make.at(TUESDAY):
            settled = make.settled(make.charge(team, user, 25))
            assert settled.payer.remaining == 5
        assert figures(team, user) == (30, 5, 0, 25)

    def test_in_a_batch_resets_for_all_of_it(self):
        team = make.team(200)
        with make.at(MONDAY):
            users = [daily(team), daily(team)]
            for user in users:
                make.charged(team, user, 30)
        with make.at(TUESDAY):
            commands = [make.charge(team, user, 10) for user in users for _ in range(4)]
            commands.append(make.charge(team, None, 1))
            codes = [getattr(one, "code", "done") for one in make.settle(*commands)]
        assert codes == ["done", "done", "done", "insufficient_credits"] * 2 + ["done"]
        assert [figures(team, user) for user in users] == [(30, 0, 0, 30)] * 2

    def test_that_only_looks_resets_too(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 30)
        with make.at(TUESDAY):
            checked = checking.check(make.hold(team, user, 25))
        assert (checked.refusal, checked.payer.remaining) == (None, 30)

    @pytest.mark.parametrize("end", ["capture", "release", "expire"])
    def test_that_ends_a_hold_after_the_date_does_so_in_the_new_period(self, end):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
            hold = make.held(team, user, 8, ttl=43_200 if end == "expire" else 86_400)
        with make.at(TUESDAY):
            make.settled(
                {
                    "capture": make.capture(hold, 9),
                    "release": make.release(hold),
                    "expire": make.expire(hold),
                }[end]
            )
        assert figures(team, user) == ((30, 21, 0, 9) if end == "capture" else (30, 30, 0, 0))
        reset = AllocationReset.objects.get()
        assert (reset.used, reset.held, reset.topped_up) == (12, 8, 12)

    def test_repeated_after_the_date_says_what_remains_now(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12, key="a")
        with make.at(TUESDAY):
            again = make.settled(make.charge(team, user, 12, key="a"))
        assert (again.replayed, again.payer.remaining) == (True, 30)

    def test_falls_back_on_the_pool_only_after_the_reset(self):
        team = make.team(100, shared_spending="always")
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 30)
            assert make.settled(make.charge(team, user, 1)).payer.kind == "pool"
        with make.at(TUESDAY):
            assert make.settled(make.charge(team, user, 1)).payer.kind == "allocation"

    def test_whose_clock_stepped_back_behind_the_reset_still_counts_in_its_period(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
        with make.at(TUESDAY):
            tasks.reset_allocations()
        with make.at("2027-03-01T23:59:58"):
            make.captured(make.held(team, user, 3), 4)
            charge = make.charged(team, user, 5)
            make.reversal(charge, 2)
        assert figures(team, user) == (30, 23, 0, 7)


class TestAReversal:
    def test_of_a_charge_of_the_period_before_returns_to_the_pool(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            charge = make.charged(team, user, 12)
        with make.at(TUESDAY):
            tasks.reset_allocations()
            make.charged(team, user, 1)
            make.reversal(charge)
        assert figures(team, user) == (30, 29, 0, 1)
        assert make.pool(team).available == 70

    def test_before_the_reset_that_is_due_comes_to_the_same(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            charge = make.charged(team, user, 12)
        with make.at(TUESDAY):
            make.reversal(charge)
            tasks.reset_allocations()
        assert figures(team, user) == (30, 30, 0, 0)
        assert make.pool(team).available == 70
        assert AllocationReset.objects.get().used == 0


class TestAShortPool:
    def test_serves_in_order_of_key_and_says_what_is_missing(self):
        team = make.team(100)
        with make.at(MONDAY):
            users = [daily(team), daily(team), daily(team)]
            for user in users:
                make.charged(team, user, 10)
        with make.at(TUESDAY):
            tasks.reset_allocations()
        assert [figures(team, user)[0] for user in users] == [30, 20, 20]
        make.grant(team, 100)
        with make.at(FRIDAY):
            tasks.reset_allocations()
        assert [figures(team, user)[0] for user in users] == [30, 30, 30]

    def test_tells_those_who_may_allocate_from_it_once_a_date(self):
        team = make.team(60)
        admin = orgs.member(team, role="admin").user
        department = make.department(team, 50)
        manager = orgs.member(team, department=department)
        manager.management.create(department=department)
        with make.at(MONDAY):
            users = [make.member(team, department=department) for _ in range(2)]
            for user in users:
                make.allocate(team, user, 25, reset_period="daily")
                make.charged(team, user, 25)
        for moment in (TUESDAY, "2027-03-02T13:00"):
            with make.at(moment):
                tasks.reset_allocations()
                make.allocate(team, users[0], 0)
                make.allocate(team, users[1], 0)
        found = Notice.objects.filter(kind="reset_short")
        assert {one.user_id for one in found} >= {admin.pk, manager.user_id}
        assert not {one.user_id for one in found} & {user.pk for user in users}
        [notice] = found.filter(user=manager.user)
        assert (notice.subject, notice.crossing) == (department.public_id, "2027-03-02")
        assert "50 credits were missing" in notice.lines[0]

    def test_is_named_even_when_what_it_restored_moves_to_another_at_once(self):
        team = make.team(60)
        admin = orgs.member(team, role="admin").user
        department = make.department(team)
        user = make.member(team, department=department)
        with make.at(MONDAY):
            make.allocate(team, user, 30, reset_period="daily")
            make.charged(team, user, 30)
            make.fund(department, 30)
        with make.at(TUESDAY):
            make.allocate(team, user, 20)
        [notice] = Notice.objects.filter(kind="reset_short", user=admin)
        assert (notice.subject, notice.crossing) == (team.public_id, "2027-03-02")

    def test_below_zero_gives_nothing(self):
        team = make.team(30)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 30)
            make.overdraft(team, 50)
            hold = make.held(team, None, 0)
            make.captured(hold, 20)
        assert make.pool(team).available == -20
        with make.at(TUESDAY):
            tasks.reset_allocations()
        assert figures(team, user) == (0, 0, 0, 0)
        assert AllocationReset.objects.get().short == 30


class TestTerms:
    def test_a_period_is_counted_from_the_day_it_was_given_on_in_the_organizations_zone(self):
        team = make.team(100)
        Organization.objects.filter(pk=team.pk).update(time_zone="America/New_York")
        team.refresh_from_db()
        with make.at("2027-02-01T02:00"):  # still 31 January there
            user = make.member(team)
            make.allocate(team, user, 30, reset_period="monthly")
            own = make.allocation(team, user)
            assert (own.anchored_on.isoformat(), own.resets_at) == ("2027-01-31", utc("2027-02-28T05:00"))
        with make.at("2027-03-30T00:00"):
            resets.refresh(team)
        assert make.allocation(team, user).resets_at == utc("2027-03-31T04:00")  # summer time began

    def test_the_same_period_again_keeps_its_day_and_another_begins_anew(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = make.member(team)
            make.allocate(team, user, 30, reset_period="weekly")
        with make.at(FRIDAY):
            make.allocate(team, user, 40, reset_period="weekly")
            make.allocate(team, user, 41)
            own = make.allocation(team, user)
            assert (own.anchored_on.isoformat(), own.resets_at) == ("2027-03-01", utc("2027-03-08"))
            make.allocate(team, user, 41, reset_period="monthly")
            assert make.allocation(team, user).anchored_on.isoformat() == "2027-03-05"
            make.allocate(team, user, 41, reset_period="never")
            own = make.allocation(team, user)
            assert (own.reset_period, own.anchored_on, own.resets_at) == ("never", None, None)

    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            ({"reset_period": "yearly"}, "reset_period"),
            ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ],
    )
    def test_that_cannot_be_are_refused(self, terms, field):
        team = make.team(100)
        user = make.member(team, 30)
        with pytest.raises(ValidationError) as caught:
            make.allocate(team, user, 40, **terms)
        assert field in caught.value.details
        assert figures(team, user)[0] == 30

    def test_are_gone_when_the_allocation_was_closed_and_given_anew(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team, expires_at=utc("2027-06-01"))
            make.revoke(team, user)
            own = make.allocation(team, user)
            assert (own.reset_period, own.resets_at, own.expires_at) == ("never", None, None)
            make.allocate(team, user, 20, expires_at=KEEP)
        own = make.allocation(team, user)
        assert (own.allocated, own.amount, own.reset_period, own.expires_at) == (20, 20, "never", None)

    def test_come_along_when_the_allocation_moves_to_the_departments_pool(self):
        team = make.team(100)
        department = make.department(team)
        user = make.member(team, department=department)
        with make.at(MONDAY):
            make.allocate(team, user, 30, reset_period="daily", expires_at=utc("2027-06-01"))
            make.fund(department, 50)
            make.allocate(team, user, 5, mode=Mode.ADD)
        own = make.allocation(team, user)
        assert (own.pool, own.amount, own.allocated) == (make.pool(department), 35, 35)
        assert (own.reset_period, own.resets_at, own.expires_at) == (
            "daily",
            utc("2027-03-02"),
            utc("2027-06-01"),
        )

    def test_are_in_the_audit_log(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.allocate(team, user, 40, expires_at=utc("2027-06-01"))
        first, second = AuditEvent.objects.filter(action="credits.allocated").order_by("sequence")
        assert (first.before, first.after) == (
            {"allocated": "0", "reset_period": "never"},
            {"allocated": "30", "reset_period": "daily"},
        )
        assert second.before == {"allocated": "30", "reset_period": "daily", "expires_at": None}
        assert second.after["expires_at"].startswith("2027-06-01")

    def test_outlive_a_change_of_the_time_zone(self):
        """Until the date that was set nothing changes, and no charge falls between two periods."""
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 3)
        Organization.objects.filter(pk=team.pk).update(time_zone="America/New_York")
        with make.at(TUESDAY):
            make.charged(team, user, 4)
        own = make.allocation(team, user)
        assert (own.used, own.opened_at, own.resets_at) == (4, utc("2027-03-02"), utc("2027-03-02T05:00"))


class TestSharingOutWhileAResetIsDue:
    def test_lowering_resets_first_so_it_is_not_held_up_by_the_period_before(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 20)
        with make.at(TUESDAY):
            make.allocate(team, user, 15)
            assert figures(team, user) == (15, 15, 0, 0)
            make.charged(team, user, 10)
            with pytest.raises(AllocationInUse):
                make.allocate(team, user, 9)

    def test_others_who_are_due_come_before_what_is_given_now(self):
        team = make.team(40)
        with make.at(MONDAY):
            first = daily(team)
            second = make.member(team)
            make.charged(team, first, 30)
        with make.at(TUESDAY), pytest.raises(InsufficientCredits):
            make.allocate(team, second, 10)
        with make.at(TUESDAY):
            tasks.reset_allocations()
        assert figures(team, first) == (10, 10, 0, 0)

    def test_revoking_returns_what_is_there(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 20)
        with make.at(TUESDAY):
            make.revoke(team, user)
            assert tasks.reset_allocations() == 0
        assert make.pool(team).available == 80


class TestALook:
    def test_brings_all_pools_of_the_organization_up_to_date_and_nothing_else(self):
        team, other = make.team(200), make.team(100)
        department = make.department(team, 50)
        with make.at(MONDAY):
            user, stranger = daily(team), daily(other)
            inside = make.member(team, department=department)
            make.allocate(team, inside, 20, reset_period="daily")
            for of, who in ((team, user), (team, inside), (other, stranger)):
                make.charged(of, who, 10)
        with make.at(TUESDAY):
            resets.refresh(team)
            assert [figures(team, who)[3] for who in (user, inside)] == [0, 0]
            assert figures(other, stranger)[3] == 10
            resets.refresh_of(stranger)
            assert figures(other, stranger)[3] == 0

    def test_asks_one_question_when_nothing_is_due(self):
        team = make.team(100)
        daily(team)
        with CaptureQueriesContext(connection) as queries:
            resets.refresh(team)
        assert len(queries) <= 1

    def test_settles_a_debt_from_what_came_back(self):
        team = make.team(30)
        with make.at(MONDAY):
            user = daily(team)
            make.captured(make.held(team, None, 0), 5)
            Allocation.objects.update(amount=22)
        with make.at(TUESDAY):
            resets.refresh(team)
        assert (figures(team, user)[0], make.pool(team).available) == (22, 3)


class TestEvidence:
    @pytest.mark.parametrize(
        "sql", ["UPDATE credits_allocationreset SET used = 0", "DELETE FROM credits_allocationreset"]
    )
    def test_is_never_changed(self, sql):
        team = make.team(100)
        with make.at(MONDAY):
            daily(team)
        with make.at(TUESDAY):
            tasks.reset_allocations()
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    def test_rebuilds_to_the_byte_and_mends_a_wrong_figure(self):
        team = make.team(100)
        with make.at(MONDAY):
            user = daily(team)
            make.charged(team, user, 12)
        with make.at(TUESDAY):
            tasks.reset_allocations()
            make.charged(team, user, 5)
        with transaction.atomic():
            assert rebuilding.differences(organization=team) == []
        Allocation.objects.update(used=9, remaining=Decimal("1.5"))
        assert reconcile.prove(organization=team)
        with transaction.atomic():
            rebuilding.rebuild(organization=team, by=books.SYSTEM)
        assert figures(team, user) == (30, 25, 0, 5)

    def test_is_written_in_sets_as_many_statements_for_many_members_as_for_two(self):
        counts = []
        for members in (2, 20):
            team = make.team(10_000)
            with make.at(MONDAY):
                for _ in range(members):
                    daily(team, 3)
            with make.at(TUESDAY), CaptureQueriesContext(connection) as queries:
                assert tasks.reset_allocations() == members
            counts.append(len(queries))
        assert counts[0] == counts[1]


def test_a_month_of_days_adds_up():
    """Σ used over the resets and the present period is all that was spent (I23)."""
    team = make.team(10_000)
    with make.at(MONDAY):
        user = daily(team, 50)
    for day in range(0, 31, 2):
        with make.at((utc(MONDAY) + timedelta(days=day)).isoformat()[:19]):
            make.charged(team, user, day + 1)
    own = make.allocation(team, user)
    ended = AllocationReset.objects.filter(allocation=own)
    assert ended.count() == 15
    assert sum(one.used for one in ended) + own.used == own.spent == 256


@pytest.mark.slow
def test_five_thousand_members_reset_in_one_go():
    """Of one pool, in one transaction, while its row is locked: far below what a lock may wait, on a busy machine too."""
    team = make.team(1_000_000)
    first = daily(team)
    make.charged(team, first, 10)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            """
            WITH people AS (
              INSERT INTO orgs_user SELECT made.* FROM orgs_user u, generate_series(1, 4999) n, LATERAL jsonb_populate_record(u,
                jsonb_build_object('id', gen_random_uuid(), 'public_id', 'usr_load' || n, 'email', n || '@load.example')) made
              WHERE u.id = %s RETURNING id
            ), given AS (
              INSERT INTO credits_allocation SELECT made.* FROM credits_allocation a, people p, LATERAL jsonb_populate_record(a,
                jsonb_build_object('id', nextval(pg_get_serial_sequence('credits_allocation', 'id')), 'user_id', p.id,
                  'used', 0, 'spent', 0, 'remaining', 20, 'amount', 30)) made WHERE a.user_id = %s RETURNING *
            ), entered AS (
              INSERT INTO credits_ledgerentry (id, organization_id, kind, amount, source_pool_id, target_allocation_id, reason,
                made_by, created_at)
              SELECT gen_random_uuid(), organization_id, 'allocate', 20, pool_id, id, '', 'portal', now() FROM given
            )
            UPDATE credits_creditpool SET available = available - 20 * 4999 WHERE organization_id = %s
            """,
            [first.pk.hex, first.pk.hex, team.pk],
        )
    with make.later("1 day"):
        began = time.perf_counter()
        with transaction.atomic():
            assert len(resets.run(pool_id=make.pool(team).pk)) == 5000
        seconds = time.perf_counter() - began
    sys.stdout.write(f"5,000 allocations in {seconds:.2f} s\n")
    assert make.pool(team).available == 1_000_000 - 10 - 30 * 5000
    assert seconds < 5

"""Refused holds and charges are counted exactly, and told to the audit log once an hour, member and limit."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from credits.ledger import statements
from credits.ledger.payers import InsufficientCredits
from credits.limits import refusals
from credits.models import Refusal
from kit.errors import DomainError
from orgs.audit import events
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted():
    refusals.forget()
    yield
    refusals.forget()


@pytest.fixture
def team():
    return make.team(1000)


@pytest.fixture
def member(team):
    return make.member(team, 100)


def refuse(team, user, times=1, cost=500):
    for _ in range(times):
        [outcome] = make.settle(make.charge(team, user, cost))
        assert isinstance(outcome, DomainError), outcome


def too_little():
    return InsufficientCredits(kind="pool", scope="", needed=Decimal(5), remaining=Decimal(1))


def counted(team):
    rows = Refusal.objects.filter(organization=team).order_by("pk")
    return [(row.code, row.limit, row.count) for row in rows]


class TestCounting:
    def test_the_first_is_written_at_once_and_says_which_limit_bit(self, team, member):
        refuse(team, member, cost=150)
        row = Refusal.objects.get()
        assert (row.user, row.code, row.limit, row.scope) == (
            member,
            "insufficient_credits",
            "allocation",
            team.public_id,
        )
        assert (row.count, row.needed, row.remaining) == (1, "150", "100")
        assert row.hour <= row.first_at == row.last_at < row.hour + timedelta(hours=1)

    def test_repeats_are_added_up_and_written_later_by_whoever_settles_next(self, team, member, monkeypatch):
        refuse(team, member, 7)
        assert counted(team) == [("insufficient_credits", "allocation", 1)]
        monkeypatch.setattr(refusals, "_BETWEEN_WRITES", 0)
        make.charged(team, member, 1)  # a request that succeeds
        assert counted(team) == [("insufficient_credits", "allocation", 7)]

    def test_nothing_is_counted_twice_whichever_way_a_request_is_settled(self, team, member):
        outcomes = make.settle(*(make.charge(team, member, 500) for _ in range(5)))
        refusals.flush()
        assert len([one for one in outcomes if isinstance(one, DomainError)]) == 5
        assert counted(team) == [("insufficient_credits", "allocation", 5)]

    def test_each_member_code_and_limit_has_its_own_count(self, team, member):
        other = make.member(team)
        refuse(team, member, 2)
        refuse(team, other, 3, cost=5000)
        refuse(team, None, 1, cost=5000)
        Organization.objects.filter(pk=team.pk).update(status="suspended")
        refuse(team, other, 4, cost=1)
        refusals.flush()
        found = Refusal.objects.values_list("user", "code", "limit", "count")
        assert sorted(found, key=str) == sorted(
            [
                (member.pk, "insufficient_credits", "allocation", 2),
                (other.pk, "insufficient_credits", "pool", 3),
                (None, "insufficient_credits", "pool", 1),
                (other.pk, "organization_suspended", "organization_suspended", 4),
            ],
            key=str,
        )

    def test_a_quota_counts_and_what_is_malformed_or_repeated_with_other_content_does_not(self, member):
        small = make.team(100, unlimited=False)
        make.limit_calls(small, day=1)
        user = make.member(small, 10)
        make.charged(small, user, 1, key="one")
        make.settle(make.charge(small, user, 2, key="one"))  # idempotency_conflict
        refuse(small, user, 1, cost=1)
        refusals.flush()
        assert counted(small) == [("quota_exceeded", "quota", 1)]

    def test_no_request_fails_by_it_and_the_count_is_kept(self, team, member, monkeypatch):
        def broken(*_):
            raise OperationalError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(statements, "rows", broken)
            refusals.note([make.charge(team, member, 500)], [too_little()])
        assert Refusal.objects.count() == 0
        refusals.flush()
        assert counted(team) == [("insufficient_credits", "pool", 1)]

    def test_threads_that_are_refused_at_once_are_all_counted(self, team, member):
        command, refusal = make.charge(team, member, 500), too_little()
        memory = refusals._memory
        start = threading.Barrier(8)

        def count():
            start.wait()
            for _ in range(50):
                key, tally = refusals._tally(command, refusal, 1.0)
                memory.give_back(memory.add({key: tally}, 1.0))

        threads = [threading.Thread(target=count) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        refusals.flush()
        assert counted(team) == [("insufficient_credits", "pool", 400)]


class TestTelling:
    def test_one_event_an_hour_member_and_limit_and_no_hour_twice(self, team, member):
        refuse(team, member, 3, cost=150)
        refusals.flush()
        assert refusals.audit_due() == 0  # the hour is not over
        with make.later("2 hours"):
            assert refusals.audit_due() == 1
            assert refusals.audit_due() == 0
        event = AuditEvent.objects.get(action="spending.refused")
        assert (event.organization, event.target, event.actor) == (
            team.public_id,
            member.public_id,
            "portal",
        )
        assert event.after | {"first_at": "", "last_at": ""} == {
            "code": "insufficient_credits",
            "limit": "allocation",
            "scope": team.public_id,
            "count": 3,
            "needed": "150",
            "remaining": "100",
            "first_at": "",
            "last_at": "",
        }
        assert list(events.verify(organization=team.public_id)) == []

    def test_what_comes_in_after_its_hour_was_told_counts_in_the_present_one(self, team, member):
        refuse(team, member, 4)
        with make.later("3 hours"):
            refusals.audit_due()  # 1 of the 4: the process had not written the rest
            memory = refusals._memory
            for tally in memory.pending.values():  # as if those three hours had passed
                tally.first -= 3 * 3600
                tally.last -= 3 * 3600
            refusals.flush()
            assert [count for *_, count in counted(team)] == [1, 3]
        with make.later("5 hours"):
            refusals.audit_due()
        told = AuditEvent.objects.filter(action="spending.refused").values_list("after__count", flat=True)
        assert sorted(told) == [1, 3]

    def test_many_organizations_and_hours_are_all_told(self, team, member):
        other = make.team(10)
        refuse(other, make.member(other), 1, cost=100)
        for hours in (0, 2, 4):
            with make.later(f"{hours} hours"):
                refusals.forget()
                refuse(team, member)
        with make.later("9 hours"):
            assert refusals.audit_due() == 4
        assert Refusal.objects.filter(audited_at=None).count() == 0
        assert AuditEvent.objects.filter(action="spending.refused").count() == 4

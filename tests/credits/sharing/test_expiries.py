"""Expiries of allocations: a limit of nothing from that instant on, and what is unspent returns."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from credits import tasks
from credits.ledger import checking
from credits.ledger.payers import InsufficientCredits
from credits.models import AllocationReset, LedgerEntry
from credits.sharing import expiries, resets
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

MONDAY = "2027-03-01T12:00"
NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)
BEFORE = "2027-03-02T11:59:30"
AFTER = "2027-03-02T12:00:01"


def until_noon(team, credits=30, **terms):
    with make.at(MONDAY):
        user = make.member(team)
        make.allocate(team, user, credits, expires_at=NOON, **terms)
    return user


def figures(team, user):
    own = make.allocation(team, user)
    return own.remaining, own.held, own.used


def test_the_rest_returns_and_the_row_says_that_it_expired():
    team = make.team(100)
    user = until_noon(team, reset_period="weekly")
    with make.at(BEFORE):
        make.charged(team, user, 12)
        assert tasks.expire_allocations() == 0
    with make.at(AFTER):
        assert (tasks.expire_allocations(), tasks.expire_allocations()) == (1, 0)
    own = make.allocation(team, user)
    assert (own.remaining, own.expires_at, own.reset_period, own.resets_at) == (0, NOON, "never", None)
    assert own.closed_at > NOON
    assert own.is_limited
    assert make.pool(team).available == 88
    entry = LedgerEntry.objects.get(kind="deallocate")
    assert (entry.amount, entry.reason, entry.made_by) == (18, "expired", "portal")
    event = AuditEvent.objects.get(action="allocation.expired")
    assert (event.target, event.before, event.after["allocated"], event.after["returned"]) == (
        user.public_id,
        {"allocated": "30"},
        "12",
        "18",
    )


@pytest.mark.parametrize("mode", ["never", "without_allocation", "always"])
def test_before_the_job_came_by_it_is_a_limit_of_nothing_in_every_mode(mode):
    team = make.team(100, shared_spending=mode)
    user = until_noon(team)
    with make.at(BEFORE):
        make.charged(team, user, 1)
    with make.at(AFTER):
        for outcome in make.settle(make.hold(team, user, 1), make.charge(team, user, 1)):
            assert isinstance(outcome, InsufficientCredits)
            assert outcome.details["limit"]["kind"] == "allocation"
            assert outcome.details["limit"]["remaining"] == "0"
        assert isinstance(checking.check(make.hold(team, user, 1)).refusal, InsufficientCredits)
        assert make.settled(make.charge(team, user, 0)).payer is None
    assert figures(team, user) == (29, 0, 1)


def test_a_hold_of_it_runs_to_its_end_and_takes_no_more_than_it_held():
    """Law: never refused, and the rest returned: whether the job came by before the capture or not."""
    ends = []
    for job in (True, False):
        team = make.team(100)
        user = until_noon(team)
        with make.at(BEFORE):
            holds = [make.held(team, user, 5), make.held(team, user, 7)]
        with make.at(AFTER):
            if job:
                tasks.expire_allocations()
            charge = make.captured(holds[0], 9).charge
            make.settled(make.release(holds[1]))
        ends.append((charge.credits, charge.shortfall, figures(team, user), make.pool(team).available))
    assert ends[0] == ends[1] == (5, 4, (0, 0, 5), 91)


def test_one_that_expired_and_is_due_ends_and_does_not_reset():
    team = make.team(100)
    user = until_noon(team, reset_period="daily")
    with make.at(MONDAY):
        make.charged(team, user, 30)
    with make.at("2027-03-04T12:00"):
        assert tasks.reset_allocations() == 0
        [refused] = make.settle(make.charge(team, user, 1))
        assert refused.details["limit"]["resets_at"] is None
        resets.refresh(team)
    assert make.allocation(team, user).closed_at is not None
    assert not AllocationReset.objects.exists()
    assert make.pool(team).available == 70


def test_a_look_closes_it_too_and_settles_what_is_owed():
    team = make.team(30)
    user = until_noon(team)
    with make.at(BEFORE):
        make.captured(make.held(team, None, 0), 4)
    with make.at(AFTER):
        resets.refresh(team)
    assert make.allocation(team, user).closed_at is not None
    assert make.pool(team).available == 26


def test_giving_anew_closes_the_old_one_first():
    team = make.team(30)
    user = until_noon(team)
    with make.at(BEFORE):
        make.charged(team, user, 10)
        hold = make.held(team, user, 2)
    with make.at(AFTER):
        make.allocate(team, user, 18)
        own = make.allocation(team, user)
        assert (own.allocated, own.used, own.held, own.expires_at, own.closed_at) == (18, 0, 2, None, None)
        make.captured(hold, 2)
    assert AuditEvent.objects.filter(action="allocation.expired").count() == 1
    assert make.pool(team).available == 2


def test_a_later_date_keeps_it_open_and_none_for_ever():
    team = make.team(100)
    user = until_noon(team)
    with make.at(BEFORE):
        make.allocate(team, user, 30, expires_at=datetime(2027, 4, 1, tzinfo=UTC))
    with make.at(AFTER):
        assert tasks.expire_allocations() == 0
        make.allocate(team, user, 30, expires_at=None)
    with make.at("2028-01-01T00:00"):
        assert tasks.expire_allocations() == 0
        make.charged(team, user, 1)


def test_revoking_what_expired_says_revoked():
    team = make.team(100)
    user = until_noon(team)
    with make.at(AFTER):
        tasks.expire_allocations()
        make.revoke(team, user, limited=False)
        assert make.settled(make.charge(team, user, 1)).payer.kind == "pool"
    assert make.allocation(team, user).expires_at is None


def test_more_than_one_transaction_takes_end_in_several(monkeypatch):
    monkeypatch.setattr(expiries, "_TOGETHER", 2)
    team = make.team(100)
    users = [until_noon(team, 3) for _ in range(5)]
    with make.at(AFTER):
        with transaction.atomic():
            assert len(expiries.run(pool_id=make.pool(team).pk)) == 2
        assert tasks.expire_allocations() == 3
    assert {figures(team, user) for user in users} == {(0, 0, 0)}
    assert make.pool(team).available == 100

"""Resets raced by themselves, by spending and by lowering: once each, amounts restored in full, no deadlock."""

import pytest
from django.db import connection

from credits.ledger import combining, reconcile
from credits.ledger.rounds import Attempt, Round
from credits.models import AllocationReset
from credits.sharing import expiries, resets
from kit import transactions
from kit.errors import DomainError
from tests.concurrency.racing import (
    in_another_session,
    race,
    tally,
    until_known,
    wait_for_a_lock,
    without_locks,
)
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


def exhausted(team, credits=20):
    """Make a member whose amount is restored each day and is all used by now."""
    user = make.member(team)
    make.allocate(team, user, credits, reset_period="daily")
    make.charged(team, user, credits)
    return user


def make_due():
    """Let the period of every allocation end in this moment."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credits_allocation SET resets_at = portal_clock() WHERE resets_at IS NOT NULL")


def spend(team, user, credits=1):
    command = make.charge(team, user, credits)
    return lambda: until_known(lambda: combining.submit(command))


def reset(team):
    def run():
        with transactions.durable():
            resets.run(pool_id=make.pool(team).pk)

    return run


def lower(team, user, credits):
    def run():
        try:
            make.allocate(team, user, credits)
        except DomainError as refusal:
            return refusal
        return "lowered"

    return run


def test_a_reset_that_is_raced_by_itself_and_by_spending_is_made_once_and_nobody_spends_more(deadlocks):
    team = make.team(1000)
    users = [exhausted(team) for _ in range(4)]
    make_due()
    jobs = [reset(team), reset(team), lambda: resets.refresh(team), resets.run_due, reset(team)]
    clients = [spend(team, users[n % 4]) for n in range(100)] + [spend(team, None) for _ in range(10)]
    outcomes = race([*jobs, *clients])
    assert tally(outcomes[len(jobs) :]) == {"done": 90, "insufficient_credits": 20}
    assert all(not isinstance(one, BaseException) for one in outcomes[: len(jobs)]), outcomes[: len(jobs)]
    assert AllocationReset.objects.count() == 4
    for user in users:
        own = make.allocation(team, user)
        assert (own.used, own.remaining, own.spent) == (20, 0, 40)
    assert make.pool(team).available == 1000 - 4 * 40 - 10
    assert deadlocks() == 0


def test_a_reset_waits_for_a_request_that_was_decided_before_the_date_and_counts_it():
    team = make.team(1000)
    user = make.member(team)
    make.allocate(team, user, 20, reset_period="daily")
    make.charged(team, user, 5)

    def decide():
        Round([Attempt(make.charge(team, user, 4))], skip_locked=False).run()

    def reset_tomorrow():
        make.move_clock("1 day")
        return resets.run_due()

    with in_another_session(decide) as commit:
        assert race([reset_tomorrow, lambda: (wait_for_a_lock(), commit())])[0] == 1
    ended = AllocationReset.objects.get()
    assert (ended.used, ended.remaining, ended.topped_up) == (9, 11, 9)
    own = make.allocation(team, user)
    assert (own.remaining, own.used, own.spent) == (20, 0, 9)


def test_a_reset_that_is_raced_by_lowering_keeps_what_was_used_since(deadlocks):
    team = make.team(1000)
    users = [exhausted(team) for _ in range(3)]
    make_due()
    acts = [lower(team, user, 5) for user in users for _ in range(3)]
    clients = [spend(team, users[n % 3]) for n in range(60)]
    outcomes = race([*clients[:30], *acts, reset(team), *clients[30:]])
    assert set(tally(outcomes)) <= {
        "done",
        "insufficient_credits",
        "allocation_in_use",
        "str: lowered",
        "NoneType: None",
    }
    assert AllocationReset.objects.count() == 3
    for user in users:
        own = make.allocation(team, user)
        assert own.allocated == own.amount == (20 if own.used > 5 or own.remaining else 5)
    assert deadlocks() == 0


def test_an_expiry_that_is_raced_by_captures_gives_each_credit_back_once(deadlocks):
    team = make.team(1000)
    user = make.member(team)
    make.allocate(team, user, 40, reset_period="daily")
    holds = [make.held(team, user, 1) for _ in range(20)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credits_allocation SET expires_at = portal_clock()")
    ends = [make.capture(hold, 2) if n % 2 else make.release(hold) for n, hold in enumerate(holds)]
    outcomes = race(
        [
            expiries.run_due,
            expiries.run_due,
            *[lambda end=end: until_known(lambda: combining.submit(end)) for end in ends],
        ]
    )
    assert tally(outcomes[2:]) == {"done": 20}
    own = make.allocation(team, user)
    assert (own.remaining, own.held, own.used) == (0, 0, 10)
    assert own.closed_at is not None
    assert make.pool(team).available == 980  # ten captures left a shortfall of one each, which the pool paid
    assert deadlocks() == 0


@pytest.mark.breaks_the_ledger("without the lock credits are given twice, which is the point")
def test_without_the_lock_a_reset_and_a_spend_break_the_books(monkeypatch):
    """Negative control: the race must be seen where nothing prevents it."""
    team = make.team(1000)
    for _ in range(4):
        exhausted(team)
    make_due()
    without_locks(monkeypatch)
    race([reset(team), *[spend(team, None, 3) for _ in range(20)]])
    assert {one.law for one in reconcile.prove(organization=team)} >= {"pool balances", "conservation"}

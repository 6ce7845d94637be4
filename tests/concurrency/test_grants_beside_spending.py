"""Burning, expiring, withdrawing and proving beside charges, allocations and reversals: no deadlock, no law broken (I21)."""

import random
import time
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import OperationalError, transaction
from django.db.models import QuerySet

from credits.ledger import burndown, combining, expiries, holds, payers, reconcile, withdrawals
from credits.models import Grant, GrantBalance, UsageRecord
from kit import transactions
from kit.errors import DomainError
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import race, tally, without_locks
from tests.concurrency.test_deadlocks import EXPECTED, Office
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

SECONDS = 6.0


class Treasury(Office):
    """The office, and everything that ends grants."""

    def ends(self, chance):
        credits = Decimal(chance.randint(1, 25))
        return chance.choice(
            [
                lambda: make.burn(self.team),
                burndown.burn_due,
                lambda: make.expire_grants(self.team),
                expiries.expire_due,
                lambda: make.grant(
                    self.team, credits, lives=timedelta(milliseconds=chance.randint(300, 900))
                ),
                lambda: self.withdraw_any(credits, chance),
                holds.expire_due,
                holds.settle_debts,
                lambda: self.hold_briefly(chance),
                lambda: self.reverse_any(chance),
            ]
        )

    def hold_briefly(self, chance):
        return combining.submit(make.hold(self.team, chance.choice(self.users), 3, ttl=1))

    def withdraw_any(self, credits, chance):
        grant = chance.choice(list(Grant.objects.filter(organization=self.team)))
        with transactions.durable():
            return withdrawals.withdraw(
                organization=self.team,
                grant_source=grant.source,
                grant_reference=grant.reference,
                credits=credits,
                reference=f"refund {chance.random()}",
                reason="refunded",
                by=SYSTEM,
            )


def work(acts, chance, until):
    outcomes = []
    while time.monotonic() < until:
        try:
            outcomes.append(acts(chance)())
        except DomainError as refusal:
            outcomes.append(refusal)
        except (
            OperationalError
        ) as error:  # a lock that was not free in two seconds: a page or job tries again
            if not transactions.is_busy(error) or "deadlock" in str(error):
                raise
    return outcomes


def test_what_ends_grants_and_what_spends_them_side_by_side_never_deadlock(deadlocks):
    office = Treasury()
    until = time.monotonic() + SECONDS
    acts = [office.acts] * 6 + [office.ends] * 4
    workers = [
        lambda seed=seed, one=one: work(one, random.Random(seed), until) for seed, one in enumerate(acts)
    ]

    def prove():
        found = []
        while time.monotonic() < until:
            found += reconcile.prove(organization=office.team)
        return found

    *results, violations = race([*workers, prove])
    assert [one for one in results if not isinstance(one, list)] == []
    assert violations == []
    unexpected = {
        kind
        for kind in tally(outcome for many in results for outcome in many)
        if kind not in EXPECTED and kind.partition(":")[0] not in KINDS
    }
    assert (unexpected, deadlocks()) == (set(), 0)
    make.burn(office.team)
    assert not list(reconcile.prove(organization=office.team))
    assert {one.kind for one in UsageRecord.objects.all()} >= {"charge", "reversal"}


KINDS = {"Allocation", "NoneType", "Grant", "Reversed", "Withdrawal", "int", "Decimal"}


def test_burning_side_by_side_assigns_each_credit_once(deadlocks):
    team = make.team()
    for _ in range(5):
        make.grant(team, 10)
    make.charged(team, None, 37)
    race([lambda: make.burn(team)] * 8)
    consumed = [one.consumed for one in GrantBalance.objects.order_by("grant__created_at", "pk")]
    assert consumed == [10, 10, 10, 7, 0]
    assert deadlocks() == 0


def test_a_grant_expires_once_however_many_jobs_find_it(deadlocks):
    team = make.team(5)
    make.grant(team, 50, lives=timedelta(milliseconds=100))
    time.sleep(0.15)
    taken = race([lambda: make.expire_grants(team)] * 8)
    assert sorted(taken) == [0] * 7 + [50]
    assert (make.pool(team).available, deadlocks()) == (5, 0)


@pytest.mark.breaks_the_ledger("the locks are taken out")
def test_without_the_locks_on_pool_and_grants_a_grant_does_not_expire_once(monkeypatch):
    """Negative control: the same race, each job deciding on the pool and grants as it first saw them (either lock is enough)."""
    team = make.team(500)
    make.grant(team, 50, lives=timedelta(milliseconds=100))
    time.sleep(0.15)
    without_locks(monkeypatch)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)
    taken = race([lambda: make.expire_grants(team)] * 8)
    assert sorted(str(one) for one in taken) != sorted(["0"] * 7 + ["50.000000"])


def test_a_grant_locked_before_its_pool_does_deadlock(deadlocks):
    """Negative control: what takes a grant first and then the pool meets what takes them in the ledger's order."""
    team = make.team(10)
    pool = ("pool", make.pool(team).pk)
    both = Barrier(2)

    def in_order():
        with transaction.atomic():
            payers.lock([pool])
            both.wait(timeout=5)
            burndown.lock(organization_ids=[team.pk])

    def backwards():
        with transaction.atomic():
            burndown.lock(organization_ids=[team.pk])
            both.wait(timeout=5)
            payers.lock([pool])

    outcomes = race([in_order, backwards])
    assert [type(one) for one in outcomes].count(OperationalError) == 1
    assert deadlocks() == 1


def test_a_hundred_parallel_charges_of_a_twentieth_all_succeed_with_a_row_each():
    team = make.team(10_000)
    outcomes = race([lambda: combining.submit(make.charge(team, None, "0.05"))] * 100)
    assert tally(outcomes) == {"done": 100}
    assert (make.pool(team).spent, make.pool(team).available) == (5, 9_995)
    assert UsageRecord.objects.filter(kind="charge", credits="0.05").count() == 100


def test_twenty_first_grants_at_once_all_arrive_in_one_pool(deadlocks):
    team = make.team(0)
    outcomes = race([lambda: make.grant(team, 10)] * 20)
    assert {type(one) for one in outcomes} == {Grant}
    assert (make.pool(team).available, deadlocks()) == (200, 0)

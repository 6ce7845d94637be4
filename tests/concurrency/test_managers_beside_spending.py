"""Fifty who share out beside two hundred who spend: the laws hold, nothing deadlocks, nobody goes below what is used and held."""

import random
from decimal import Decimal

import pytest
from django.db import transaction

from credits.ledger import combining, reconcile
from credits.models import Allocation
from credits.sharing import allocations, transfers
from credits.sharing.allocations import Share
from kit import transactions
from kit.errors import DomainError, TryAgain
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import race, tally, until_known, without_locks
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

MANAGERS, CLIENTS, ACTS = 50, 200, 5
EXPECTED = {
    "done",
    "list",
    "Allocation",
    "tuple",
    "NoneType",
    "insufficient_credits",
    "allocation_in_use",
    "not_found",
    "conflict",
    "hold_ended",
}


class Company:
    """Five funded departments of eight people each, with shares of 40 credits."""

    def __init__(self):
        self.team = make.team(5_000)
        self.departments = [make.department(self.team, 500) for _ in range(5)]
        self.people = [
            [make.member(self.team, 40, department=department) for _ in range(8)]
            for department in self.departments
        ]

    def share_out(self, chance):
        """Do one thing that a manager of a department, or an owner, does."""
        place = chance.randrange(5)
        people = self.people[place]
        some = chance.sample(people, 3)
        amount = Decimal(chance.randint(0, 60))
        return chance.choice(
            [
                lambda: self._assign(some, amount, "set"),
                lambda: self._assign(some[:1], amount, "set"),
                lambda: self._assign(some, Decimal(5), "add"),
                lambda: make.revoke(self.team, some[0]),
                lambda: self._fund(place, chance.choice([Decimal(20), Decimal(-20)])),
            ]
        )

    def spend(self, chance):
        """Do one thing that a gateway does."""
        user = chance.choice(chance.choice(self.people))
        credits = Decimal(chance.randint(1, 12))
        if chance.random() < 0.5:
            return lambda: combining.submit(make.charge(self.team, user, credits))
        return lambda: self._hold_and_end(user, credits, chance)

    def _assign(self, users, amount, mode):
        shares = [Share(user=user, credits=amount, mode=mode) for user in users]
        with transactions.durable():
            return allocations.assign_all(organization=self.team, shares=shares, by=SYSTEM)

    def _fund(self, place, credits):
        with transactions.durable():
            return transfers.move(department=self.departments[place], credits=credits, by=SYSTEM)

    def _hold_and_end(self, user, credits, chance):
        placed = combining.submit(make.hold(self.team, user, credits))
        if isinstance(placed, DomainError):
            return placed
        end = make.capture(placed.hold.pk, credits * chance.randint(0, 2))
        return combining.submit(chance.choice([end, make.release(placed.hold.pk)]))


def acts(one, chance):
    """Run a few acts as a client does: what was busy is sent again."""
    outcomes = []
    for _ in range(ACTS):
        act = one(chance)

        def tried(act=act):
            try:
                return act()
            except DomainError as refusal:
                return refusal
            except Exception as error:
                if transactions.is_busy(error) and "deadlock" not in str(error):
                    return TryAgain()
                raise

        outcomes.append(until_known(tried))
    return outcomes


def test_fifty_managers_and_two_hundred_clients_side_by_side(deadlocks):
    company = Company()
    workers = [lambda seed=seed: acts(company.share_out, random.Random(seed)) for seed in range(MANAGERS)]
    workers += [lambda seed=seed: acts(company.spend, random.Random(1000 + seed)) for seed in range(CLIENTS)]
    results = race(workers, seconds=120)
    assert [one for one in results if not isinstance(one, list)] == []
    counted = tally(outcome for many in results for outcome in many)
    assert {kind.partition(":")[0] for kind in counted} <= EXPECTED
    assert counted["done"] > CLIENTS
    assert deadlocks() == 0
    assert list(reconcile.prove(organization=company.team)) == []


def test_lowering_to_what_is_used_never_takes_what_a_client_spends_meanwhile(deadlocks):
    """40 clients spend 1 of 30 each while 10 managers lower to 5: used + held + remaining is the amount set, always."""
    team = make.team(1_000)
    user = make.member(team, 30)

    def lower():
        with transactions.durable():
            share = Share(user=user, credits=Decimal(5))
            return allocations.assign(organization=team, share=share, by=SYSTEM)

    spenders = [lambda: combining.submit(make.charge(team, user, 1))] * 40
    outcomes = race([*spenders[:20], *([lower] * 10), *spenders[20:]])
    charged = tally(outcomes)["done"]
    row = Allocation.objects.get(user=user)
    assert row.used == charged
    assert row.allocated in (max(5, charged), 30)
    assert deadlocks() == 0


@pytest.mark.breaks_the_ledger("the locks are taken out")
def test_without_the_lock_lowering_gives_away_what_was_spent(monkeypatch):
    """Negative control: the same race on a row that nobody locks breaks a law."""
    team = make.team(1_000)
    user = make.member(team, 30)
    without_locks(monkeypatch)

    def lower():
        with transaction.atomic():
            share = Share(user=user, credits=Decimal(5))
            return allocations.assign(organization=team, share=share, by=SYSTEM)

    race([*([lambda: combining.submit(make.charge(team, user, 1))] * 20), *([lower] * 10)])
    assert list(reconcile.prove(organization=team)) != []

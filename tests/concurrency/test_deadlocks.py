"""Everything that moves credits, side by side: no deadlock, and the laws hold afterwards."""

import random
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import OperationalError, transaction

from credits.ledger import combining, payers, reconcile
from credits.models import Allocation, CreditPool, UsageRecord
from kit import transactions
from kit.errors import DomainError
from orgs import departments, memberships
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import in_another_session, race, tally, until_known
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

EXPECTED = {
    "done",
    "replayed",
    "insufficient_credits",
    "allocation_in_use",
    "not_found",
    "hold_ended",
    "validation_error",
    "try_again",
    "idempotency_conflict",
    "conflict",
    "shortfall_open",
}


class Office:
    """A team with two departments and ten people, and every verb there is, with figures of a seeded chance."""

    def __init__(self):
        self.team = make.team(2000, shared_spending="always")
        self.departments = [make.department(self.team, 200) for _ in range(2)]
        self.users = [
            make.member(self.team, 30, department=self.departments[n % 3] if n % 3 < 2 else None)
            for n in range(10)
        ]

    def acts(self, chance):
        user = chance.choice(self.users)
        credits = Decimal(chance.randint(1, 25))
        return chance.choice(
            [
                lambda: combining.submit(make.charge(self.team, user, credits)),
                lambda: self.hold_and_end(user, credits, chance),
                lambda: make.allocate(self.team, user, credits * 2),
                lambda: make.allocate(self.team, user, credits, mode="add"),
                lambda: make.allocate(self.team, user, 1),
                lambda: make.revoke(self.team, user),
                lambda: make.fund(chance.choice(self.departments), chance.choice([credits, -credits])),
                lambda: make.grant(self.team, credits),
                lambda: self.reverse_any(chance),
                lambda: self.move(user, chance),
            ]
        )

    def hold_and_end(self, user, credits, chance):
        placed = combining.submit(make.hold(self.team, user, credits))
        if isinstance(placed, DomainError):
            return placed
        end = chance.choice(
            [make.capture(placed.hold.pk, credits * chance.randint(0, 3)), make.release(placed.hold.pk)]
        )
        return combining.submit(end)

    def reverse_any(self, chance):
        charge = UsageRecord.objects.filter(kind="charge", cost__gt=0).order_by("?").first()
        return make.reversal(charge.pk, chance.choice([None, charge.cost / 2])) if charge else None

    def move(self, user, chance):
        with transactions.durable():
            membership = make.membership(self.team, user)
            memberships.move(
                membership=membership, department=chance.choice([None, *self.departments]), by=SYSTEM
            )


def test_spending_allocating_revoking_transfers_and_reversals_side_by_side_never_deadlock(deadlocks):
    office = Office()

    def work(seed):
        chance, outcomes = random.Random(seed), []
        for _ in range(40):
            try:
                outcomes.append(office.acts(chance)())
            except DomainError as refusal:
                outcomes.append(refusal)
        return outcomes

    results = race([lambda seed=seed: work(seed) for seed in range(12)], seconds=240)
    outcomes = [one for many in results for one in many]
    assert len(outcomes) == 480
    unexpected = {
        kind: count
        for kind, count in tally(outcomes).items()
        if kind not in EXPECTED and not kind.startswith(("Allocation:", "NoneType:", "Grant:", "Reversed:"))
    }
    assert (unexpected, deadlocks()) == ({}, 0)
    assert not list(reconcile.prove(organization=office.team))


def test_archiving_a_department_beside_grants_and_transfers_never_deadlocks(deadlocks):
    """Its members draw on both pools: revoked one by one, the second would wait with the audit head in hand."""
    for _ in range(6):
        team = make.team(1000)
        department = make.department(team)
        early = make.member(team, 10, department=department)
        make.fund(department, 100)
        late = make.member(team, 10, department=department)
        assert {make.allocation(team, user).pool.department_id for user in (early, late)} == {
            None,
            department.pk,
        }

        def archive(department=department):
            with transactions.durable():
                departments.archive(department=department, by=SYSTEM)

        others = [
            lambda team=team: make.grant(team, 5),
            lambda department=department: make.fund(department, 5),
            lambda team=team, early=early: make.revoke(team, early),
        ]
        outcomes = race([archive, *others, *others])
        assert not [one for one in outcomes if isinstance(one, OperationalError)]
    assert deadlocks() == 0


def test_two_orders_of_locking_do_deadlock(deadlocks):
    """Negative control: lock a pool and an allocation in both orders, and PostgreSQL breaks a deadlock that is counted."""
    team = make.team(100)
    user = make.member(team, 10)
    rows = [
        CreditPool.objects.filter(organization=team).select_for_update(no_key=True),
        Allocation.objects.filter(user=user).select_for_update(no_key=True),
    ]
    both = Barrier(2)

    def lock(first, second):
        with transaction.atomic():
            list(first.all())
            both.wait(timeout=5)
            list(second.all())

    outcomes = race([lambda: lock(*rows), lambda: lock(*reversed(rows))])
    assert [type(one) for one in outcomes].count(OperationalError) == 1
    assert deadlocks() == 1


def test_a_reversal_whose_allocation_moves_to_another_pool_meanwhile_is_tried_again():
    team = make.team(200)
    department = make.department(team)
    user = make.member(team, 50, department=department)
    charge = make.charged(team, user, 20)
    make.fund(department, 100)  # the next allocation comes from here
    own = make.allocation(team, user)

    def renew():
        payers.lock([("pool", own.pool_id), ("allocation", own.pk)])
        make.allocate(team, user, 10)

    with in_another_session(renew) as commit:
        from threading import Thread

        from tests.concurrency.racing import wait_for_a_lock

        found = []
        waiting = Thread(target=lambda: found.extend(race([lambda: _reversed(charge)])))
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    assert tally(found) == {"try_again": 1}
    until_known(lambda: _reversed(charge))
    assert UsageRecord.objects.filter(kind="reversal").count() == 1


def _reversed(charge):
    try:
        return make.reversal(charge)
    except DomainError as refusal:
        return refusal

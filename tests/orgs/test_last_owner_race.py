"""Two owners who leave at the same moment: one of them stays. With the control that shows the race is real."""

from collections.abc import Callable
from threading import Barrier, BrokenBarrierError

import pytest

from kit import transactions
from orgs import memberships
from orgs.audit.events import SYSTEM
from orgs.models import Membership
from tests.factories import orgs as make
from tests.orgs.racing import race

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture
def owners():
    second = make.member(make.team(), "owner")
    return list(Membership.objects.filter(organization=second.organization))


def leave(owner: Membership) -> Callable[[], None]:
    def run() -> None:
        with transactions.durable():
            memberships.remove(membership=owner, by=SYSTEM, acting_as="owner")

    return run


def left(owners: list[Membership]) -> int:
    return Membership.objects.live().filter(pk__in=[one.pk for one in owners]).count()


def test_one_owner_stays_when_both_leave_at_once(owners):
    outcomes = race(*(leave(owner) for owner in owners))
    assert left(owners) == 1
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastOwner", "NoneType"]


def test_without_the_lock_both_leave(owners, monkeypatch):
    """Negative control: take the lock out, let both look before either leaves, and no owner is left."""
    both_looked = Barrier(2)
    refuse = memberships._refuse_without_owner

    def look(membership):
        refuse(membership)
        try:
            both_looked.wait(timeout=5)
        except BrokenBarrierError:
            pytest.fail("the owners did not look side by side")

    monkeypatch.setattr(
        memberships,
        "_lock",
        lambda one: Membership.objects.select_related("organization", "user", "department").get(pk=one.pk),
    )
    monkeypatch.setattr(memberships, "_refuse_without_owner", look)
    race(*(leave(owner) for owner in owners))
    assert left(owners) == 0


def test_two_first_needs_make_one_personal_organization():
    from orgs import organizations
    from orgs.models import Organization

    user = make.user()
    outcomes = race(*(lambda: organizations.active_for(user=user).pk for _ in range(4)))
    assert len(set(outcomes)) == 1
    assert Organization.objects.filter(personal_of=user).count() == 1

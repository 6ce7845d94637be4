"""Requests decided by many at once, and imports beside spending: one decision, one import, never half of either."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from credits.ledger import combining
from credits.models import CreditRequest
from credits.sharing import previews, requests
from credits.sharing.allocations import Mode
from credits.sharing.reach import Reach
from credits.sharing.sheets import Line
from kit import transactions
from orgs import memberships
from orgs.audit.events import SYSTEM
from orgs.notices.models import Notice
from tests.concurrency.racing import race, tally
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def in_one(act):
    """Return the act as an entry point runs it."""

    def run():
        with transactions.durable():
            return act()

    return run


def approve(row):
    return in_one(lambda: requests.approve(request=row, by=SYSTEM, now=NOW)[0])


def test_a_request_is_decided_once_whoever_comes_at_once(deadlocks):
    team = make.team(1_000)
    user = make.member(team, 10)
    row = make.ask(team, user, 50)
    others = [
        in_one(lambda verb=verb: verb(request=row, by=SYSTEM, now=NOW))
        for verb in (requests.decline, requests.withdraw)
    ]
    outcomes = race([*[approve(row)] * 6, *others])
    assert tally(outcomes)["conflict"] == 7
    row.refresh_from_db()
    given = 50 if row.status == "approved" else 0
    assert make.allocation(team, user).allocated == 10 + given
    assert Notice.objects.filter(kind="request_decided").count() == (row.status != "withdrawn")
    assert deadlocks() == 0


def test_without_its_lock_a_request_is_approved_more_than_once(monkeypatch):
    """The negative control."""

    def unlocked(request):
        found = CreditRequest.objects.select_related("user", "organization", "department").get(pk=request.pk)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(requests, "_lock", unlocked)
    team = make.team(1_000)
    user = make.member(team, 10)
    race([approve(make.ask(team, user, 50))] * 6)
    assert make.allocation(team, user).allocated > 60


def test_who_leaves_while_being_given_credits_keeps_none_of_them(deadlocks):
    team = make.team(1_000)
    user = make.member(team, 10)
    row, membership = make.ask(team, user, 50), make.membership(team, user)
    leave = in_one(lambda: memberships.remove(membership=membership, by=SYSTEM, acting_as="owner"))
    race([approve(row), leave, approve(row), approve(row)])
    row.refresh_from_db()
    assert row.status in ("approved", "withdrawn")
    assert (make.allocation(team, user).remaining, make.pool(team).available) == (0, 1_000)
    assert deadlocks() == 0


def test_of_two_imports_from_one_preview_one_is_applied_while_members_spend(deadlocks):
    team = make.team(1_000)
    people = [make.member(team, 20) for _ in range(8)]
    lines = [
        Line(number=number, user_id=user.public_id, credits=Decimal(30), mode=Mode.ADD)
        for number, user in enumerate(people, start=2)
    ]
    within = Reach(organization=team, managed=None)
    digest = previews.preview(reach=within, lines=lines).digest
    imports = [in_one(lambda: previews.apply(reach=within, lines=lines, digest=digest, by=SYSTEM))] * 3
    spends = [lambda user=user: combining.submit(make.charge(team, user, 1)) for user in people * 3]
    outcomes = race([*spends[:12], *imports, *spends[12:]])
    counted = tally(outcomes)
    assert (counted["done"], counted["conflict"]) == (24, 2)
    assert {make.allocation(team, user).allocated for user in people} == {50}
    assert deadlocks() == 0

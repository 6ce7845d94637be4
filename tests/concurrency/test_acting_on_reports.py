"""Acting on what was seen a while ago: proposals and idle allocations are looked at again under the locks, in their order."""

from datetime import UTC, datetime
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import OperationalError, transaction

from credits.ledger.rounds import Attempt, Round
from credits.limits import budgets, departments
from credits.models import Allocation, Budget
from credits.reports import idle, proposals
from credits.reports.proposals import Accepted
from kit.errors import Conflict
from orgs.audit import events
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import in_another_session, race, wait_for_a_lock
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture
def team():
    with make.later("-40 days"):
        return make.team(1000)


def apply(team, part, user=None):
    members = {user.public_id: Decimal(20)} if user is not None else {}
    accepted = Accepted(members=members, departments={part.public_id: Decimal(120)})
    with transaction.atomic():
        return proposals.apply(organization=team, accepted=accepted, by=SYSTEM)


def change(budget, *, is_hard=False):
    with transaction.atomic():
        return budgets.change(budget=budget, credits=Decimal(77), is_hard=is_hard, by=SYSTEM)


def beside_a_change(monkeypatch, team, *, is_hard=False, before=lambda: None):
    """Apply a proposal and change its department's budget once the members are locked; returns the outcomes."""
    part, user = make.department(team, 100), make.member(team, 10)
    budget = make.budget(team, 50, is_hard=False, department=part)
    ready, set_all = Event(), departments.set_all

    def when_the_other_has_its_row(**terms):
        before()
        ready.set()
        other.join(timeout=0.3)
        return set_all(**terms)

    def changing():
        ready.wait(10)
        outcomes.extend(race([lambda: change(budget, is_hard=is_hard)]))

    outcomes = []
    monkeypatch.setattr(departments, "set_all", when_the_other_has_its_row)
    other = Thread(target=changing)
    other.start()
    outcomes.extend(race([lambda: apply(team, part, user)]))
    other.join(timeout=10)
    return outcomes, budget


@pytest.mark.parametrize(("is_hard", "last"), [(False, 120), (True, 77)], ids=["soft", "which turns hard"])
def test_a_proposal_is_applied_beside_a_change_of_its_budget(monkeypatch, team, deadlocks, is_hard, last):
    outcomes, budget = beside_a_change(monkeypatch, team, is_hard=is_hard)
    assert not [one for one in outcomes if isinstance(one, BaseException)]
    row = Budget.objects.get(pk=budget.pk)
    assert (row.credits, row.is_hard) == (last, is_hard)
    assert deadlocks() == 0


def test_recorded_before_its_budgets_it_meets_a_deadlock(monkeypatch, team):
    """Negative control: the audit head before the row of a budget."""
    outcomes, _ = beside_a_change(
        monkeypatch,
        team,
        before=lambda: events.record(organization=team.public_id, by=SYSTEM, action="test"),
    )
    assert [one for one in outcomes if isinstance(one, OperationalError)]


def while_it_waits(first, second):
    """Run the second while the first is not committed, commit the first when the second waits; returns its outcome."""
    outcomes = []
    waiter = Thread(target=lambda: outcomes.extend(race([second])))
    with in_another_session(first) as commit:
        waiter.start()
        wait_for_a_lock()
        commit()
        waiter.join(timeout=10)
    return outcomes[0]


def test_a_budget_that_became_hard_meanwhile_stays_hard(team):
    part = make.department(team, 100)
    budget = make.budget(team, 50, is_hard=False, department=part)
    refused = while_it_waits(lambda: change(budget, is_hard=True), lambda: apply(team, part))
    assert isinstance(refused, Conflict), refused
    assert "has a hard budget" in str(refused)
    [row] = Budget.objects.all()
    assert (row.credits, row.is_hard) == (77, True)


def test_who_uses_credits_while_being_revoked_keeps_them(team):
    with make.later("-30 days"):
        busy, quiet = make.member(team, 100), make.member(team, 50)

    def revoke():
        with transaction.atomic():
            return idle.revoke(
                organization=team,
                within=Allocation.objects.filter(organization=team),
                user_ids=[busy.public_id, quiet.public_id],
                days=14,
                now=datetime.now(UTC),
                by=SYSTEM,
            )

    charge = Round([Attempt(make.charge(team, busy, 40))], skip_locked=False)
    refused = while_it_waits(charge.run, revoke)
    assert isinstance(refused, Conflict), refused
    assert [make.allocation(team, one).remaining for one in (busy, quiet)] == [60, 50]

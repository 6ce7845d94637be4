"""Funding a department while it is being archived: no credits are left where nobody can spend them."""

from threading import Thread

import pytest

from credits.models import CreditPool
from orgs import departments
from orgs.audit.events import SYSTEM
from orgs.models import Department
from tests.concurrency.racing import in_another_session, race, wait_for_a_lock
from tests.factories import credits as make

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]


def fund_while_it_is_archived(monkeypatch=None):
    """Return what funding answered that began before the archiving committed, and what both pools have then."""
    team = make.team(100)
    department = make.department(team, 40)
    found = []
    with in_another_session(lambda: departments.archive(department=department, by=SYSTEM)) as commit:
        if monkeypatch is not None:
            rows = type(Department.objects.live())
            monkeypatch.setattr(rows, "select_for_update", lambda self, **_: self)
        waiting = Thread(target=lambda: found.extend(race([lambda: make.fund(department, 10)])))
        waiting.start()
        wait_for_a_lock()
        commit()
        waiting.join(timeout=10)
    left = dict(CreditPool.objects.filter(organization=team).values_list("department", "available"))
    return found[0], left[None], left[department.pk]


def test_what_waited_for_the_archiving_is_refused_and_nothing_is_left_behind():
    answer, own, theirs = fund_while_it_is_archived()
    assert getattr(answer, "code", answer) == "not_found"
    assert (own, theirs) == (100, 0)


@pytest.mark.breaks_the_ledger("credits are stuck in an archived department's pool")
def test_without_the_departments_lock_credits_are_stuck(monkeypatch):
    """Negative control."""
    _, own, theirs = fund_while_it_is_archived(monkeypatch)
    assert (own, theirs) == (90, 10)

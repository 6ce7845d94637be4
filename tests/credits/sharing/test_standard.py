"""What new members are given: by role, if the pool can, and never at the cost of the joining."""

from decimal import Decimal

import pytest
from django.db import OperationalError, transaction

from credits.models import Allocation
from credits.sharing import allocations, standard
from kit.errors import Conflict, NotFound, ValidationError
from orgs import memberships, organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.notices.models import Notice
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db


def put(team, credits: object = 40, *, role: str = "member", period: str = "monthly") -> None:
    with transaction.atomic():
        standard.put(
            organization=team, role=role, credits=Decimal(str(credits)), reset_period=period, by=SYSTEM
        )


def test_a_new_member_of_the_role_is_given_it_and_one_of_another_role_is_not():
    team = make.team(100)
    put(team)
    user = orgs.member(team).user
    row = make.allocation(team, user)
    assert (row.allocated, row.reset_period, make.pool(team).available) == (40, "monthly", 60)
    admin = orgs.member(team, "admin").user
    assert not Allocation.objects.filter(user=admin).exists()


def test_it_comes_from_the_department_where_that_is_funded_and_again_for_who_comes_back():
    team = make.team(100)
    department = make.department(team, 50)
    put(team)
    joined = orgs.member(team, department=department)
    assert (make.pool(department).available, make.pool(team).available) == (10, 50)
    with transaction.atomic():
        memberships.remove(membership=joined, by=SYSTEM, acting_as="owner")
    assert make.pool(department).available == 50
    orgs.member(team, who=joined.user)
    assert (make.allocation(team, joined.user).allocated, make.pool(team).available) == (40, 10)


def test_a_pool_with_too_little_lets_them_join_and_tells_who_may_allocate():
    team = make.team(30)
    put(team)
    joined = orgs.member(team)
    assert joined.ended_at is None
    assert not Allocation.objects.filter(user=joined.user, closed_at=None).exists()
    [notice] = Notice.objects.filter(kind="standard_allocation")
    assert notice.user == team.memberships.get(role="owner").user
    assert "40 credits" in notice.lines[0]


def test_a_busy_pool_lets_them_join_too(monkeypatch):
    team = make.team(100)
    put(team)

    def busy(**_):
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(allocations, "assign", busy)
    assert orgs.member(team).ended_at is None
    assert Notice.objects.filter(kind="standard_allocation").count() == 1


def test_is_audited_when_set_changed_and_removed_and_removed_once():
    team = make.team(100)
    put(team)
    put(team)
    put(team, 50, period="never")
    with transaction.atomic():
        standard.remove(organization=team, role="member", by=SYSTEM)
    found = AuditEvent.objects.filter(action__startswith="standard_allocation").order_by("sequence")
    assert [
        (one.action, one.target, one.before.get("credits"), one.after.get("credits")) for one in found
    ] == [
        ("standard_allocation.set", "member", None, "40"),
        ("standard_allocation.set", "member", "40", "50"),
        ("standard_allocation.removed", "member", "50", None),
    ]
    with pytest.raises(NotFound), transaction.atomic():
        standard.remove(organization=team, role="member", by=SYSTEM)
    assert not Allocation.objects.filter(user=orgs.member(team).user).exists()


def test_refuses_what_cannot_be():
    team = make.team(10)
    for wrong in ({"credits": 0}, {"role": "guest"}, {"period": "yearly"}):
        with pytest.raises(ValidationError):
            put(team, **wrong)
    with pytest.raises(Conflict):
        put(organizations.personal_for(user=orgs.user()))

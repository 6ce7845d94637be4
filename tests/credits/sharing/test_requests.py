"""Asking for more: the evidence, one decision that allocates in the same transaction, both sides told."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction

from credits.ledger.payers import InsufficientCredits
from credits.models import CreditRequest
from credits.sharing import reach, requests
from credits.sharing.requests import NotWaiting
from kit.errors import AlreadyExists, Conflict, PermissionDenied, ValidationError
from orgs import memberships, organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.notices.models import Notice
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def ask(team, user, credits: object = 50, reason: str = "a load test") -> CreditRequest:
    with transaction.atomic():
        return requests.ask(
            organization=team, user=user, credits=Decimal(str(credits)), reason=reason, by=SYSTEM, now=NOW
        )


def decided(verb, request, **fields):
    with transaction.atomic():
        return verb(request=request, by=SYSTEM, now=NOW, **fields)


def told(kind: str) -> set[str]:
    return set(Notice.objects.filter(kind=kind).values_list("user__public_id", flat=True))


def test_asking_keeps_the_evidence_and_tells_who_may_allocate_from_the_pool_once():
    team = make.team(1000)
    user = make.member(team, 100)
    make.charged(team, user, 60)
    row = ask(team, user, reason="  a load\n test ")
    assert (row.status, row.reason, row.evidence["remaining"], row.evidence["used"]) == (
        "pending", "a load test", "40", "60",
    )  # fmt: skip
    owner = team.memberships.get(role="owner").user
    assert told("request_made") == {owner.public_id}
    notice = Notice.objects.get(kind="request_made")
    assert "50 credits" in notice.title
    assert "40 of 100 credits are left." in notice.lines
    assert AuditEvent.objects.filter(action="request.made", target=user.public_id).count() == 1
    with pytest.raises(AlreadyExists):
        ask(team, user, 1)


def test_approving_adds_to_what_the_member_has_and_tells_them():
    team = make.team(1000)
    user = make.member(team, 100)
    row, allocation = decided(requests.approve, ask(team, user), answer="good luck")
    assert (row.status, row.given, allocation.allocated, make.pool(team).available) == (
        "approved",
        50,
        150,
        850,
    )
    assert told("request_decided") == {user.public_id}
    assert Notice.objects.get(kind="request_decided").lines == ["As you had asked.", "Answer: good luck"]
    actions = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert actions[-2:] == ["credits.allocated", "request.approved"]


def test_approving_with_another_amount_gives_that_and_keeps_what_was_asked():
    team = make.team(1000)
    row, allocation = decided(requests.approve, ask(team, make.member(team)), credits=Decimal("12.5"))
    assert (row.credits, row.given, allocation.allocated) == (50, Decimal("12.5"), Decimal("12.5"))


def test_declining_and_withdrawing_move_nothing_and_only_the_first_tells():
    team = make.team(1000)
    user = make.member(team, 100)
    declined = decided(requests.decline, ask(team, user), answer="next month")
    assert (declined.status, declined.answer, told("request_decided")) == (
        "declined", "next month", {user.public_id},
    )  # fmt: skip
    assert decided(requests.withdraw, ask(team, user)).status == "withdrawn"
    assert Notice.objects.filter(kind="request_decided").count() == 1
    assert make.allocation(team, user).allocated == 100


def test_is_decided_once():
    team = make.team(1000)
    row = ask(team, make.member(team, 100))
    decided(requests.approve, row)
    for verb in (requests.approve, requests.decline, requests.withdraw):
        with pytest.raises(NotWaiting):
            decided(verb, row)
    assert make.pool(team).available == 850


def test_more_than_the_pool_has_decides_nothing_and_tells_nobody():
    team = make.team(100)
    row = ask(team, make.member(team, 80))
    with pytest.raises(InsufficientCredits):
        decided(requests.approve, row)
    row.refresh_from_db()
    assert (row.status, told("request_decided")) == ("pending", set())


def test_goes_to_the_managers_of_the_pool_that_would_give():
    team = make.team(1000)
    manager = orgs.member(team)
    department = orgs.department(team, "Research", manager=manager)
    user = make.member(team, department=department)
    owner = team.memberships.get(role="owner").user
    row = ask(team, user)
    assert (row.department, told("request_made")) == (None, {owner.public_id}), "the department has no pool"
    decided(requests.withdraw, row)
    make.fund(department, 200)
    row = ask(team, user)
    assert row.department == department
    assert manager.user.public_id in told("request_made")
    within = reach.of_user(user=manager.user, organization=team)
    assert within is not None
    assert list(within.requests()) == [row]
    elsewhere = make.member(team, 10)
    ask(team, elsewhere)
    assert list(within.requests()) == [row], "a manager sees the own department's only"


def test_who_leaves_waits_for_nothing():
    team = make.team(1000)
    user = make.member(team, 10)
    row = ask(team, user)
    with transaction.atomic():
        membership = make.membership(team, user)
        memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
    row.refresh_from_db()
    assert row.status == "withdrawn"


@pytest.mark.parametrize(("credits", "reason"), [(0, "r"), ("0.0000001", "r"), (1, " \n"), (1, "r" * 501)])
def test_refuses_what_is_no_amount_or_no_reason(credits, reason):
    team = make.team(10)
    user = make.member(team)
    with pytest.raises(ValidationError):
        ask(team, user, credits, reason)


def test_only_members_of_a_team_ask():
    team = make.team(10)
    stranger = orgs.user()
    with pytest.raises(PermissionDenied):
        ask(team, stranger)
    alone = organizations.personal_for(user=stranger)
    with pytest.raises(Conflict):
        ask(alone, stranger)

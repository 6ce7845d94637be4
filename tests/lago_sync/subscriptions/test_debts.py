"""Past due: an unpaid plan invoice after its due date, told once, and restored by its payment."""

import pytest
from django.db import transaction

from lago_sync.invoices import mirror as invoices
from orgs import subscriptions
from orgs.audit.events import SYSTEM
from orgs.notices.models import Notice
from tests.lago_sync.subscriptions import story

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(lago):
    story.installed(lago, "2026-04-01T09:00:00Z")
    found = story.Team(lago)
    found.subscribe()
    return found


def look(team):
    invoices.refresh(organization=team.org, now=team.now)
    team.refresh()
    return team.fact.status


def test_an_unpaid_plan_invoice_makes_past_due_and_its_payment_restores(team):
    assert look(team) == "active"
    team.advance(1)
    for _ in range(2):
        assert look(team) == "past_due"
    assert team.fact.past_due_since.isoformat() == "2026-04-02T00:00:00+00:00"
    assert Notice.objects.filter(user=team.owner, kind="payment_overdue").count() == 1
    team.advance(31)  # the renewal's invoice is due too by now
    assert look(team) == "past_due"
    first, second = team.invoices()
    team.lago.pay(first["lago_id"])
    team.lago.drain()
    assert look(team) == "past_due"
    assert team.fact.past_due_since.isoformat() == "2026-05-02T00:00:00+00:00"
    team.lago.pay(second["lago_id"])
    team.lago.drain()
    assert look(team) == "active"
    team.cancel()
    assert look(team) == "canceled"


def test_what_staff_said_is_theirs_to_restore_and_a_pause_is_left_alone(team):
    with transaction.atomic():
        subscriptions.mark_past_due(subscription=team.fact, since=team.now, by=SYSTEM)
    assert look(team) == "past_due"
    with transaction.atomic():
        subscriptions.pause(subscription=team.fact, reason="a dispute", by=SYSTEM)
    team.advance(2)
    assert look(team) == "paused"
    with transaction.atomic():
        subscriptions.resume(subscription=team.fact, by=SYSTEM)
    assert look(team) == "past_due"

"""Who may change the plan is told when it changed, ended or is not paid; whoever changed it, and by which way."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from orgs import subscriptions
from orgs.audit.events import SYSTEM
from orgs.notices.models import Notice
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
NOVEMBER, DECEMBER, JANUARY = (
    datetime(*month, 1, tzinfo=UTC) for month in ((2026, 11), (2026, 12), (2027, 1))
)


@pytest.fixture
def team():
    return make.team()


def put(team, plan, start=NOVEMBER, end=DECEMBER):
    with transaction.atomic():
        return subscriptions.set_plan(
            organization=team, plan_code=plan, period_start=start, period_end=end, by=SYSTEM
        )


def told(kind="plan_changed"):
    return [one.title for one in Notice.objects.filter(kind=kind).order_by("id")]


def test_a_plan_that_begins_changes_or_ends_is_told_and_the_next_period_of_the_same_is_not(team):
    put(team, "starter")
    put(team, "starter", DECEMBER, JANUARY)
    assert told() == ["Acme is on the plan Starter now"]
    subscription = put(team, "enterprise", DECEMBER, JANUARY)
    put(team, "starter", DECEMBER, JANUARY)
    with transaction.atomic():
        subscriptions.end(subscription=subscription, at=JANUARY, by=SYSTEM)
    assert told()[1:] == [
        "Acme is on the plan Enterprise now",
        "Acme is on the plan Starter now",
        "The plan Starter of Acme has ended",
    ]
    changed = Notice.objects.filter(title__contains="Enterprise").get()
    assert changed.lines == [
        "The plan before was Starter.",
        "It does not limit the number of calls.",
        "The present period lasts until 1 January 2027.",
    ]


def test_an_overdue_invoice_is_told_once_for_the_day_and_its_restoring_not(team):
    subscription = put(team, "starter")
    for _ in range(2):
        with transaction.atomic():
            subscriptions.mark_past_due(subscription=subscription, since=NOVEMBER, by=SYSTEM)
        with transaction.atomic():
            subscriptions.restore(subscription=subscription, by=SYSTEM)
    assert told("payment_overdue") == ["The plan invoice of Acme is overdue"]
    assert len(told()) == 1


def test_members_are_not_told(team):
    member = make.member(team).user
    put(team, "starter")
    assert not Notice.objects.filter(user=member).exists()

"""System admins are told when Lago is out of step or away, once until it was in step again."""

from datetime import UTC, datetime, timedelta

import pytest

from lago_sync.reconcile import health, identity
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import plans
from orgs.models import PlanFee
from orgs.notices.models import Notice
from tests.factories import orgs

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def admin():
    return orgs.system_admin()


def told():
    rows = Notice.objects.filter(kind="lago_out_of_step").select_related("user")
    return [(one.user.name, one.title) for one in rows.order_by("id")]


def test_books_that_differ_are_told_once_until_they_agreed_again(story, admin):
    team, now = story.team(), story.now()
    [invoice] = story.invoices(team)
    story.lago.pay(invoice["lago_id"])
    story.lago.drain()
    plans.refresh(organization=team, now=now)
    [reference] = PlanFee.objects.values_list("reference", flat=True)

    def compare(hours, said):
        PlanFee.objects.update(reference=said)
        return bool(identity.compare(organization=team, now=now + timedelta(hours=hours)).differences)

    assert not compare(0, reference)
    assert told() == []
    assert compare(1, "INV-of-nobody")
    assert compare(2, "INV-of-nobody")
    assert told() == [("Sys Admin", "Acme is out of step with Lago")]
    assert Notice.objects.get(user=admin).lines
    assert not compare(3, reference)
    assert compare(4, "INV-of-nobody")
    assert len(told()) == 2


def test_a_lago_that_is_wrong_is_told_at_once_and_one_that_is_away_after_ten_minutes(lago, admin, settings):
    installing.install(webhook_url=guard.webhook_url(), now=NOON)
    assert health.check(now=NOON).status == "healthy"
    right, settings.LAGO_API_URL = settings.LAGO_API_URL, "http://127.0.0.1:9"

    def check(minutes):
        return health.check(now=NOON + timedelta(minutes=minutes)).status

    assert check(9) == "unreachable"
    assert told() == []
    assert [check(minutes) for minutes in (10, 11)] == ["unreachable"] * 2
    assert told() == [("Sys Admin", "Lago gives no answer")]
    settings.LAGO_API_URL = right
    assert check(12) == "healthy"
    settings.LAGO_API_KEY = "wrong"
    assert [check(minutes) for minutes in (13, 14)] == ["unhealthy"] * 2
    assert [title for _, title in told()] == ["Lago gives no answer", "Lago is not as the portal needs it"]

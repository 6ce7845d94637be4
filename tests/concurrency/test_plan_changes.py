"""Three changes of one plan at once end in one; and what happens with the check and the index taken out."""

from collections import Counter
from contextlib import contextmanager

import pytest
from django.db import connection

from lago_sync.models import PlanChange
from lago_sync.subscriptions import changes, changing
from tests.concurrency.racing import race
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.subscriptions import story

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture
def team(lago, settings):  # noqa: F811
    settings.SITE_URL = "http://127.0.0.1:9"
    story.installed(lago)
    found = story.Team(lago)
    found.subscribe()
    # so slow that those who come together are all there before the first is done
    lago.faults({"method": "GET", "path": "customers/.*/subscriptions", "times": 99, "latency": 0.3})
    return found


def at_once(team):
    """Return what became of an upgrade, another and a cancellation that came at one instant."""
    given = {"organization": team.org, "by": team.by, "now": team.now}
    outcomes = race(
        [
            lambda: changing.change_plan(plan_code="professional", **given),
            lambda: changing.change_plan(plan_code="enterprise", **given),
            lambda: changing.cancel(**given),
        ]
    )
    return Counter(getattr(one, "code", getattr(one, "status", repr(one))) for one in outcomes)


def test_three_at_once_end_in_one_and_the_others_are_409(team):
    assert at_once(team) == {"applied": 1, "conflict": 2}
    [made] = PlanChange.objects.all()
    assert set(team.at_lago) == {"active"}
    live = team.at_lago["active"]
    expected = ("starter", True) if made.kind == "cancel" else (made.plan_code, False)
    assert (live["plan_code"], bool(live["ending_at"])) == expected
    team.refresh()
    assert (team.row.plan_code, team.row.ending_at is not None) == expected
    assert team.fact.status == ("canceled" if made.kind == "cancel" else "active")


def test_without_the_check_and_the_index_more_than_one_is_told_to_lago(team, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(changes, "_begin", lambda *_: None)
    with without_the_index():
        found = at_once(team)
        assert PlanChange.objects.count() >= 2, found
        PlanChange.objects.all().delete()


@contextmanager
def without_the_index():
    rule = next(one for one in PlanChange._meta.constraints if one.name == "plan_change_one_at_a_time")
    with connection.schema_editor() as editor:
        editor.remove_constraint(PlanChange, rule)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(PlanChange, rule)

"""Proposals over HTTP: who may see and apply them, what they look like, and that applying is all or nothing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.models import Budget, DailyUsage
from tests.factories import api
from tests.factories import credits as make
from tests.factories.api import Scene


@pytest.fixture
def scene(db: None) -> Scene:
    """The member has 500 a month and used 10 a day for 90 days, Engineering too."""
    scene = api.scene()
    member = scene.people["member"]
    make.allocate(scene.org, member, 500, reset_period="monthly")
    today = datetime.now(UTC).date()
    DailyUsage.objects.bulk_create(
        DailyUsage(
            organization=scene.org, day=today - timedelta(days=back), user_id=member.pk, service="llm", requests=1,
            department_id=scene.department.pk, credits=Decimal(10),
        )
        for back in range(1, 91)
    )  # fmt: skip
    return scene


@pytest.mark.breaks_the_ledger("days of use are made up")
def test_what_is_proposed_can_be_applied_as_it_is(scene: Scene):
    billing = scene.http("billing_admin")
    answer = billing.ask(f"{scene.credits}/proposals").json()
    assert (answer["days"], answer["is_enough"]) == (90, True)
    [member], [department] = answer["members"], answer["departments"]
    assert (member["why"], member["now"], member["credits"]) == ("unused", "500", "330")
    assert (department["now"], department["credits"], department["refused_credits"]) == (None, "300", "0")
    body = {
        "members": [{"user_id": member["user_id"], "credits": member["credits"]}],
        "departments": [{"department_id": department["department_id"], "credits": department["credits"]}],
    }
    refused = billing.post(
        f"{scene.credits}/proposals/apply",
        {**body, "members": [{"user_id": member["user_id"], "credits": "9999999"}]},
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credits")
    assert not Budget.objects.exists()
    done = billing.post(f"{scene.credits}/proposals/apply", body, Idempotency_Key="once")
    assert done.status_code == 200
    assert done.json()["allocations"][0]["allocated"] == "330"
    assert done.json()["allocations"][0]["reset_period"] == "monthly"
    assert done.json()["budgets"][0]["is_hard"] is False
    again = billing.post(f"{scene.credits}/proposals/apply", body, Idempotency_Key="once")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Budget.objects.count() == 1


@pytest.mark.breaks_the_ledger("days of use are made up")
def test_who_may_not_buy_sees_and_applies_nothing(scene: Scene):
    for who, status in (("member", 403), ("manager", 403), ("outsider", 404)):
        http = scene.http(who)
        assert http.ask(f"{scene.credits}/proposals").status_code == status, who
        assert http.post(f"{scene.credits}/proposals/apply", {"members": []}).status_code == status, who
    reads = scene.key("organization", "credits:read")
    assert reads.ask(f"{scene.credits}/proposals").status_code == 200
    assert reads.post(f"{scene.credits}/proposals/apply", {}).status_code == 403


@pytest.mark.breaks_the_ledger("days of use are made up")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"members": "all"},
        {"members": [1]},
        {"members": [{"user_id": "usr_x"}]},
        {"members": [{"user_id": "usr_x", "credits": 5.5}]},
        {"members": [{"user_id": "usr_x", "credits": "5", "more": 1}]},
        {"members": [{"user_id": "usr_x", "credits": "5"}] * 2},
        {"departments": [{"department_id": "dep_x", "credits": "5"}]},
        {"budgets": []},
    ],
)
def test_what_cannot_be_applied_is_422(scene: Scene, body: object):
    answer = scene.http("owner").post(f"{scene.credits}/proposals/apply", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "validation_error"

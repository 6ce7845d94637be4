"""Budgets over the API (contract.md §4.1), and the refusal that a client meets at a hard one."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from credits.models import Budget
from tests.factories import credits as make
from tests.factories.api import done, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(scene):
    return f"{scene.credits}/budgets"


def test_is_set_shown_changed_and_taken_back(scene, path):
    client = scene.http("billing_admin")
    made = done(
        client.post(path, {"credits": "50.5", "period": "week", "department_id": scene.department.public_id}),
        201,
    )
    assert made | {"id": "", "starts_on": "", "resets_at": "", "created_at": ""} == {
        "id": "", "scope": "department", "department": {"id": scene.department.public_id, "name": "Research"},
        "user": None, "model": None, "period": "week", "credits": "50.5", "is_hard": False, "used": "0", "held": "0",
        "remaining": "50.5", "usage_percentage": "0.0", "expected": None, "starts_on": "", "resets_at": "", "created_at": "",
    }  # fmt: skip
    resets = datetime.fromisoformat(made["resets_at"])
    assert timezone.now() < resets <= timezone.now() + timedelta(days=7)
    one = f"{path}/{made['id']}"
    assert done(client.ask(one)) == made
    changed = done(client.send("PUT", one, {"credits": "10", "is_hard": True}))
    assert (changed["credits"], changed["is_hard"]) == ("10", True)
    make.charged(scene.org, scene.people["engineer"], 4)
    make.held(scene.org, scene.people["engineer"], 1)
    [listed] = done(client.ask(path))["data"]
    assert (listed["used"], listed["held"], listed["remaining"]) == ("4", "1", "5")
    assert listed["usage_percentage"] == "40.0"
    assert done(client.send("DELETE", one))["id"] == made["id"]
    refused(client.ask(one), 404, "not_found")
    assert done(client.ask(path))["pagination"]["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"period": "month"}, "credits"),
        ({"credits": "0", "period": "month"}, "credits"),
        ({"credits": "-1", "period": "month"}, "credits"),
        ({"credits": "5"}, "period"),
        ({"credits": "5", "period": "year"}, "period"),
        ({"credits": "5", "period": "day", "is_hard": "yes"}, "is_hard"),
        ({"credits": "5", "period": "day", "scope": "model"}, "scope"),
        ({"credits": "5", "period": "day", "scope": "member", "model": "m"}, "scope"),
        ({"credits": "5", "period": "day", "model": "m", "user_id": "usr_x"}, "scope"),
        ({"credits": "5", "period": "day", "model": " m"}, "model"),
        ({"credits": "5", "period": "day", "limit": 3}, "limit"),
    ],
)
def test_what_makes_no_sense_is_named_by_field(scene, path, body, field):
    assert field in refused(scene.http("owner").post(path, body), 422, "validation_error")
    assert not Budget.objects.exists()


def test_a_change_must_say_all(scene, path):
    budget = make.budget(scene.org, 10)
    for body in ({"credits": "5"}, {"is_hard": True}, {"credits": "0", "is_hard": True}):
        refused(scene.http("owner").send("PUT", f"{path}/{budget.public_id}", body), 422, "validation_error")


def test_the_same_one_twice_is_409_and_strangers_are_404(scene, path):
    client, body = scene.http("owner"), {"credits": "5", "period": "day", "is_hard": True}
    done(client.post(path, body), 201)
    refused(client.post(path, body), 409, "already_exists")
    for other in ({"user_id": scene.id_of("outsider")}, {"department_id": "dep_none"}):
        refused(client.post(path, body | other), 404, "not_found")
    foreign = make.budget(scene.other, 5)
    refused(client.ask(f"{path}/{foreign.public_id}"), 404, "not_found")


def test_a_repeat_with_its_key_sets_one(scene, path):
    client, body = scene.http("owner"), {"credits": "5", "period": "day", "is_hard": True}
    first = client.post(path, body, Idempotency_Key="one")
    again = client.post(path, body, Idempotency_Key="one")
    assert done(first, 201) == done(again, 201)
    assert again["Idempotent-Replayed"] == "true"


def test_a_client_that_meets_a_hard_one_is_told_which_what_remains_when_it_resets_and_where_to_ask(scene):
    make.budget(scene.org, 10, user=scene.people["member"])
    client = scene.key("membership")
    done(client.post("/usage/charges", {"transaction_id": "a", "credits": "8"}), 201)
    answer = client.post("/usage/holds", {"transaction_id": "b", "credits": "3"})
    details = refused(answer, 402, "budget_exceeded")
    resets = datetime.fromisoformat(details["limit"].pop("resets_at"))
    assert timezone.now() < resets <= timezone.now() + timedelta(days=31)
    assert details["limit"] == {
        "kind": "budget",
        "scope": f"member {scene.id_of('member')}",
        "needed": "3",
        "remaining": "2",
    }
    assert "request_url" in details
    checked = done(client.post("/usage/check", {"credits": "3"}))
    assert (checked["allowed"], checked["error"]["code"]) == (False, "budget_exceeded")
    done(client.post("/usage/holds", {"transaction_id": "b", "credits": "2"}), 201)


def test_departments_show_the_budget_that_binds_them_most(scene):
    path = f"/orgs/{scene.org.public_id}/departments"
    assert done(scene.http("owner").ask(path))["data"][0]["budget"] is None
    make.budget(scene.org, 400, is_hard=False, department=scene.department)
    hard = make.budget(scene.org, 50, period="week", department=scene.department)
    make.charged(scene.org, scene.people["engineer"], 10)
    shown = done(scene.http("owner").ask(path))["data"][0]["budget"]
    assert (shown["id"], shown["credits"], shown["used"], shown["usage_percentage"]) == (
        str(hard.public_id),
        "50",
        "10",
        "20.0",
    )

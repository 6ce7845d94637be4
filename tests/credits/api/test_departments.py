"""Transfers between the organization's pool and a department's (contract.md §4.1)."""

import pytest

from kit import transactions
from orgs import departments
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import done, refused


@pytest.fixture
def path(scene):
    return f"{scene.credits}/departments/{scene.department.public_id}/transfer"


def pools(scene):
    return make.pool(scene.org).available, make.pool(scene.department).available


def test_funds_and_takes_back_and_answers_with_both_pools(scene, path):
    client = scene.http("billing_admin")
    assert pools(scene) == (650, 120)
    body = done(client.post(path, {"credits": "30.5"}))
    assert set(body) == {"pool", "department_pool"}
    assert (body["pool"]["available"], body["department_pool"]["available"]) == ("619.5", "150.5")
    assert body["department_pool"]["granted"] == "230.5"
    body = done(client.post(path, {"credits": "-50.5"}))
    assert (body["pool"]["available"], body["department_pool"]["available"]) == ("670", "100")
    assert pools(scene) == (670, 100)
    [back, there] = AuditEvent.objects.filter(action="credits.transferred").order_by("-pk")[:2]
    assert (back.actor, back.target) == (scene.id_of("billing_admin"), scene.department.public_id)
    assert (back.before, back.after) == ({"available": "150.5"}, {"available": "100", "credits": "-50.5"})
    assert there.after == {"available": "150.5", "credits": "30.5"}


def test_makes_the_pool_of_a_department_that_never_had_one(scene):
    fresh = orgs.department(scene.org, "Design")
    path = f"{scene.credits}/departments/{fresh.public_id}/transfer"
    body = done(scene.http("owner").post(path, {"credits": "10"}))
    assert body["department_pool"]["name"] == "Design"
    assert make.pool(fresh).available == 10


def test_a_repeat_with_its_key_moves_nothing_more(scene, path):
    client = scene.http("owner")
    first = client.post(path, {"credits": "30"}, Idempotency_Key="one")
    again = client.post(path, {"credits": "30"}, Idempotency_Key="one")
    assert done(first) == done(again)
    assert again["Idempotent-Replayed"] == "true"
    refused(client.post(path, {"credits": "31"}, Idempotency_Key="one"), 409, "idempotency_conflict")
    assert pools(scene) == (620, 150)


def test_more_than_the_giving_pool_has_free_is_refused_whole_and_names_the_pool(scene, path):
    client = scene.http("owner")
    limit = refused(client.post(path, {"credits": "650.000001"}), 402, "insufficient_credits")["limit"]
    assert limit | {"resets_at": None} == {
        "kind": "pool",
        "scope": scene.org.public_id,
        "needed": "650.000001",
        "remaining": "650",
        "resets_at": None,
    }
    limit = refused(client.post(path, {"credits": "-121"}), 402, "insufficient_credits")["limit"]
    assert (limit["scope"], limit["remaining"]) == (scene.department.public_id, "120")
    assert pools(scene) == (650, 120)


@pytest.mark.parametrize(
    ("who", "status"), [("manager", 403), ("member", 403), ("outsider", 404), ("admin", 200)]
)
def test_is_for_who_may_buy_and_no_manager_funds_their_own_department(scene, path, who, status):
    answer = scene.http(who).post(path, {"credits": "1"})
    assert answer.status_code == status, answer.content


def test_refuses_what_is_no_amount_and_what_is_no_department(scene, path):
    client = scene.http("owner")
    bad = [0, "0", "-0", "", "-", "--1", "1e3", "1.1234567", 1.5, True, None, [], "-1000000001", -1.5]
    for credits in bad:
        assert "credits" in refused(client.post(path, {"credits": credits}), 422), credits
    assert "credits" in refused(client.post(path, {}), 422)
    assert "notes" in refused(client.post(path, {"credits": "1", "notes": "x"}), 422)
    elsewhere = orgs.department(scene.other, "Theirs")
    for unknown in (elsewhere.public_id, "dep_nobody"):
        address = f"{scene.credits}/departments/{unknown}/transfer"
        refused(client.post(address, {"credits": "1"}), 404)
    assert done(client.post(path, {"credits": -20}))["department_pool"]["available"] == "100"


def test_nothing_comes_into_a_department_once_it_is_archived(scene, path):
    seen = scene.department  # as a request that waits for its lock has read it
    with transactions.durable():
        departments.archive(department=scene.department, by=SYSTEM)
    refused(scene.http("owner").post(path, {"credits": "1"}), 404)
    from credits.sharing import transfers
    from kit.errors import NotFound

    with pytest.raises(NotFound), transactions.durable():
        transfers.move(department=seen, credits=make.Decimal(1), by=SYSTEM)
    assert make.pool(seen).available == 0

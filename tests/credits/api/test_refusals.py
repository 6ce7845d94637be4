"""A refusal writes nothing, whichever limit or rule it comes from; and keys are held to their address."""

from typing import Any

import pytest

from orgs.access import keys
from orgs.models import Organization, Subscription
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, Scene, books, done, error_of, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def spent(scene: Scene) -> Scene:
    """A plan of three calls a day, two of them used, one hold captured and one released."""
    make.limit_calls(scene.org, day=4, month=100)
    client = scene.key("platform")
    for number, act in enumerate(("capture", "release")):
        body = {
            "transaction_id": f"h{number}",
            "credits": "5",
            "org_id": scene.org.public_id,
            "user_id": scene.id_of("member"),
        }
        hold = done(client.post("/usage/holds", body), 201)["hold"]["id"]
        done(client.post(f"/usage/holds/{hold}/{act}", {"credits": "4"} if act == "capture" else None))
        scene.keys[act] = hold
    return scene


def requests(scene: Scene) -> list[tuple[int, str, str, Any]]:
    named = {"org_id": scene.org.public_id, "user_id": scene.id_of("member"), "service": "llm"}
    captured, released = scene.keys["capture"], scene.keys["release"]
    return [
        (402, "POST", "/usage/holds", named | {"transaction_id": "n", "credits": "1000"}),
        (402, "POST", "/usage/charges", named | {"transaction_id": "n", "credits": "1000"}),
        (200, "POST", "/usage/charges/batch", {"charges": [named | {"transaction_id": "n", "credits": "1000"}]}),
        (409, "POST", "/usage/holds", named | {"transaction_id": "h0", "credits": "6"}),
        (409, "POST", "/usage/charges", named | {"transaction_id": "h0", "credits": "5"}),
        (409, "POST", f"/usage/holds/{captured}/capture", {"credits": "3"}),
        (409, "POST", f"/usage/holds/{captured}/release", None),
        (409, "POST", f"/usage/holds/{released}/capture", {"credits": "3"}),
        (200, "POST", f"/usage/holds/{captured}/capture", {"credits": "4"}),
        (200, "POST", f"/usage/holds/{released}/release", None),
        (403, "POST", "/usage/holds", named | {"transaction_id": "n", "credits": "1", "user_id": scene.id_of("outsider")}),
        (404, "POST", "/usage/holds", named | {"transaction_id": "n", "credits": "1", "org_id": "org_none"}),
        (402, "POST", f"{scene.credits}/allocate", {"user_id": scene.id_of("poolspender"), "credits": "99999"}),
        (409, "POST", f"{scene.credits}/allocate", {"user_id": scene.id_of("member"), "credits": "0"}),
        (404, "DELETE", f"{scene.credits}/allocations/{scene.id_of('poolspender')}", None),
        (404, "POST", "/usage/charges/00000000-0000-7000-8000-000000000000/reverse", {"reason": "r"}),
    ]  # fmt: skip


def test_what_is_refused_or_repeated_leaves_every_table_as_it_was(spent):
    client = spent.key("platform")
    for status, method, path, body in requests(spent):
        before = books()
        answer = client.send(method, path, body)
        assert answer.status_code == status, (path, body, answer.content)
        if status >= 400:
            error_of(answer)
        assert books() == before, (method, path, body)


@pytest.mark.parametrize("state", ["quota", "suspended", "paused", "past_due", "shortfall"])
def test_a_limit_of_the_organization_refuses_holds_and_charges_and_writes_nothing(scene, state):
    client = scene.key("organization")
    if state == "quota":
        make.limit_calls(scene.org, day=1, month=9)
        make.charged(scene.org, None, 1)
    elif state == "suspended":
        Organization.objects.filter(pk=scene.org.pk).update(status="suspended")
    elif state == "paused":
        Subscription.objects.filter(organization=scene.org).update(status="paused")
    elif state == "past_due":
        Subscription.objects.filter(organization=scene.org).update(
            status="past_due", past_due_since="2026-01-01T00:00:00Z"
        )
    else:
        make.captured(make.held(scene.org, scene.people["member"], 1), 5000)
    expected = {
        "quota": (429, "quota_exceeded"), "suspended": (403, "organization_suspended"),
        "paused": (403, "organization_suspended"), "past_due": (402, "payment_overdue"),
        "shortfall": (402, "shortfall_open"),
    }[state]  # fmt: skip
    before = books()
    for path in ("/usage/holds", "/usage/charges"):
        refused(client.post(path, {"transaction_id": "n", "credits": "1"}), *expected)
    told = done(client.post("/usage/check", {"credits": "1"}))
    assert (told["allowed"], told["error"]["code"]) == (False, expected[1])
    assert books() == before


def test_a_key_of_some_addresses_is_refused_from_others_remembered_or_not(scene):
    membership = make.membership(scene.org, scene.people["member"])
    client = Http(key=orgs.membership_key(membership, allowed_addresses=["10.1.0.0/16"]).text)
    for _ in range(2):
        answer = client.generic("GET", "/api/v1/usage/holds", REMOTE_ADDR="10.2.0.1")
        refused(answer, 403, "permission_denied")
        assert client.generic("GET", "/api/v1/usage/holds", REMOTE_ADDR="10.1.9.9").status_code == 200
        body = b'{"transaction_id": "t", "credits": "1"}'
        there = {"content_type": "application/json", "REMOTE_ADDR": "10.2.0.1"}
        refused(client.generic("POST", "/api/v1/usage/holds", body, **there), 403)
    keys.forget_cached()


def test_an_archived_organization_is_found_by_nobody(scene):
    Organization.objects.filter(pk=scene.org.pk).update(status="archived")
    body = {"transaction_id": "n", "credits": "1", "org_id": scene.org.public_id}
    refused(scene.key("platform").post("/usage/holds", body), 404, "not_found")
    refused(scene.http("owner").post("/usage/holds", body), 404, "not_found")
    refused(scene.http("owner").ask(scene.credits), 404, "not_found")

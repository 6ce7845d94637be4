"""Requests for credits through the API: who asks, who sees, who decides, and where a refused call sends its member."""

import pytest

from orgs import organizations
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused

pytestmark = pytest.mark.django_db

SHOWN = {
    "id", "status", "user_id", "email", "name", "department", "credits", "reason", "evidence", "given", "answer",
    "decided_by", "created_at", "decided_at",
}  # fmt: skip
NOBODY = "00000000-0000-7000-8000-000000000000"


def path(scene, row=None, act="") -> str:
    base = f"{scene.credits}/requests"
    return f"{base}/{row['id']}/{act}" if row is not None else base


def asked(scene, who="member", credits="25"):
    answer = scene.http(who).post(path(scene), {"credits": credits, "reason": "a load test"})
    return done(answer, 201)


def test_asking_answers_with_the_evidence(scene):
    make.charged(scene.org, scene.people["member"], 30)
    row = asked(scene)
    assert set(row) == SHOWN
    assert (row["status"], row["credits"], row["given"], row["user_id"]) == (
        "pending", "25", None, scene.id_of("member"),
    )  # fmt: skip
    assert (row["evidence"]["remaining"], row["evidence"]["runway_state"]) == ("70", "not_known_yet")
    again = scene.http("member").post(path(scene), {"credits": "1", "reason": "more"})
    refused(again, 409, "already_exists")


def test_approving_answers_with_all_that_changed_and_repeats_by_its_key(scene):
    row, owner = asked(scene), scene.http("owner")
    first = done(owner.post(path(scene, row, "approve"), {"credits": "40"}, Idempotency_Key="k"))
    assert (first["request"]["status"], first["request"]["given"]) == ("approved", "40")
    assert (first["allocation"]["allocated"], first["pool"]["available"]) == ("140", "610")
    assert done(owner.post(path(scene, row, "approve"), {"credits": "40"}, Idempotency_Key="k")) == first
    refused(owner.post(path(scene, row, "approve"), {}), 409, "conflict")
    too_much = asked(scene, "colleague", "5000")
    details = refused(owner.post(path(scene, too_much, "approve"), {}), 402, "insufficient_credits")
    assert details["limit"]["remaining"] == "610"


def test_a_member_sees_the_own_and_withdraws_it_a_manager_decides_in_the_department(scene):
    own, engineers = asked(scene), asked(scene, "engineer", "5")
    member, manager = scene.http("member"), scene.http("manager")
    assert [one["id"] for one in done(member.ask(path(scene)))["data"]] == [own["id"]]
    assert [one["id"] for one in done(manager.ask(path(scene)))["data"]] == [engineers["id"]]
    assert done(scene.http("owner").ask(path(scene) + "?status=pending"))["pagination"]["total"] == 2
    refused(member.post(path(scene, own, "approve"), {}), 403, "permission_denied")
    refused(manager.post(path(scene, own, "approve"), {}), 404, "not_found")
    refused(scene.http("owner").post(path(scene, own, "withdraw")), 403, "permission_denied")
    assert done(member.post(path(scene, own, "withdraw")))["status"] == "withdrawn"
    declined = done(manager.post(path(scene, engineers, "decline"), {"answer": "next week"}))
    assert (declined["status"], declined["answer"]) == ("declined", "next week")
    assert make.allocation(scene.org, scene.people["engineer"]).allocated == 80


@pytest.mark.parametrize(
    "body",
    [{}, {"credits": "1"}, {"reason": "r"}, {"credits": "0", "reason": "r"}, {"credits": "-1", "reason": "r"},
     {"credits": 1.5, "reason": "r"}, {"credits": "1", "reason": "r" * 501}, {"credits": "1", "reason": "r", "user_id": "x"}],
)  # fmt: skip
def test_what_is_malformed_is_422_by_field(scene, body):
    refused(scene.http("member").post(path(scene), body), 422, "validation_error")


def test_one_that_does_not_exist_is_404(scene):
    for act in ("approve", "decline", "withdraw"):
        refused(scene.http("owner").post(path(scene, {"id": NOBODY}, act), {}), 404, "not_found")


def test_a_refused_call_names_the_page_where_to_ask_with_what_it_needed(scene):
    client = scene.key("membership")
    details = refused(client.post("/usage/holds", {"transaction_id": "t", "credits": "101"}), 402)
    assert details["request_url"] == f"http://testserver/orgs/{scene.org.slug}/requests/?needed=101"
    make.limit_calls(scene.org, day=1, month=5)
    done(client.post("/usage/charges", {"transaction_id": "c", "credits": "1"}), 201)
    details = refused(client.post("/usage/charges", {"transaction_id": "d", "credits": "1"}), 429)
    assert details["request_url"] == f"http://testserver/orgs/{scene.org.slug}/requests/"


def test_where_nobody_could_be_asked_it_is_the_dashboard(scene):

    details = refused(
        scene.key("organization").post("/usage/holds", {"transaction_id": "t", "credits": "9999"}), 402
    )
    assert details["request_url"] == "http://testserver/billing/"
    alone = orgs.user("Solo Person")
    own = organizations.personal_for(user=alone)

    body = {"transaction_id": "t", "credits": "1", "org_id": own.public_id}
    details = refused(Http(key=orgs.personal_key(alone).text).post("/usage/holds", body), 402)
    assert details["request_url"] == "http://testserver/billing/"

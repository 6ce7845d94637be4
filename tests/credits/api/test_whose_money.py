"""Whose money a request on the usage API spends, and who may name whom (product.md §6), for each way of signing in."""

import itertools

import pytest

from orgs import organizations
from orgs.audit.events import SYSTEM
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Scene, done, refused

pytestmark = pytest.mark.django_db
_numbers = itertools.count(1)


def body(**fields):
    return {"transaction_id": f"t{next(_numbers)}", "credits": "1", "service": "llm", **fields}


@pytest.fixture
def elsewhere(scene: Scene):
    """Another team of the member's, where an allocation of 30 pays."""
    team = make.team(300)
    orgs.member(team, who=scene.people["member"])
    make.allocate(team, scene.people["member"], 30)
    return team


def switch(scene: Scene, to, who="member"):
    organizations.switch(user=scene.people[who], organization=to, by=SYSTEM)
    scene.people[who].refresh_from_db()


class TestAMembershipKey:
    def test_pays_from_its_member_s_allocation_without_naming_anything(self, scene):
        payer = done(scene.key("membership").post("/usage/holds", body()), 201)["payer"]
        assert payer == {"kind": "allocation", "org_id": scene.org.public_id, "remaining": "99"}

    def test_stays_in_its_organization_after_its_member_switched(self, scene, elsewhere):
        switch(scene, elsewhere)
        payer = done(scene.key("membership").post("/usage/charges", body()), 201)["payer"]
        assert payer["org_id"] == scene.org.public_id

    def test_may_name_its_own_organization_and_member(self, scene):
        own = body(org_id=scene.org.public_id, user_id=scene.id_of("member"))
        done(scene.key("membership").post("/usage/holds", own, X_Organization=scene.org.public_id), 201)

    @pytest.mark.parametrize("path", ["/usage/holds", "/usage/charges", "/usage/check", "/usage/estimate"])
    def test_finds_no_other_organization_even_of_its_own_member(self, scene, elsewhere, path):
        client = scene.key("membership")
        for named in (elsewhere.public_id, scene.other.public_id, "org_none", "org_\u2028"):
            refused(client.post(path, body(org_id=named)), 404, "not_found")
        refused(client.post(path, body(), X_Organization=elsewhere.public_id), 404)

    def test_may_name_no_other_member(self, scene):
        for named in (scene.id_of("colleague"), scene.id_of("outsider"), "usr_none"):
            refused(scene.key("membership").post("/usage/holds", body(user_id=named)), 403)


class TestAnOrganizationKey:
    def test_pays_from_the_pool_where_it_names_no_member(self, scene):
        payer = done(scene.key("organization").post("/usage/holds", body()), 201)["payer"]
        assert payer["kind"] == "pool"
        assert payer["org_id"] == scene.org.public_id

    def test_may_name_a_member_who_then_pays(self, scene):
        named = body(user_id=scene.id_of("member"))
        payer = done(scene.key("organization").post("/usage/charges", named), 201)["payer"]
        assert payer == {"kind": "allocation", "org_id": scene.org.public_id, "remaining": "99"}

    def test_finds_no_member_of_another_organization(self, scene):
        client = scene.key("organization")
        stranger = client.post("/usage/holds", body(user_id=scene.id_of("outsider")))
        nobody = client.post("/usage/holds", body(user_id="usr_none"))
        refused(stranger, 404, "not_found")
        refused(nobody, 404, "not_found")

    def test_finds_no_other_organization(self, scene):
        refused(scene.key("organization").post("/usage/holds", body(org_id=scene.other.public_id)), 404)


class TestAPlatformKey:
    def test_must_name_the_organization(self, scene):
        for path in ("/usage/holds", "/usage/charges", "/usage/check", "/usage/estimate"):
            refused(scene.key("platform").post(path, body()), 400, "invalid_request")

    def test_reaches_any_organization_and_member(self, scene):
        client = scene.key("platform")
        first = body(org_id=scene.org.public_id, user_id=scene.id_of("member"))
        second = body(org_id=scene.other.public_id, user_id=scene.id_of("outsider"))
        assert done(client.post("/usage/holds", first), 201)["payer"]["org_id"] == scene.org.public_id
        assert done(client.post("/usage/holds", second), 201)["payer"]["org_id"] == scene.other.public_id

    def test_may_name_the_organization_by_header_alone(self, scene):
        answer = scene.key("platform").post("/usage/charges", body(), X_Organization=scene.org.public_id)
        assert done(answer, 201)["payer"]["kind"] == "pool"

    def test_names_no_member_of_another_organization(self, scene):
        stranger = body(org_id=scene.org.public_id, user_id=scene.id_of("outsider"))
        refused(scene.key("platform").post("/usage/holds", stranger), 403, "permission_denied")

    def test_finds_no_organization_that_is_none(self, scene):
        for named in ("org_none", "1", "org_' OR 1=1--", "x" * 64):
            refused(scene.key("platform").post("/usage/holds", body(org_id=named)), 404, "not_found")


class TestAPersonalKey:
    def test_follows_the_active_organization_for_holds(self, scene, elsewhere):
        client = scene.key("personal")
        switch(scene, scene.org)
        assert done(client.post("/usage/holds", body()), 201)["payer"]["org_id"] == scene.org.public_id
        switch(scene, elsewhere)
        payer = done(client.post("/usage/holds", body()), 201)["payer"]
        assert payer == {"kind": "allocation", "org_id": elsewhere.public_id, "remaining": "29"}

    def test_must_name_the_organization_for_charges(self, scene):
        client = scene.key("personal")
        refused(client.post("/usage/charges", body()), 400, "invalid_request")
        done(client.post("/usage/charges", body(org_id=scene.org.public_id)), 201)

    def test_names_any_organization_of_its_user_whatever_is_active(self, scene, elsewhere):
        switch(scene, elsewhere)
        payer = done(scene.key("personal").post("/usage/holds", body(org_id=scene.org.public_id)), 201)[
            "payer"
        ]
        assert payer["org_id"] == scene.org.public_id

    @pytest.mark.parametrize("path", ["/usage/holds", "/usage/charges", "/usage/check", "/usage/estimate"])
    def test_finds_no_organization_that_its_user_is_no_member_of(self, scene, path):
        client = scene.key("personal")
        stranger = client.post(path, body(org_id=scene.other.public_id))
        nobody = client.post(path, body(org_id="org_none"))
        refused(stranger, 404, "not_found")
        assert stranger.content == nobody.content

    def test_finds_no_organization_in_a_batch_either(self, scene):
        [line] = done(
            scene.key("personal").post(
                "/usage/charges/batch", {"charges": [body(org_id=scene.other.public_id)]}
            )
        )["results"]
        assert line["status"] == "refused"
        assert line["error"]["code"] == "not_found"

    def test_learns_nothing_from_a_transaction_id_of_another_organization(self, scene):
        theirs = body(org_id=scene.other.public_id, user_id=scene.id_of("outsider"))
        done(scene.key("platform").post("/usage/charges", theirs), 201)
        mine = {**theirs, "user_id": scene.id_of("member")}
        refused(scene.key("personal").post("/usage/charges", mine), 404, "not_found")
        refused(scene.key("personal").post("/usage/holds", mine), 404, "not_found")

    def test_may_name_no_other_user(self, scene):
        named = body(org_id=scene.org.public_id, user_id=scene.id_of("colleague"))
        refused(scene.key("personal").post("/usage/holds", named), 403)


class TestABrowserSession:
    def test_follows_the_switch_for_holds_and_charges(self, scene, elsewhere):
        client = scene.http("member")
        for team in (scene.org, elsewhere):
            done(client.post(f"/orgs/{team.public_id}/switch"))
            for path in ("/usage/holds", "/usage/charges"):
                assert done(client.post(path, body()), 201)["payer"]["org_id"] == team.public_id

    def test_needs_the_csrf_token(self, scene):
        client = scene.http("member", csrf=True)
        refused(client.post("/usage/holds", body()), 403, "permission_denied")
        client.get("/billing/")  # a page with a form hands the token out
        token = client.cookies["csrftoken"].value
        done(client.post("/usage/holds", body(), X_CSRFToken=token), 201)

    def test_finds_no_organization_of_others(self, scene):
        refused(scene.http("member").post("/usage/holds", body(org_id=scene.other.public_id)), 404)

    def test_a_system_admin_is_no_member_and_spends_nobody_s_credits(self, scene):
        refused(scene.http("system_admin").post("/usage/holds", body(org_id=scene.org.public_id)), 404)


@pytest.mark.parametrize("kind", ["membership", "organization", "personal", "platform"])
def test_body_and_header_that_name_different_organizations_are_400_for_every_key(scene, kind):
    answer = scene.key(kind).post(
        "/usage/holds", body(org_id=scene.org.public_id), X_Organization=scene.other.public_id
    )
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    ("kind", "byok", "after"),
    [
        ("membership", 403, 403),
        ("personal", 403, 403),
        ("session", 403, 403),
        ("organization", 201, 403),
        ("platform", 201, 201),
    ],
)
def test_byok_and_after_the_fact_are_believed_from_whom_the_product_says(scene, kind, byok, after):
    client = scene.http("member") if kind == "session" else scene.key(kind)
    named = {"org_id": scene.org.public_id, "user_id": scene.id_of("member")}
    assert client.post("/usage/holds", body(byok=True, **named)).status_code == byok
    assert client.post("/usage/charges", body(byok=True, **named)).status_code == byok
    assert client.post("/usage/charges", body(after_the_fact=True, **named)).status_code == after


def test_a_person_alone_pays_from_the_personal_pool(scene):
    alone = orgs.user("Solo Person")
    own = organizations.active_for(user=alone)
    make.grant(own, 5)
    payer = done(
        scene.key("personal").__class__(key=orgs.personal_key(alone).text).post("/usage/holds", body()), 201
    )["payer"]
    assert payer == {"kind": "pool", "org_id": own.public_id, "remaining": "4"}

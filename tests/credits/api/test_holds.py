"""Holds as a gateway uses them: placed, captured, released, seen; what each answer says to the letter."""

from decimal import Decimal

import pytest

from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import MODEL, Http, done, error_of, refused

pytestmark = pytest.mark.django_db

HOLD = {
    "id", "status", "credits", "expires_at", "created_at", "transaction_id", "service", "provider", "model", "byok", "price",
}  # fmt: skip
CHARGE = {
    "id", "credits", "cost", "shortfall", "late", "unpriced", "byok", "after_the_fact", "transaction_id", "hold_id", "service",
    "provider", "model", "input_tokens", "output_tokens", "cached_input_tokens", "price", "occurred_at",
}  # fmt: skip


@pytest.fixture
def member(scene) -> Http:
    return scene.key("membership")


def placed(client: Http, **fields) -> str:
    body = {"transaction_id": "t1", "credits": "10", "service": "llm"} | fields
    return done(client.post("/usage/holds", body), 201)["hold"]["id"]


class TestPlacing:
    def test_answers_201_with_the_hold_who_pays_and_what_is_left(self, scene, member):
        answer = member.post(
            "/usage/holds",
            {"transaction_id": "req 1~", "credits": "12.5", "service": "llm", "metadata": {"a": "b", "n": 1}},
        )
        body = done(answer, 201)
        assert set(body) == {"hold", "payer", "quota"}
        assert set(body["hold"]) == HOLD
        assert body["hold"]["status"] == "active"
        assert body["hold"]["credits"] == "12.5"
        assert body["hold"]["expires_at"].endswith("Z")
        assert body["payer"] == {"kind": "allocation", "org_id": scene.org.public_id, "remaining": "87.5"}
        assert body["quota"] is None
        assert answer["X-Credits-Remaining"] == "87.5"
        assert "Idempotent-Replayed" not in answer

    def test_a_repeat_answers_200_with_the_first_hold_and_takes_nothing(self, scene, member):
        body = {"transaction_id": "t", "credits": "1.50", "service": "llm"}
        first = done(member.post("/usage/holds", body), 201)
        again = member.post("/usage/holds", body | {"credits": "1.5", "ttl_seconds": 5, "metadata": {"x": 1}})
        assert done(again) == first
        assert again["Idempotent-Replayed"] == "true"
        assert make.allocation(scene.org, scene.people["member"]).held == Decimal("1.5")

    @pytest.mark.parametrize(
        "change", [{"credits": "2"}, {"service": "other"}, {"model": "m"}, {"provider": "p"}]
    )
    def test_a_repeat_with_other_content_is_409_and_takes_nothing(self, scene, member, change):
        placed(member)
        other = {"transaction_id": "t1", "credits": "10", "service": "llm"} | change
        refused(member.post("/usage/holds", other), 409, "idempotency_conflict")
        refused(member.post("/usage/charges", other), 409, "idempotency_conflict")
        assert make.allocation(scene.org, scene.people["member"]).held == 10

    def test_what_does_not_fit_is_402_and_names_the_limit_and_where_to_ask(self, scene, member):
        details = refused(
            member.post("/usage/holds", {"transaction_id": "t", "credits": "100.000001"}),
            402,
            "insufficient_credits",
        )
        assert details["limit"] == {
            "kind": "allocation",
            "scope": scene.org.public_id,
            "needed": "100.000001",
            "remaining": "100",
            "resets_at": None,
        }
        assert details["request_url"].startswith("http://testserver/")

    def test_a_refusal_is_not_remembered(self, member):
        refused(member.post("/usage/holds", {"transaction_id": "t", "credits": "101"}), 402)
        done(member.post("/usage/holds", {"transaction_id": "t", "credits": "99"}), 201)

    def test_the_pool_s_limit_is_named_as_the_pool_s(self, scene):
        answer = scene.key("membership", who="poolspender").post(
            "/usage/holds", {"transaction_id": "t", "credits": "100000"}
        )
        assert refused(answer, 402)["limit"]["kind"] == "pool"

    def test_zero_credits_ask_no_payer(self, scene, member):
        answer = member.post("/usage/holds", {"transaction_id": "t", "credits": "0"})
        assert done(answer, 201)["payer"] is None
        assert "X-Credits-Remaining" not in answer

    def test_quota_is_counted_shown_and_refused_with_when_it_comes_back(self, scene):
        make.limit_calls(scene.org, day=2, month=10)
        client = scene.key("organization")
        quota = done(client.post("/usage/holds", {"transaction_id": "a", "credits": "1"}), 201)["quota"]
        assert set(quota) == {"day", "month"}
        assert quota["day"] | {"resets_at": ""} == {"limit": 2, "used": 1, "resets_at": ""}
        again = done(client.post("/usage/holds", {"transaction_id": "a", "credits": "1"}))["quota"]
        assert again["day"]["used"] == 1
        free = {"transaction_id": "b", "byok": True, "model": "any", "input_tokens": 5}
        assert done(client.post("/usage/charges", free), 201)["quota"]["day"]["used"] == 2
        answer = client.post("/usage/holds", {"transaction_id": "c", "credits": "1"})
        details = refused(answer, 429, "quota_exceeded")
        assert details["limit"]["kind"] == "quota"
        assert details["limit"]["resets_at"]
        assert 0 < int(answer["Retry-After"]) <= 24 * 3600
        assert details["request_url"]

    def test_tokens_are_priced_with_the_plan_s_markup(self, member):
        body = {
            "transaction_id": "t",
            "model": MODEL,
            "input_tokens": 100,
            "max_output_tokens": 50,
            "provider": "acme",
        }
        hold = done(member.post("/usage/holds", body), 201)["hold"]
        assert hold["credits"] == "2.2"  # (100 × 0.01 + 50 × 0.02) × 1.1
        assert hold["model"] == MODEL
        assert hold["price"]

    @pytest.mark.parametrize("status", ["suspended", "past_due", "removed"])
    def test_who_may_not_spend_now_is_refused_though_this_process_remembers_the_key(
        self, scene, member, status
    ):
        open_hold = placed(member)
        if status == "suspended":
            from orgs import organizations

            organizations.suspend(organization=scene.org, reason="a test", by=SYSTEM)
        elif status == "removed":
            from orgs import memberships

            row = make.membership(scene.org, scene.people["member"])
            memberships.remove(membership=row, by=SYSTEM, acting_as="owner")
        else:
            from orgs.models import Subscription

            Subscription.objects.filter(organization=scene.org).update(
                status="past_due", past_due_since="2026-01-01T00:00:00Z"
            )
        expected = {"suspended": {403}, "past_due": {402}, "removed": {401, 403}}[status]
        for path in ("/usage/holds", "/usage/charges"):
            answer = member.post(path, {"transaction_id": "n", "credits": "1"})
            assert answer.status_code in expected
            error_of(answer)
        done(member.post(f"/usage/holds/{open_hold}/capture", {"credits": "1"}))


class TestCapturing:
    def test_takes_the_real_cost_and_says_so(self, scene, member):
        hold = placed(member)
        answer = member.post(f"/usage/holds/{hold}/capture", {"credits": "4.000001"})
        body = done(answer)
        assert set(body) == {"charge", "payer", "quota"}
        assert set(body["charge"]) == CHARGE
        assert body["charge"]["credits"] == "4.000001"
        assert body["charge"]["hold_id"] == hold
        assert answer["X-Credits-Remaining"] == "95.999999" == body["payer"]["remaining"]

    def test_repeats_with_the_first_charge_and_conflicts_with_other_figures(self, member):
        hold = placed(member)
        first = done(member.post(f"/usage/holds/{hold}/capture", {"credits": "4"}))
        again = member.post(f"/usage/holds/{hold}/capture", {"credits": "4.0"})
        assert done(again) == first
        assert again["Idempotent-Replayed"] == "true"
        refused(member.post(f"/usage/holds/{hold}/capture", {"credits": "5"}), 409, "idempotency_conflict")
        refused(member.post(f"/usage/holds/{hold}/release"), 409, "hold_ended")

    def test_above_what_there_is_leaves_a_shortfall(self, member):
        charge = done(member.post(f"/usage/holds/{placed(member)}/capture", {"credits": "130"}))["charge"]
        assert (charge["credits"], charge["shortfall"], charge["cost"]) == ("100", "30", "130")

    def test_with_tokens_takes_the_hold_s_model(self, member):
        hold = placed(member, credits=None, model=MODEL, input_tokens=100, max_output_tokens=50)
        charge = done(
            member.post(f"/usage/holds/{hold}/capture", {"input_tokens": 100, "output_tokens": 10})
        )["charge"]
        assert charge["credits"] == "1.32"
        assert (charge["model"], charge["input_tokens"], charge["output_tokens"]) == (MODEL, 100, 10)

    def test_by_an_unpriced_fallback_takes_what_was_held(self, member):
        charge = done(
            member.post(f"/usage/holds/{placed(member)}/capture", {"model": "unknown", "input_tokens": 5})
        )["charge"]
        assert (charge["credits"], charge["unpriced"]) == ("10", True)

    def test_after_the_expiry_is_late(self, member):
        hold = placed(member, ttl_seconds=1)
        with make.later("2 hours"):
            charge = done(member.post(f"/usage/holds/{hold}/capture", {"credits": "3"}))["charge"]
        assert charge["late"] is True


class TestReleasing:
    def test_gives_back_and_repeats(self, scene, member):
        hold = placed(member)
        body = done(member.post(f"/usage/holds/{hold}/release"))
        assert body["hold"]["status"] == "released"
        assert body["payer"]["remaining"] == "100"
        assert done(member.post(f"/usage/holds/{hold}/release"))["hold"]["status"] == "released"
        refused(member.post(f"/usage/holds/{hold}/capture", {"credits": "1"}), 409, "hold_ended")


class TestWhoseHolds:
    """Capture and release: whoever placed it, an organization key of the same organization, or a platform key."""

    def test_the_organization_s_and_a_platform_key_may_end_it(self, scene, member):
        for kind in ("organization", "platform"):
            hold = placed(member, transaction_id=kind)
            done(scene.key(kind).post(f"/usage/holds/{hold}/capture", {"credits": "1"}))

    @pytest.mark.parametrize("act", ["capture", "release"])
    def test_a_colleague_and_another_organization_find_nothing(self, scene, member, act):
        hold, body = placed(member), {"credits": "1"} if act == "capture" else None
        theirs = orgs.organization_key(scene.other).text
        for client in (
            scene.key("membership", who="colleague"),
            scene.http("colleague"),
            scene.key("personal", who="outsider"),
            Http(key=theirs),
        ):
            refused(client.post(f"/usage/holds/{hold}/{act}", body), 404, "not_found")
        assert make.allocation(scene.org, scene.people["member"]).held == 10

    def test_another_key_of_the_same_member_may_not_end_it(self, scene, member):
        refused(scene.key("membership").post(f"/usage/holds/{placed(member)}/release"), 403)

    def test_a_hold_that_is_none_is_404(self, member):
        nobody = "00000000-0000-7000-8000-000000000000"
        refused(member.post(f"/usage/holds/{nobody}/capture", {"credits": "1"}), 404, "not_found")
        refused(member.ask(f"/usage/holds/{nobody}"), 404, "not_found")
        refused(member.ask("/usage/holds/1"), 404, "not_found")

    def test_lists_one_s_own_and_all_for_who_sees_everyone(self, scene, member):
        mine = placed(member)
        theirs = placed(scene.key("membership", who="colleague"), transaction_id="t2")
        assert [one["id"] for one in done(member.ask("/usage/holds"))["data"]] == [mine]
        assert set(done(member.ask("/usage/holds"))["data"][0]) == HOLD
        for client in (scene.key("organization"), scene.http("billing_admin"), scene.key("platform")):
            answer = done(client.ask(f"/usage/holds?org_id={scene.org.public_id}"))
            assert {one["id"] for one in answer["data"]} == {mine, theirs}
            assert answer["pagination"] == {"total": 2, "limit": 50, "offset": 0, "has_more": False}
            done(client.ask(f"/usage/holds/{theirs}"))
        refused(member.ask(f"/usage/holds/{theirs}"), 404, "not_found")
        refused(scene.http("outsider").ask(f"/usage/holds?org_id={scene.org.public_id}"), 404)

    def test_a_session_and_a_personal_key_see_the_active_organization_s(self, scene):
        for client, key in ((scene.http("member"), "a"), (scene.key("personal"), "b")):
            mine = placed(client, transaction_id=key)
            assert mine in [one["id"] for one in done(client.ask("/usage/holds"))["data"]]

    def test_an_ended_hold_is_listed_no_more(self, member):
        hold = placed(member)
        done(member.post(f"/usage/holds/{hold}/release"))
        assert done(member.ask("/usage/holds"))["data"] == []
        assert done(member.ask(f"/usage/holds/{hold}"))["status"] == "released"


class TestARevokedKey:
    @pytest.mark.parametrize("how", ["revoked", "expired"])
    def test_holds_nothing_new_at_once_but_may_end_what_it_held(self, scene, how):
        text = scene.key_text("membership")
        client, key = Http(key=text), AccessKey.objects.latest("pk")
        first, second = placed(client, transaction_id="a"), placed(client, transaction_id="b")
        if how == "revoked":  # by SQL, as another process would: this one still remembers the key
            AccessKey.objects.filter(pk=key.pk).update(revoked_at="2026-01-01T00:00:00Z")
        else:
            AccessKey.objects.filter(pk=key.pk).update(expires_at="2026-01-01T00:00:00Z")
        body = {"transaction_id": "new", "credits": "1"}
        refused(client.post("/usage/holds", body), 401, "unauthorized")
        refused(client.post("/usage/charges", body), 401, "unauthorized")
        refused(client.post("/usage/check", body), 401, "unauthorized")
        done(client.post(f"/usage/holds/{first}/capture", {"credits": "7"}))
        keys.forget_cached()
        refused(client.post("/usage/holds", body), 401, "unauthorized")
        done(client.post(f"/usage/holds/{second}/release"))

"""Charges, batches, reversals and questions, as a gateway uses them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.models import UsageRecord
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import MODEL, Http, done, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(scene) -> Http:
    return scene.key("membership")


def charged(client: Http, **fields) -> str:
    body = {"transaction_id": "t1", "credits": "10", "service": "llm"} | fields
    return done(client.post("/usage/charges", body), 201)["charge"]["id"]


class TestACharge:
    def test_answers_201_and_a_repeat_200_with_the_first(self, scene, member):
        body = {
            "transaction_id": "t",
            "credits": "0.000001",
            "service": "llm",
            "model": MODEL,
            "input_tokens": 7,
        }
        first = member.post("/usage/charges", body)
        assert done(first, 201)["charge"]["credits"] == "0.000001"
        assert first["X-Credits-Remaining"] == "99.999999"
        again = member.post("/usage/charges", body)
        assert done(again) == done(first, 201)
        assert again["Idempotent-Replayed"] == "true"
        assert UsageRecord.objects.filter(organization=scene.org).count() == 1

    def test_of_money_and_of_units_and_images_is_priced(self, scene, member):
        make.price("page", kind="units", each_price=Decimal("0.002"))
        make.price("painter", kind="images", each_price=Decimal("0.04"))
        forms = {
            "1.1": {"cost": {"amount": "0.01", "currency": "USD"}},
            "0.66": {"unit": "page", "units": "3"},
            "8.8": {"model": "painter", "images": {"count": 2, "size": "1x1"}},
        }
        for credits, form in forms.items():
            answer = member.post("/usage/charges", {"transaction_id": credits, "service": "s", **form})
            charge = done(answer, 201)["charge"]
            assert charge["credits"] == credits, form
            assert charge["price"]

    def test_after_the_fact_is_taken_and_the_rest_owed(self, scene):
        at = datetime.now(UTC) - timedelta(days=2)
        body = {
            "transaction_id": "t", "credits": "150", "service": "llm", "org_id": scene.org.public_id,
            "user_id": scene.id_of("member"), "after_the_fact": True, "occurred_at": at.isoformat(),
        }  # fmt: skip
        charge = done(scene.key("platform").post("/usage/charges", body), 201)["charge"]
        assert (charge["credits"], charge["shortfall"], charge["after_the_fact"]) == ("100", "50", True)
        assert charge["occurred_at"].startswith(at.isoformat()[:19])

    @pytest.mark.parametrize(
        "at",
        ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-21", "now", 5, "2026-13-01T00:00:00Z"],
    )  # fmt: skip
    def test_a_time_that_cannot_be_is_422(self, scene, at):
        body = {
            "transaction_id": "t", "credits": "1", "org_id": scene.org.public_id, "after_the_fact": True, "occurred_at": at,
        }  # fmt: skip
        details = refused(scene.key("platform").post("/usage/charges", body), 422, "validation_error")
        assert "occurred_at" in details


class TestABatch:
    def test_answers_in_the_order_sent_each_with_its_own_outcome(self, scene, member):
        done(member.post("/usage/charges", {"transaction_id": "old", "credits": "1"}), 201)
        charges = [
            {"transaction_id": "a", "credits": "60"},
            {"transaction_id": "b", "credits": "70"},
            {"transaction_id": "old", "credits": "1"},
            {"transaction_id": "a", "credits": "60"},
            {"transaction_id": "a", "credits": "61"},
            {"transaction_id": "c", "credits": "-1"},
            {"transaction_id": "d", "credits": "30"},
            "nonsense",
            {"credits": "1"},
            {"transaction_id": "e", "credits": "1", "org_id": scene.other.public_id},
        ]
        body = done(member.post("/usage/charges/batch", {"charges": charges}))
        assert [one["status"] for one in body["results"]] == [
            "charged", "refused", "duplicate", "duplicate", "refused", "refused", "charged", "refused", "refused", "refused",
        ]  # fmt: skip
        errors = [one["error"]["code"] for one in body["results"] if "error" in one]
        assert errors == [
            "insufficient_credits", "idempotency_conflict", "validation_error", "validation_error", "validation_error", "not_found",
        ]  # fmt: skip
        assert [one["transaction_id"] for one in body["results"]] == [
            "a", "b", "old", "a", "a", "c", "d", None, None, "e",
        ]  # fmt: skip
        assert (body["charged"], body["duplicates"], body["refused"]) == (2, 2, 6)
        assert body["results"][0]["charge"]["credits"] == "60"
        assert body["results"][1]["error"]["details"]["request_url"]
        assert make.allocation(scene.org, scene.people["member"]).remaining == 9

    def test_takes_a_thousand_and_refuses_one_more_whole(self, scene, member):
        charges = [{"transaction_id": f"t{number}", "credits": "0.01"} for number in range(1001)]
        refused(member.post("/usage/charges/batch", {"charges": charges}), 422, "validation_error")
        assert not UsageRecord.objects.exists()
        assert done(member.post("/usage/charges/batch", {"charges": charges[:1000]}))["charged"] == 1000
        assert make.allocation(scene.org, scene.people["member"]).remaining == 90
        assert done(member.post("/usage/charges/batch", {"charges": charges[:1000]}))["duplicates"] == 1000

    def test_takes_bodies_above_one_but_not_above_eight_mebibytes(self, member):
        line = {"transaction_id": "big", "credits": "1", "metadata": {"a": "b" * 3_000_000}}
        body = done(member.post("/usage/charges/batch", {"charges": [line]}))
        assert body["results"][0]["error"]["details"] == {"metadata": "must have at most 4 KiB"}
        line["metadata"]["a"] = "b" * 9_000_000
        refused(member.post("/usage/charges/batch", {"charges": [line]}), 413, "too_large")

    @pytest.mark.parametrize(
        "body", [{}, {"charges": []}, {"charges": {}}, {"charges": None}, {"charges": [{}], "x": 1}]
    )
    def test_without_a_list_is_422(self, member, body):
        refused(member.post("/usage/charges/batch", body), 422, "validation_error")


class TestAReversal:
    def test_gives_back_once_and_repeats(self, scene, member):
        charge, client = charged(member), scene.key("platform")
        body = done(
            client.post(f"/usage/charges/{charge}/reverse", {"credits": "4", "reason": "bad answer"}), 201
        )
        assert set(body["reversal"]) == {"id", "charge_id", "credits", "shortfall", "reason"}
        assert (body["reversal"]["charge_id"], body["reversal"]["credits"]) == (charge, "4")
        assert make.allocation(scene.org, scene.people["member"]).remaining == 94
        again = client.post(f"/usage/charges/{charge}/reverse", {"credits": "4.0", "reason": "again"})
        assert done(again)["reversal"] == body["reversal"]
        assert again["Idempotent-Replayed"] == "true"
        other = client.post(f"/usage/charges/{charge}/reverse", {"credits": "5", "reason": "more"})
        refused(other, 409, "idempotency_conflict")

    def test_of_all_needs_no_amount_and_of_more_is_422(self, scene, member):
        charge, client = charged(member), scene.key("platform")
        for credits in ("10.000001", "0"):
            refused(client.post(f"/usage/charges/{charge}/reverse", {"credits": credits, "reason": "r"}), 422)
        answer = client.post(f"/usage/charges/{charge}/reverse", {"reason": "r"})
        assert done(answer, 201)["reversal"]["credits"] == "10"

    def test_is_for_platform_keys_organization_keys_with_the_scope_and_people_who_may_buy(
        self, scene, member
    ):
        statuses = {
            "platform": (scene.key("platform", "usage:write"), 201),
            "organization": (scene.key("organization", "credits:write"), 201),
            "organization without the scope": (scene.key("organization", "usage:write"), 403),
            "owner": (scene.http("owner"), 201),
            "admin": (scene.http("admin"), 201),
            "billing admin": (scene.http("billing_admin"), 201),
            "system admin": (scene.http("system_admin"), 201),
            "member": (scene.http("member"), 403),
            "manager": (scene.http("manager"), 403),
            "outsider": (scene.http("outsider"), 404),
            "member's key": (member, 403),
            "owner's membership key": (scene.key("membership", who="owner"), 403),
            "another organization's key": (Http(key=orgs.organization_key(scene.other).text), 404),
            "nobody": (Http(), 401),
        }
        for number, (who, (client, status)) in enumerate(statuses.items()):
            charge = charged(member, transaction_id=f"t{number}", credits="1")
            answer = client.post(f"/usage/charges/{charge}/reverse", {"reason": "r"})
            assert answer.status_code == status, (who, answer.content)


class TestQuestions:
    def test_check_says_whether_a_hold_would_be_placed_and_moves_nothing(self, scene, member):
        yes = member.post("/usage/check", {"credits": "100", "service": "llm"})
        assert done(yes) == {
            "allowed": True,
            "needed": "100",
            "payer": {"kind": "allocation", "org_id": scene.org.public_id, "remaining": "100"},
            "quota": None,
            "error": None,
        }
        assert yes["X-Credits-Remaining"] == "100"
        no = done(member.post("/usage/check", {"credits": "101", "transaction_id": "t"}))
        assert no["allowed"] is False
        assert no["error"]["code"] == "insufficient_credits"
        assert no["error"]["details"]["limit"]["kind"] == "allocation"
        assert make.allocation(scene.org, scene.people["member"]).held == 0

    def test_check_sees_an_exhausted_quota(self, scene):
        make.limit_calls(scene.org, day=0, month=5)
        answer = done(scene.key("organization").post("/usage/check", {"credits": "1"}))
        assert answer["error"]["code"] == "quota_exceeded"

    def test_estimate_explains_the_price(self, member):
        body = {"model": MODEL, "input_tokens": 100, "max_output_tokens": 50}
        answer = done(member.post("/usage/estimate", body))
        assert set(answer) == {"credits", "price"}
        assert answer["credits"] == "2.2"
        assert answer["price"]["form"] == "tokens"

    def test_an_unpriced_model_is_422_by_name(self, member):
        for path in ("/usage/estimate", "/usage/check", "/usage/charges", "/usage/holds"):
            body = {"transaction_id": "t", "model": "no-such-model", "input_tokens": 1}
            assert "model" in refused(member.post(path, body), 422, "validation_error")


class TestIntrospection:
    def test_tells_a_gateway_who_calls(self, scene):
        text = scene.key_text("membership", "usage:write", who="engineer")
        client = scene.key("platform")
        assert done(client.post("/usage/keys/introspect", {"key": text})) == {
            "active": True,
            "kind": "membership",
            "org_id": scene.org.public_id,
            "user_id": scene.id_of("engineer"),
            "department_id": scene.department.public_id,
            "scopes": ["usage:write"],
            "rate_limit": None,
        }

    def test_of_an_unknown_revoked_or_ended_one_is_inactive_and_says_no_more(self, scene):
        from orgs.models import AccessKey

        text = scene.key_text("membership")
        client = scene.key("platform")
        AccessKey.objects.filter(membership__isnull=False).update(revoked_at="2026-01-01T00:00:00Z")
        for key in (text, "cpk_unknown", "", "x" * 5000, "cpk_\u2028"):
            assert done(client.post("/usage/keys/introspect", {"key": key})) == {"active": False}

    @pytest.mark.parametrize("kind", ["membership", "personal", "organization"])
    def test_is_for_platform_keys_alone(self, scene, kind):
        refused(scene.key(kind).post("/usage/keys/introspect", {"key": "cpk_x"}), 403, "permission_denied")

    def test_is_not_for_sessions(self, scene):
        assert scene.http("system_admin").post("/usage/keys/introspect", {"key": "x"}).status_code in (
            401,
            403,
        )

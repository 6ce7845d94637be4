"""What every answer of the usage API says: who pays, what is left there, which limit bit, and the same again for a repeat."""

from decimal import Decimal

import pytest

from credits.ledger import charging
from credits.models import UsageRecord
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import MODEL, Http, books, done, error_of, refused

pytestmark = pytest.mark.django_db

LEFT = "X-Credits-Remaining"


@pytest.fixture
def member(scene) -> Http:
    return scene.key("membership")


def charged(client, name="t", credits="10"):
    answer = client.post("/usage/charges", {"transaction_id": name, "credits": credits, "service": "llm"})
    return done(answer, 201)["charge"]["id"]


class TestWhatIsLeft:
    def test_stands_on_every_answer_of_the_hot_path(self, scene, member):
        answers = [member.post("/usage/check", {"credits": "10"})]
        answers.append(member.post("/usage/holds", {"transaction_id": "h", "credits": "10"}))
        hold = answers[-1].json()["hold"]["id"]
        answers.append(member.post(f"/usage/holds/{hold}/capture", {"credits": "4"}))
        answers.append(member.post("/usage/charges", {"transaction_id": "c", "credits": "6"}))
        charge = answers[-1].json()["charge"]["id"]
        lines = [{"transaction_id": f"b{number}", "credits": "5"} for number in range(2)]
        answers.append(member.post("/usage/charges/batch", {"charges": lines}))
        answers.append(scene.http("owner").post(f"/usage/charges/{charge}/reverse", {"reason": "r"}))
        assert [one[LEFT] for one in answers] == ["100", "90", "96", "90", "80", "86"]

    def test_of_a_batch_is_said_with_the_payer_of_each_line(self, scene):
        lines = [
            {"transaction_id": "a", "credits": "1", "user_id": scene.id_of("member")},
            {"transaction_id": "b", "credits": "1"},
            {"transaction_id": "c", "credits": "0"},
            {"transaction_id": "d", "credits": "99999"},
        ]
        answer = scene.key("organization").post("/usage/charges/batch", {"charges": lines})
        own, pool, free, refusal = done(answer)["results"]
        assert own["payer"] == {"kind": "allocation", "org_id": scene.org.public_id, "remaining": "99"}
        assert (pool["payer"]["kind"], free["payer"]) == ("pool", None)
        assert "payer" not in refusal
        assert answer[LEFT] == pool["payer"]["remaining"]

    def test_of_a_reversal_is_of_who_paid(self, scene, member):
        answer = scene.http("owner").post(f"/usage/charges/{charged(member)}/reverse", {"reason": "r"})
        assert done(answer, 201)["payer"] == {
            "kind": "allocation",
            "org_id": scene.org.public_id,
            "remaining": "100",
        }


class TestARepeat:
    def test_of_a_hold_has_the_first_ids_and_amounts_and_the_present_status_remaining_and_quota(
        self, scene, member
    ):
        make.limit_calls(scene.org, day=10, month=10)
        body = {"transaction_id": "t", "credits": "10"}
        first = done(member.post("/usage/holds", body), 201)
        done(member.post(f"/usage/holds/{first['hold']['id']}/capture", {"credits": "4"}))
        charged(member, "other", "6")
        again = done(member.post("/usage/holds", body))
        assert again["hold"] == first["hold"] | {"status": "captured"}
        assert (first["payer"]["remaining"], again["payer"]["remaining"]) == ("90", "90")
        assert (first["quota"]["day"]["used"], again["quota"]["day"]["used"]) == (1, 2)

    def test_of_a_charge_after_a_reversal_has_the_present_remaining(self, scene, member):
        body = {"transaction_id": "t", "credits": "10", "service": "llm"}
        first = done(member.post("/usage/charges", body), 201)
        done(
            scene.http("owner").post(f"/usage/charges/{first['charge']['id']}/reverse", {"reason": "r"}), 201
        )
        again = member.post("/usage/charges", body)
        assert again.json()["charge"] == first["charge"]
        assert again[LEFT] == again.json()["payer"]["remaining"] == "100"

    def test_of_a_capture_has_the_first_charge_and_the_present_remaining(self, member):
        hold = done(member.post("/usage/holds", {"transaction_id": "t", "credits": "10"}), 201)["hold"]["id"]
        first = done(member.post(f"/usage/holds/{hold}/capture", {"credits": "4"}))
        charged(member, "other", "6")
        again = member.post(f"/usage/holds/{hold}/capture", {"credits": "4.0"})
        assert again["Idempotent-Replayed"] == "true"
        assert again.json()["charge"] == first["charge"]
        assert again.json()["payer"]["remaining"] == "90"


SAME = {
    "transaction_id": "t", "credits": "5", "model": "m", "input_tokens": 5, "output_tokens": 3, "service": "llm", "provider": "acme",
    "byok": False,
}  # fmt: skip
OTHER_FIGURES = [
    {"credits": "5.000001"}, {"model": "n"}, {"service": "ocr"}, {"provider": "other"}, {"byok": True},
    {"credits": None, "cost": {"amount": "0.05", "currency": "USD"}}, {"credits": None, "model": MODEL},
    {"credits": None, "input_tokens": None, "output_tokens": None, "model": "m", "images": {"count": 1}},
    {"credits": None, "input_tokens": None, "output_tokens": None, "unit": "page", "units": "5"},
]  # fmt: skip


class TestTheSameContent:
    """Law 5, each field in turn."""

    @pytest.mark.parametrize("path", ["/usage/holds", "/usage/charges"])
    def test_with_another_figure_is_409_and_moves_nothing(self, scene, path):
        make.price("page", kind="units", each_price=Decimal("0.002"))
        make.price("m", kind="images", each_price=Decimal("0.002"))
        client = scene.key("platform")
        same = SAME | {"org_id": scene.org.public_id, "user_id": scene.id_of("member")}
        first = done(client.post(path, same), 201)
        before = books()
        for other in [*OTHER_FIGURES, {"user_id": scene.id_of("colleague")}, {"user_id": None}]:
            body = {name: value for name, value in (same | other).items() if value is not None}
            answer = client.post(path, body)
            refused(answer, 409, "idempotency_conflict")
        kind = path.removeprefix("/usage/").removesuffix("s")
        for alike in ({"credits": "5.0"}, {"credits": 5}, {"metadata": {"x": 1}}, {"byok": False}):
            assert done(client.post(path, same | alike))[kind]["id"] == first[kind]["id"]
        assert books() == before

    def test_in_another_organization_is_another_request(self, scene):
        client = scene.key("platform")
        for organization in (scene.org, scene.other):
            done(client.post("/usage/charges", SAME | {"org_id": organization.public_id}), 201)
        assert UsageRecord.objects.filter(transaction_id="t").count() == 2

    def test_compares_neither_ttl_nor_metadata_of_a_hold(self, member):
        body = {"transaction_id": "t", "credits": "5", "ttl_seconds": 60, "metadata": {"a": 1}}
        first = done(member.post("/usage/holds", body), 201)
        assert done(member.post("/usage/holds", body | {"ttl_seconds": 90, "metadata": {}})) == first

    @pytest.mark.parametrize(
        "other", [{"input_tokens": 6}, {"output_tokens": 4}, {"cached_input_tokens": 1}, {"model": "n"}]
    )
    def test_of_a_capture_is_its_figures(self, member, other):
        hold = done(member.post("/usage/holds", {"transaction_id": "t", "credits": "5"}), 201)["hold"]["id"]
        figures = {"credits": "5", "model": "m", "input_tokens": 5, "output_tokens": 3}
        done(member.post(f"/usage/holds/{hold}/capture", figures))
        refused(member.post(f"/usage/holds/{hold}/capture", figures | other), 409, "idempotency_conflict")


class TestALimit:
    def test_of_credits_or_quota_is_named_with_where_to_ask_for_more(self, scene, member):
        make.limit_calls(scene.org, day=1, month=5)
        body = {"transaction_id": "t", "credits": "101"}
        for path in ("/usage/holds", "/usage/charges"):
            details = refused(member.post(path, body), 402, "insufficient_credits")
            assert details["limit"] == {
                "kind": "allocation", "scope": scene.org.public_id, "needed": "101", "remaining": "100", "resets_at": None,
            }  # fmt: skip
            assert details["request_url"].endswith(f"/orgs/{scene.org.slug}/requests/?needed=101")
        charged(member)
        for path in ("/usage/holds", "/usage/charges"):
            answer = member.post(path, {"transaction_id": "n", "credits": "1"})
            details = refused(answer, 429, "quota_exceeded")
            assert (details["limit"]["kind"], details["limit"]["scope"]) == ("quota", "day")
            assert details["limit"]["resets_at"]
            assert int(answer["Retry-After"]) > 0
            assert details["request_url"]

    def test_that_refuses_the_first_call_of_a_period_leaves_no_row(self, scene, member):
        make.limit_calls(scene.org, day=5, month=5)
        before = books()
        refused(member.post("/usage/holds", {"transaction_id": "t", "credits": "101"}), 402)
        refused(member.post("/usage/charges", {"transaction_id": "t", "credits": "101"}), 402)
        assert books() == before


def test_a_line_of_a_batch_that_broke_has_a_request_id_which_the_log_has_too(
    scene, member, monkeypatch, caplog
):
    broken = charging.Unclassified("secret of the database")
    monkeypatch.setattr(charging, "settle", lambda commands: [broken for _ in commands])
    answer = done(member.post("/usage/charges/batch", {"charges": [{"transaction_id": "t", "credits": "1"}]}))
    error = answer["results"][0]["error"]
    assert error["code"] == "internal_error"
    assert error["details"]["request_id"] in caplog.text
    assert "secret" not in str(answer)


class TestAReversal:
    def test_by_a_personal_key_needs_a_person_who_may_buy_and_the_scope(self, scene, member):
        charge = charged(member)
        path, body = f"/usage/charges/{charge}/reverse", {"reason": "r"}
        refused(scene.key("personal", who="member").post(path, body), 403)
        refused(scene.key("personal", who="manager").post(path, body), 403)
        refused(scene.key("personal", who="outsider").post(path, body), 404)
        details = refused(scene.key("personal", "usage:write", who="owner").post(path, body), 403)
        assert details == {"scope": "credits:write"}
        assert UsageRecord.objects.filter(kind="reversal").count() == 0
        done(scene.key("personal", "credits:write", who="billing_admin").post(path, body), 201)

    def test_by_a_system_admins_personal_key_is_not_lent_everybodys_charges(self, scene, member):
        key = orgs.personal_key(scene.people["system_admin"]).text
        path = f"/usage/charges/{charged(member)}/reverse"
        refused(Http(key=key).post(path, {"reason": "r"}), 404)

    def test_by_a_membership_key_is_refused_whoever_it_is(self, scene, member):
        path = f"/usage/charges/{charged(member)}/reverse"
        for who in ("owner", "admin", "billing_admin", "member"):
            answer = scene.key("membership", who=who).post(path, {"reason": "r"})
            assert error_of(answer)["code"] == "permission_denied"


class TestARequestThatCostsNothing:
    def test_of_a_free_model_goes_through_at_a_balance_of_nothing(self, scene):
        make.price("free-model", input_price=0, output_price=0)
        team = make.team(0)
        key = orgs.membership_key(make.membership(team, make.member(team))).text
        body = {"transaction_id": "t", "model": "free-model", "input_tokens": 10, "output_tokens": 5}
        answer = Http(key=key).post("/usage/charges", body)
        told = done(answer, 201)
        assert (told["charge"]["credits"], told["charge"]["cost"], told["payer"]) == ("0", "0", None)
        assert LEFT not in answer
        hold = done(Http(key=key).post("/usage/holds", {"transaction_id": "z", "credits": "0"}), 201)
        assert hold["payer"] is None

    def test_with_the_customers_own_key_counts_needs_a_member_and_keeps_the_providers_cost(self, scene):
        make.limit_calls(scene.org, day=2, month=9)
        client = scene.key("organization")
        body = {
            "transaction_id": "t", "byok": True, "cost": {"amount": "0.25", "currency": "USD"}, "user_id": scene.id_of("member"),
        }  # fmt: skip
        told = done(client.post("/usage/charges", body), 201)
        assert (told["charge"]["credits"], told["charge"]["byok"], told["payer"]) == ("0", True, None)
        assert "0.25" in str(told["charge"]["price"])
        assert told["quota"]["day"]["used"] == 1
        done(client.post("/usage/holds", body | {"transaction_id": "h"}), 201)
        refused(client.post("/usage/charges", body | {"transaction_id": "n"}), 429, "quota_exceeded")
        stranger = body | {"transaction_id": "n", "user_id": scene.id_of("outsider")}
        refused(client.post("/usage/charges", stranger), 404)

"""POST and GET /org-billing/subscriptions: who may, what comes back, and that a repeat is one subscription."""

from datetime import datetime

import pytest
from django.test import override_settings

from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import catalogue
from orgs.access import keys
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused, scene
from tests.factories.lago import lago, lago_process  # noqa: F401

pytestmark = pytest.mark.django_db
PATH = "/org-billing/subscriptions"


@pytest.fixture(autouse=True)
def _no_remembered_keys():
    keys.forget_cached()
    yield
    keys.forget_cached()


@pytest.fixture
def installed(lago, settings):  # noqa: F811
    settings.SITE_URL = "http://127.0.0.1:9"  # webhooks go nowhere
    now = datetime.fromisoformat(lago.now())
    installing.install(webhook_url=guard.webhook_url(), now=now)
    catalogue.refresh(now=now)
    return lago


@pytest.fixture
def team(db):
    return orgs.team("Fresh")


@pytest.fixture
def owner(team):
    return Http(user=team.memberships.get(role="owner").user)


def body(team, plan_code="starter", **more):
    return {"org_id": team.public_id, "plan_code": plan_code, **more}


def subscriptions_at(lago):  # noqa: F811
    return lago.dump()["subscription"]


class TestPost:
    def test_subscribes_and_shows_what_was_made_with_the_pool(self, installed, team, owner):
        answer = done(owner.post(PATH, body(team)), 201)
        assert set(answer) == {"subscription", "credit_pool"}
        shown, [found] = answer["subscription"], subscriptions_at(installed)
        assert shown == {
            "id": f"sub_{team.public_id}",
            "org_id": team.public_id,
            "org_name": "Fresh",
            "plan_code": "starter",
            "plan_name": "Starter",
            "amount_cents": 1900,
            "currency": "USD",
            "interval": "monthly",
            "status": "active",
            "lago_id": found["id"],
            "external_id": f"sub_{team.public_id}",
            "started_at": shown["started_at"],
            "trial_ends_at": None,
            "current_period_start": shown["current_period_start"],
            "current_period_end": shown["current_period_end"],
            "next_plan_code": None,
            "downgrade_at": None,
            "cancel_at": None,
            "included_credits": 2000,
        }
        assert shown["current_period_start"] < shown["current_period_end"]
        assert (answer["credit_pool"]["org_id"], answer["credit_pool"]["available"]) == (team.public_id, "0")
        assert done(owner.ask(f"{PATH}/{team.public_id}")) == shown

    def test_a_trial_says_when_it_ends(self, installed, team, owner):
        shown = done(owner.post(PATH, body(team, "trial")), 201)["subscription"]
        assert shown["status"] == "trialing"
        assert shown["trial_ends_at"] == shown["cancel_at"] == shown["current_period_end"]

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"plan_code": "platinum"}, "plan_code"),
            ({"plan_code": None}, "plan_code"),
            ({"plan_code": 7}, "plan_code"),
            ({"billing_time": "weekly"}, "billing_time"),
            ({"subscription_at": "2026-01-01"}, "subscription_at"),
        ],
    )
    def test_names_the_wrong_field(self, installed, team, owner, wrong, field):
        assert field in refused(owner.post(PATH, body(team) | wrong), 422, "validation_error")
        assert not subscriptions_at(installed)

    def test_a_second_is_409(self, installed, team, owner):
        done(owner.post(PATH, body(team)), 201)
        refused(owner.post(PATH, body(team, "professional")), 409, "subscription_exists")
        assert len(subscriptions_at(installed)) == 1

    def test_a_second_trial_is_409_with_the_reason(self, installed, team, owner):
        done(owner.post(PATH, body(team, "trial")), 201)
        other = orgs.team("Second", owner=team.memberships.get(role="owner").user)
        answer = owner.post(PATH, body(other, "trial"))
        refused(answer, 409, "conflict")
        assert "it comes once" in answer.json()["error"]["message"]

    def test_a_lago_that_is_away_is_502(self, team, owner):
        refused(owner.post(PATH, body(team)), 502, "billing_unavailable")
        refused(owner.ask(f"{PATH}/{team.public_id}"), 404, "not_found")

    def test_a_portal_without_lago_is_502(self, team, owner):
        with override_settings(LAGO_API_KEY=""):
            refused(owner.post(PATH, body(team)), 502, "billing_unavailable")


class TestChanges:
    def test_up_down_back_and_the_end(self, installed, team, owner):
        here = f"{PATH}/{team.public_id}"
        price = done(owner.ask(f"{here}/preview?plan_code=starter"))
        assert (price["kind"], price["due_cents"]) == ("subscribe", 1900)
        done(owner.post(PATH, body(team)), 201)
        preview = done(owner.ask(f"{here}/preview?plan_code=professional"))
        assert set(preview) == {"old_amount_cents", "new_amount_cents", "credit_cents", "fee_cents", "due_cents", "effective_at", "kind"}  # fmt: skip
        assert {**preview, "effective_at": 0} == {"old_amount_cents": 1900, "new_amount_cents": 4900, "credit_cents": 1900, "fee_cents": 4900, "due_cents": 3000, "effective_at": 0, "kind": "upgrade"}  # fmt: skip
        answer = done(owner.send("PUT", f"{here}/upgrade", {"plan_code": "professional"}))
        assert set(answer) == {"subscription", "price_change"}
        assert {**answer["price_change"], "effective_at": 0} == {**preview, "effective_at": 0}
        assert answer["subscription"] == done(owner.ask(here))
        assert (answer["subscription"]["plan_code"], answer["subscription"]["amount_cents"]) == ("professional", 4900)  # fmt: skip

        down = done(owner.send("PUT", f"{here}/upgrade", {"plan_code": "starter"}))
        shown = down["subscription"]
        assert (down["price_change"]["kind"], shown["plan_code"], shown["next_plan_code"]) == ("downgrade", "professional", "starter")  # fmt: skip
        assert shown["downgrade_at"] == down["price_change"]["effective_at"][:10]
        back = done(owner.send("DELETE", f"{here}/pending"))
        assert (back["next_plan_code"], back["downgrade_at"]) == (None, None)
        refused(owner.send("DELETE", f"{here}/pending"), 404, "not_found")

        ending = done(owner.send("DELETE", here))
        assert (ending["status"], ending["cancel_at"]) == ("canceled", ending["current_period_end"])
        refused(owner.send("DELETE", here), 409, "conflict")
        refused(owner.send("PUT", f"{here}/upgrade", {"plan_code": "enterprise"}), 409, "conflict")
        assert done(owner.send("DELETE", f"{here}/pending"))["status"] == "active"

    def test_refusals_have_their_codes(self, installed, team, owner):
        here = f"{PATH}/{team.public_id}"
        for method, path, given in (("PUT", f"{here}/upgrade", {"plan_code": "starter"}), ("DELETE", here, None), ("DELETE", f"{here}/pending", None)):  # fmt: skip
            refused(owner.send(method, path, given), 404, "not_found")
        done(owner.post(PATH, body(team)), 201)
        refused(owner.send("PUT", f"{here}/upgrade", {"plan_code": "starter"}), 400, "invalid_request")
        refused(owner.ask(f"{here}/preview?plan_code=starter"), 400, "invalid_request")
        for wrong in ("platinum", "trial", 7, None):
            assert "plan_code" in refused(owner.send("PUT", f"{here}/upgrade", {"plan_code": wrong}), 422, "validation_error")  # fmt: skip
        for query in ("", "?plan_code=platinum"):
            assert "plan_code" in refused(owner.ask(f"{here}/preview{query}"), 422, "validation_error")
        with override_settings(LAGO_API_URL="http://127.0.0.1:9"):
            assert done(owner.ask(f"{here}/preview?plan_code=professional"))["due_cents"] == 3000
            refused(owner.send("DELETE", here), 502, "billing_unavailable")
        assert done(owner.ask(here))["status"] == "active"

    def test_with_its_key_is_made_once_and_answered_again(self, installed, team, owner):
        here = f"{PATH}/{team.public_id}"
        done(owner.post(PATH, body(team)), 201)
        key = {"Idempotency_Key": "change-1"}
        first = owner.send("PUT", f"{here}/upgrade", {"plan_code": "professional"}, **key)
        again = owner.send("PUT", f"{here}/upgrade", {"plan_code": "professional"}, **key)
        assert done(again) == done(first)
        assert again.headers["Idempotent-Replayed"] == "true"
        other = owner.send("PUT", f"{here}/upgrade", {"plan_code": "enterprise"}, **key)
        refused(other, 409, "idempotency_conflict")
        assert PlanChange.objects.count() == 1

    def test_only_who_may_buy(self, db):
        here = scene()
        path = f"{PATH}/{here.org.public_id}"
        calls = [("PUT", f"{path}/upgrade", {"plan_code": "starter"}), ("GET", f"{path}/preview?plan_code=starter", None), ("DELETE", path, None), ("DELETE", f"{path}/pending", None)]  # fmt: skip
        for method, address, given in calls:
            for who, status in (("member", 403), ("manager", 403), ("outsider", 404), (None, 401)):
                refused(here.http(*([who] if who else [])).send(method, address, given), status)
            for who in ("owner", "admin", "billing_admin", "system_admin"):
                answer = here.http(who).send(method, address, given)
                assert answer.status_code in {409, 502}, (method, who, answer.content)
            scope = "billing:read" if method != "GET" else "billing:write"
            refused(here.key("personal", scope, who="owner").send(method, address, given), 403)


class TestRepeats:
    KEY = {"Idempotency_Key": "subscribe-1"}

    def test_with_its_key_gets_the_first_answer(self, installed, team, owner):
        first = owner.post(PATH, body(team), **self.KEY)
        again = owner.post(PATH, body(team), **self.KEY)
        assert done(again, 201) == done(first, 201)
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(subscriptions_at(installed)) == 1

    def test_with_another_body_is_a_conflict(self, installed, team, owner):
        done(owner.post(PATH, body(team), **self.KEY), 201)
        refused(owner.post(PATH, body(team, "professional"), **self.KEY), 409, "idempotency_conflict")

    def test_after_a_lost_answer_of_lago_subscribes_once(self, installed, team, owner):
        installed.faults(
            {"method": "POST", "path": "subscriptions", "times": 3, "drop": True, "after_commit": True}
        )
        refused(owner.post(PATH, body(team), **self.KEY), 502)
        done(owner.post(PATH, body(team), **self.KEY), 201)
        assert len(subscriptions_at(installed)) == 1

    def test_beside_a_faster_twin_gets_the_twins_answer(self, installed, team, owner, monkeypatch):
        from lago_sync.subscriptions import plans

        original, first = plans.subscribe, []

        def twin_first(**given):
            monkeypatch.setattr(plans, "subscribe", original)
            first.append(owner.post(PATH, body(team), **self.KEY))
            return original(**given)

        monkeypatch.setattr(plans, "subscribe", twin_first)
        mine = owner.post(PATH, body(team), **self.KEY)
        assert done(mine, 201) == done(first[0], 201)
        assert mine.headers["Idempotent-Replayed"] == "true"
        assert len(subscriptions_at(installed)) == 1

    def test_with_something_that_is_no_key_is_400_before_lago_is_asked(self, team, owner):
        refused(owner.post(PATH, body(team), Idempotency_Key="x" * 129), 400, "invalid_request")


class TestWhoMay:
    def test_subscribe_only_who_may_buy(self, db):
        here = scene()
        for who in ("member", "manager"):
            refused(here.http(who).post(PATH, body(here.org)), 403, "permission_denied")
        refused(here.http("outsider").post(PATH, body(here.org)), 404, "not_found")
        refused(here.http().post(PATH, body(here.org)), 401)
        for who in ("owner", "admin", "billing_admin", "system_admin"):
            refused(here.http(who).post(PATH, body(here.org)), 409, "subscription_exists")

    def test_see_it_every_member(self, db):
        here = scene()
        shown = [done(here.http(who).ask(f"{PATH}/{here.org.public_id}")) for who in ("owner", "member")]
        assert shown[0] == shown[1]
        refused(here.http("outsider").ask(f"{PATH}/{here.org.public_id}"), 404)
        refused(here.http().ask(f"{PATH}/{here.org.public_id}"), 401)

    def test_keys_need_their_scope(self, db):
        here = scene()
        refused(here.key("personal", "billing:read", who="owner").post(PATH, body(here.org)), 403)
        refused(here.key("personal", "billing:write", who="owner").post(PATH, body(here.org)), 409)
        refused(here.key("organization", "org:read").ask(f"{PATH}/{here.org.public_id}"), 403)
        done(here.key("organization", "billing:read").ask(f"{PATH}/{here.org.public_id}"))

    def test_path_and_header_must_agree(self, db):
        here = scene()
        http = here.http("owner")
        refused(http.post(PATH, body(here.org), X_Organization=here.other.public_id), 400)


def test_a_plan_that_lago_does_not_know_of_shows_no_price(db):
    """Facts of `orgs` without a subscription at Lago, as before a Lago was set up."""
    team = orgs.team("Old")
    make.subscribe(team, "enterprise")
    shown = done(Http(user=team.memberships.get(role="owner").user).ask(f"{PATH}/{team.public_id}"))
    assert (shown["plan_code"], shown["plan_name"], shown["status"]) == ("enterprise", "Enterprise", "active")
    assert (shown["amount_cents"], shown["lago_id"], shown["external_id"]) == (None, None, None)
    assert not LagoSubscription.objects.exists()

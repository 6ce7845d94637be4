"""Buying through the API: who may, what comes back, one purchase a key, and nothing that mints credits."""

import json
from decimal import Decimal
from uuid import uuid4

import jsonschema
import pytest
from django.db import connection
from django.utils import timezone

from credits.models import Grant, ProposedGrant
from lago_sync import tasks
from lago_sync.models import HealthCheck, Package, Purchase
from lago_sync.purchases import advancing
from orgs.access import keys
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.concurrency.racing import race
from tests.contract import openapi
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused, scene
from tests.factories.lago import lago, lago_process  # noqa: F401

BODY = {"package_code": "credits-5000"}


@pytest.fixture(autouse=True)
def _no_remembered_keys():
    keys.forget_cached()
    yield
    keys.forget_cached()


@pytest.fixture
def told(monkeypatch):
    """Return the purchases that the broker was told of."""
    found = []
    monkeypatch.setattr(tasks, "enqueue_advance", found.append)
    return found


@pytest.fixture(name="scene")
def _scene(db, told):
    return scene()


def add(http, at, body=BODY, key="k"):
    return http.post(f"{at.credits}/add", body, **({"Idempotency_Key": key} if key is not None else {}))


@pytest.mark.django_db
class TestOrdering:
    def test_answers_with_what_was_ordered_and_tells_the_broker_once_it_is_committed(
        self, scene, told, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            answer = add(scene.http("owner"), scene)
        purchase = Purchase.objects.get()
        assert done(answer, 202) == {
            "purchase": {
                "id": str(purchase.pk),
                "status": "pending",
                "credits": "5000",
                "amount_cents": 4500,
                "currency": "USD",
                "payment_url": None,
                "invoice_number": None,
            }
        }
        assert "Idempotent-Replayed" not in answer
        assert told == [purchase.pk]
        assert purchase.made_by == scene.id_of("owner")

    def test_of_a_number_of_credits_costs_what_we_say(self, scene):
        answer = done(add(scene.http("owner"), scene, {"credits": "12345", "return_url": "/orgs/acme/"}), 202)
        assert answer["purchase"]["amount_cents"] == 9876

    def test_a_repeat_is_the_same_purchase_as_it_stands_now(self, scene):
        first = done(add(scene.http("owner"), scene), 202)
        Purchase.objects.update(invoice_number="ACM-001", payment_url="https://pay.example/1")
        again = add(scene.http("owner"), scene)
        assert again["Idempotent-Replayed"] == "true"
        now = done(again, 202)["purchase"]
        assert (now["id"], now["invoice_number"]) == (first["purchase"]["id"], "ACM-001")
        assert now["payment_url"] == "https://pay.example/1"
        assert Purchase.objects.count() == 1

    def test_another_body_under_the_key_is_409(self, scene):
        done(add(scene.http("owner"), scene), 202)
        refused(add(scene.http("owner"), scene, {"credits": "5000"}), 409, "idempotency_conflict")

    def test_the_key_is_needed_and_must_be_one(self, scene):
        refused(add(scene.http("owner"), scene, key=None), 400, "invalid_request")
        refused(add(scene.http("owner"), scene, key="k" * 129), 400, "invalid_request")
        assert not Purchase.objects.exists()

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"package_code"}),
            ({"package_code": "credits-5000", "credits": "5000"}, {"package_code"}),
            ({"package_code": "nothing"}, {"package_code"}),
            ({"package_code": 5}, {"package_code"}),
            ({"package_code": "credits-5000", "amount_cents": 1}, {"amount_cents"}),
            ({"credits": "1000", "currency": "HUF"}, {"currency"}),
            ({"credits": "5000", "reason": "x"}, {"reason"}),
            ({"credits": "5000", "grant": False, "reason": "x"}, {"reason"}),
            ({"credits": "5000", "grant": 0}, {"grant"}),
            ({"credits": 5000.0}, {"credits"}),
            ({"credits": "-5000"}, {"credits"}),
            ({"credits": "1e4"}, {"credits"}),
            ({"credits": "99"}, {"credits"}),
            ({"credits": "5001"}, {"credits"}),
            ({"credits": "1000000001"}, {"credits"}),
            ({**BODY, "return_url": "https://evil.example"}, {"return_url"}),
            ({**BODY, "return_url": "//evil.example/x"}, {"return_url"}),
            ({**BODY, "return_url": ["x"]}, {"return_url"}),
        ],
    )
    def test_names_what_is_wrong_and_orders_nothing(self, scene, body, fields):
        assert set(refused(add(scene.http("owner"), scene, body), 422, "validation_error")) == fields
        assert not Purchase.objects.exists()

    def test_stopped_purchases_are_502_and_a_suspended_organization_403(self, scene):
        problem = {"what": "A plan charges credits_used.", "do": "Look.", "stops_purchases": True}
        check = HealthCheck.objects.create(checked_at=timezone.now(), status="unhealthy", problems=[problem])
        refused(add(scene.http("owner"), scene), 502, "billing_unavailable")
        check.delete()
        Organization.objects.filter(pk=scene.org.pk).update(status="suspended")
        refused(add(scene.http("owner"), scene), 403, "organization_suspended")
        assert not Purchase.objects.exists()


@pytest.mark.django_db
class TestWho:
    @pytest.mark.parametrize(
        ("who", "status"),
        [
            ("owner", 202), ("admin", 202), ("billing_admin", 202), ("system_admin", 202),
            ("manager", 403), ("member", 403), ("outsider", 404),
        ],
    )  # fmt: skip
    def test_may_buy_and_see_what_was_bought(self, scene, who, status):
        http = scene.http(who)
        assert add(http, scene).status_code == status
        assert http.ask(f"{scene.credits}/purchases").status_code == {202: 200}.get(status, status)

    def test_nobody_is_401(self, scene):
        refused(add(Http(), scene), 401, "unauthorized")

    @pytest.mark.parametrize("kind", ["membership", "personal", "organization", "platform"])
    def test_a_key_needs_the_scope(self, scene, kind):
        writes = scene.key(kind, "billing:write", who="owner")
        reads = scene.key(kind, "billing:read", who="owner")
        assert add(writes, scene).status_code == 202
        refused(add(reads, scene, key="other"), 403, "permission_denied")
        path = f"{scene.credits}/purchases"
        assert reads.ask(path).status_code == 200
        assert writes.ask(path).status_code == 403
        assert Purchase.objects.get().made_by.startswith("key_")

    def test_a_key_of_another_organization_finds_nothing(self, scene):
        refused(add(Http(key=orgs.organization_key(scene.other).text), scene), 404, "not_found")

    def test_two_callers_keys_do_not_meet(self, scene):
        one, other = (done(add(scene.http(who), scene), 202)["purchase"]["id"] for who in ("owner", "admin"))
        assert one != other


GRANT = {"grant": True, "credits": "250.5", "reason": "Our outage"}


@pytest.mark.django_db
class TestGranting:
    """System admins give credits; nothing is bought, nothing goes to Lago."""

    def test_gives_the_credits_at_once_and_says_so(self, scene):
        before = make.pool(scene.org).available
        answer = done(add(scene.http("system_admin"), scene, GRANT, key=None), 201)
        grant = Grant.objects.get(source="goodwill")
        assert answer == {
            "grant": {
                "id": str(grant.pk),
                "status": "granted",
                "source": "goodwill",
                "credits": "250.5",
                "reason": "Our outage",
                "granted_by": scene.id_of("system_admin"),
                "expires_at": None,
                "created_at": grant.created_at.isoformat().replace("+00:00", "Z"),
            }
        }
        assert make.pool(scene.org).available - before == Decimal("250.5")
        assert not Purchase.objects.exists()
        event = AuditEvent.objects.get(action="credits.granted", target=str(grant.pk))
        assert (event.actor_kind, event.after["reason"]) == ("system_admin", "Our outage")

    def test_above_the_threshold_waits_for_another_admin(self, scene, settings):
        settings.GRANT_APPROVAL_THRESHOLD = 250
        before = make.pool(scene.org).available
        answer = done(add(scene.http("system_admin"), scene, GRANT), 202)
        assert answer.keys() == {"grant"}
        assert (answer["grant"]["status"], answer["grant"]["credits"]) == ("pending_approval", "250.5")
        waiting = ProposedGrant.objects.get()
        assert (str(waiting.pk), waiting.status) == (answer["grant"]["id"], "pending")
        assert make.pool(scene.org).available == before

    @pytest.mark.parametrize("threshold", [250, 251])
    def test_a_repeat_with_its_key_gives_nothing_more(self, scene, settings, threshold):
        settings.GRANT_APPROVAL_THRESHOLD = threshold
        http = scene.http("system_admin")
        first, again = add(http, scene, GRANT), add(http, scene, GRANT)
        assert again["Idempotent-Replayed"] == "true"
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert Grant.objects.filter(source="goodwill").count() + ProposedGrant.objects.count() == 1
        refused(add(http, scene, {**GRANT, "credits": "1"}), 409, "idempotency_conflict")

    @pytest.mark.parametrize(
        ("who", "status"),
        [("owner", 403), ("admin", 403), ("billing_admin", 403), ("manager", 403), ("member", 403), ("outsider", 404)],
    )  # fmt: skip
    def test_is_for_system_admins_only(self, scene, who, status):
        before = Grant.objects.count()
        refused(add(scene.http(who), scene, GRANT), status)
        assert Grant.objects.count() == before

    @pytest.mark.parametrize(
        ("kind", "status"), [("membership", 403), ("personal", 403), ("organization", 403), ("platform", 201)]
    )
    def test_of_the_keys_only_a_platform_key_may(self, scene, kind, status):
        assert add(scene.key(kind, "billing:write", who="owner"), scene, GRANT).status_code == status

    def test_a_system_admins_own_keys_do_not_lend_the_power_out(self, scene):
        orgs.member(scene.org, who=scene.people["system_admin"])
        refused(add(scene.key("personal", "billing:write", who="system_admin"), scene, GRANT), 403)

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({"reason": None}, {"reason"}),
            ({"reason": "  "}, {"reason"}),
            ({"reason": "x" * 501}, {"reason"}),
            ({"credits": None}, {"credits"}),
            ({"credits": "0"}, {"credits"}),
            ({"credits": "-1"}, {"credits"}),
            ({"credits": 5.0}, {"credits"}),
            ({"credits": "1000000001"}, {"credits"}),
            ({"grant": "yes"}, {"grant"}),
            ({"package_code": "credits-5000"}, {"package_code"}),
            ({"return_url": "/x"}, {"return_url"}),
            ({"source": "purchase"}, {"source"}),
        ],
        ids=str,
    )
    def test_names_what_is_wrong_and_gives_nothing(self, scene, changes, fields):
        before = Grant.objects.count()
        answer = add(scene.http("system_admin"), scene, GRANT | changes)
        assert set(refused(answer, 422, "validation_error")) == fields
        assert (Grant.objects.count(), ProposedGrant.objects.count()) == (before, 0)

    def test_answers_in_the_shapes_that_are_promised(self, scene, settings):
        [operation] = [one for one in openapi.operations() if one.path.endswith("/add")]
        for threshold, status in ((251, 201), (250, 202)):
            settings.GRANT_APPROVAL_THRESHOLD = threshold
            shape = openapi.answer_schema(operation, status)
            shown = done(add(scene.http("system_admin"), scene, GRANT, key=f"{status}"), status)
            jsonschema.Draft7Validator(shape).validate(shown)


@pytest.mark.django_db
class TestSeeing:
    def test_lists_newest_first_by_pages(self, scene):
        http = scene.http("owner")
        ids = [done(add(http, scene, key=f"{n}"), 202)["purchase"]["id"] for n in range(3)]
        page = done(http.ask(f"{scene.credits}/purchases?limit=2"))
        assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
        assert page["pagination"] == {"total": 3, "limit": 2, "offset": 0, "has_more": True}
        refused(http.ask(f"{scene.credits}/purchases?limit=101"), 422, "validation_error")

    def test_shows_one_of_its_own_only(self, scene):
        http = scene.http("owner")
        purchase_id = done(add(http, scene), 202)["purchase"]["id"]
        shown = done(http.ask(f"{scene.credits}/purchases/{purchase_id}"))
        assert (shown["package_code"], shown["ordered_by"]) == ("credits-5000", scene.id_of("owner"))
        assert shown["completed_at"] is None
        refused(http.ask(f"{scene.credits}/purchases/{uuid4()}"), 404, "not_found")
        refused(http.ask(f"{scene.credits}/purchases/x"), 404, "not_found")
        elsewhere = f"/org-billing/credits/{scene.other.public_id}/purchases/{purchase_id}"
        refused(scene.http("system_admin").ask(elsewhere), 404, "not_found")

    def test_what_is_over_has_no_page_to_pay_at(self, scene):
        add(scene.http("owner"), scene)
        Purchase.objects.update(status="failed", payment_url="https://pay.example/1")
        [shown] = done(scene.http("owner").ask(f"{scene.credits}/purchases"))["data"]
        assert shown["payment_url"] is None

    @pytest.mark.parametrize("who", ["owner", "member", "manager"])
    def test_any_caller_sees_the_packages_of_the_organizations_currency(self, scene, who):
        Package.objects.create(code="eur", name="E", credits=500, amount_cents=450, currency="EUR")
        offered = done(scene.http(who).ask("/org-billing/packages", X_Organization=scene.org.public_id))
        assert [one["code"] for one in offered["data"]][:2] == ["credits-1000", "credits-5000"]
        assert offered["pagination"]["total"] == 4
        Organization.objects.filter(pk=scene.org.pk).update(currency="EUR")
        offered = done(scene.http(who).ask("/org-billing/packages", X_Organization=scene.org.public_id))
        assert [one["code"] for one in offered["data"]] == ["eur"]

    def test_packages_are_of_the_active_organization_unless_one_is_named(self, scene):
        Organization.objects.filter(pk=scene.org.pk).update(currency="EUR")
        assert done(scene.http("member").ask("/org-billing/packages"))["data"] == []
        assert done(scene.key("organization").ask("/org-billing/packages"))["data"] == []
        refused(scene.key("platform").ask("/org-billing/packages"), 400, "invalid_request")
        named = scene.http("member").ask("/org-billing/packages", X_Organization=scene.other.public_id)
        refused(named, 404, "not_found")


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
class TestAtOnce:
    def post(self, org, owner, key):
        connection.ensure_connection()
        http = Http(key=owner)
        return http.post(f"/org-billing/credits/{org.public_id}/add", BODY, Idempotency_Key=key)

    def test_two_posts_with_one_key_are_one_purchase_and_with_two_keys_two(self, told):
        org = orgs.team()
        owner = orgs.organization_key(org).text
        answers = race([lambda: self.post(org, owner, "same")] * 6)
        assert {one.status_code for one in answers} == {202}
        assert len({json.loads(one.content)["purchase"]["id"] for one in answers}) == 1
        assert sorted("Idempotent-Replayed" in one for one in answers) == [False] + [True] * 5
        assert Purchase.objects.count() == 1
        race([lambda key=key: self.post(org, owner, key) for key in ("one", "other")])
        assert Purchase.objects.count() == 3


@pytest.mark.django_db
def test_from_the_order_to_the_credits(scene, lago, settings):  # noqa: F811
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    http = scene.http("owner")
    made = done(add(http, scene), 202)["purchase"]
    for _ in range(2):
        advancing.advance(purchase_id=made["id"], now=timezone.now())
        lago.drain()
    path = f"{scene.credits}/purchases/{made['id']}"
    shown = done(http.ask(path))
    assert shown["status"] == "awaiting_payment"
    assert shown["payment_url"].startswith(f"{lago.url}/pay/")
    assert shown["invoice_number"]
    lago.pay(str(Purchase.objects.get().invoice_id))
    lago.drain()
    advancing.advance(purchase_id=made["id"], now=timezone.now())
    shown = done(http.ask(path))
    assert (shown["status"], shown["payment_url"]) == ("completed", None)
    assert shown["completed_at"]
    assert Grant.objects.get(source="purchase").credits == 5000
    assert openapi.components()["schemas"]["PurchaseShape"]["properties"].keys() == shown.keys()

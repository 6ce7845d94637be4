"""Giving up, auto top-up and payment methods through the API: who may, what comes back, what is refused."""

from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync import tasks
from lago_sync.models import AutoTopUp, LagoCustomer, PaymentMethod, Purchase, Refund
from orgs.access import keys
from orgs.audit.models import AuditEvent
from tests.factories.api import done, refused, scene

pytestmark = pytest.mark.django_db
SET = {
    "is_on": True, "threshold": "500", "package_code": "credits-5000", "day_cap_cents": 9000, "month_cap_cents": 20000,
}  # fmt: skip
PEOPLE = {
    "": 401,
    "outsider": 404,
    "member": 403,
    "manager": 403,
    "billing_admin": 200,
    "admin": 200,
    "owner": 200,
}
KEYS = {"membership": 403, "personal": 403, "organization": 200, "platform": 200}


@pytest.fixture(autouse=True)
def told(monkeypatch):
    keys.forget_cached()
    found = []
    monkeypatch.setattr(tasks, "enqueue_advance", found.append)
    yield found
    keys.forget_cached()


@pytest.fixture(name="scene")
def _scene(settings):
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    return scene()


def ordered(scene, key="k"):
    answer = scene.http("owner").post(
        f"{scene.credits}/add", {"package_code": "credits-5000"}, Idempotency_Key=key
    )
    return Purchase.objects.get(pk=done(answer, 202)["purchase"]["id"])


def card(scene, **fields):
    return PaymentMethod.objects.create(
        **{"lago_id": uuid4(), "organization": scene.org, "is_default": True, "synced_at": timezone.now()}
        | fields
    )


def test_who_may_is_who_may_buy(scene):
    card(scene)
    purchase = ordered(scene)
    calls = [
        ("GET", f"{scene.credits}/auto-top-up", None, "billing:read"),
        ("PUT", f"{scene.credits}/auto-top-up", SET, "billing:write"),
        ("GET", f"/org-billing/billing/payment-methods/{scene.org.public_id}", None, "billing:read"),
        ("POST", f"{scene.credits}/purchases/{purchase.pk}/abandon", None, "billing:write"),
    ]
    for method, path, body, scope in calls:
        for who, status in {**PEOPLE, "system_admin": 200}.items():
            found = scene.http(who).send(method, path, body).status_code
            assert {202: 200}.get(found, found) == status, (method, path, who)
        for kind, status in KEYS.items():
            found = scene.key(kind, scope).send(method, path, body).status_code
            assert {202: 200}.get(found, found) == status, (method, path, kind)
        other = "billing:read" if scope == "billing:write" else "credits:read"
        assert scene.key("organization", other).send(method, path, body).status_code == 403, (method, path)


class TestGivingUp:
    def test_is_202_once_however_often_it_is_sent(self, scene, told, django_capture_on_commit_callbacks):
        purchase = ordered(scene)
        path = f"{scene.credits}/purchases/{purchase.pk}/abandon"
        with django_capture_on_commit_callbacks(execute=True):
            answer = done(scene.http("owner").post(path, Idempotency_Key="a"), 202)
        assert (answer["status"], answer["payment_url"], answer["is_automatic"]) == ("pending", None, False)
        assert answer["given_up_at"]
        assert told == [purchase.pk]
        for _ in range(2):
            done(scene.http("owner").post(path, Idempotency_Key="a"), 202)
            done(scene.http("billing_admin").post(path), 202)
        assert AuditEvent.objects.filter(action="credits.purchase_given_up").count() == 1

    def test_of_what_ended_is_409_and_of_nothing_404(self, scene):
        purchase = ordered(scene)
        Purchase.objects.update(status="failed")
        refused(scene.http("owner").post(f"{scene.credits}/purchases/{purchase.pk}/abandon"), 409, "conflict")
        refused(scene.http("owner").post(f"{scene.credits}/purchases/{uuid4()}/abandon"), 404, "not_found")


def test_refunds_stand_with_their_purchase(scene):
    purchase = ordered(scene)
    made = Refund.objects.create(
        purchase=purchase, kind="refund", credits=5, withdrawn=2, owed=3, amount_cents=4, reference="re_1", reason="r", made_by="usr_1"
    )  # fmt: skip
    shown = done(scene.http("owner").ask(f"{scene.credits}/purchases/{purchase.pk}"), 200)
    assert shown["refunds"] == [
        {
            "id": str(made.pk), "kind": "refund", "credits": "5", "withdrawn": "2", "owed": "3", "amount_cents": 4,
            "reference": "re_1", "created_at": shown["refunds"][0]["created_at"],
        }
    ]  # fmt: skip
    assert done(scene.http("owner").ask(f"{scene.credits}/purchases"), 200)["data"] == [shown]


class TestAutoTopUp:
    def test_is_off_until_it_is_set_and_says_how_far_it_is(self, scene):
        path = f"{scene.credits}/auto-top-up"
        before = done(scene.http("owner").ask(path), 200)
        assert (before["is_on"], before["threshold"], before["has_payment_method"]) == (False, None, False)
        refused(scene.http("owner").send("PUT", path, SET), 409, "conflict")
        card(scene)
        answer = done(scene.http("owner").send("PUT", path, SET), 200)
        assert {name: answer[name] for name in SET} == SET
        assert (answer["ordered_today_cents"], answer["open_purchase_id"], answer["stopped_at"]) == (
            0,
            None,
            None,
        )
        done(scene.http("owner").send("PUT", path, SET | {"is_on": False}), 200)
        assert not AutoTopUp.objects.get().is_on

    def test_names_what_is_wrong_and_changes_nothing(self, scene):
        card(scene)
        path = f"{scene.credits}/auto-top-up"
        for change, field in (
            ({"threshold": 5.5}, "threshold"),
            ({"threshold": "-1"}, "threshold"),
            ({"is_on": "yes"}, "is_on"),
            ({"package_code": "none"}, "package_code"),
            ({"credits": "500"}, "package_code"),
            ({"package_code": None, "credits": "1e4"}, "credits"),
            ({"day_cap_cents": 4499}, "day_cap_cents"),
            ({"day_cap_cents": 90.5}, "day_cap_cents"),
            ({"day_cap_cents": 10**15}, "day_cap_cents"),
            ({"month_cap_cents": 8999}, "month_cap_cents"),
            ({"currency": "EUR"}, "currency"),
        ):
            answer = scene.http("owner").send("PUT", path, SET | change)
            assert field in refused(answer, 422, "validation_error"), change
        assert set(refused(scene.http("owner").send("PUT", path, {}), 422, "validation_error")) == {
            "is_on", "threshold", "day_cap_cents", "month_cap_cents",
        }  # fmt: skip
        assert not AutoTopUp.objects.exists()


def test_payment_methods_come_from_the_mirror_with_as_of(scene):
    path = f"/org-billing/billing/payment-methods/{scene.org.public_id}"
    assert done(scene.http("owner").ask(path), 200) == {"data": [], "has_provider": True, "as_of": None}
    LagoCustomer.objects.create(
        organization=scene.org, lago_id=uuid4(), currency="USD", methods_synced_at=timezone.now()
    )
    row = card(scene, kind="card", brand="visa", last4="4242", expires="2028-04")
    card(scene, is_default=False, removed_at=timezone.now())
    answer = done(scene.http("owner").ask(path), 200)
    assert answer["as_of"]
    assert answer["data"] == [
        {
            "id": str(row.pk),
            "kind": "card",
            "brand": "visa",
            "last4": "4242",
            "expires": "2028-04",
            "is_default": True,
        }
    ]

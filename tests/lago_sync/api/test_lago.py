"""`/api/v1/lago`: the neosaas paths over the portal's own books; who may, and that no credit is made there."""

import pytest
from django.utils import timezone

from credits import amounts
from lago_sync import money
from lago_sync.models import OutboxEvent, Purchase
from lago_sync.purchases import advancing, packages
from lago_sync.setup import guard, installing
from orgs.access import keys
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused, scene
from tests.factories.lago import lago, lago_process  # noqa: F401

pytestmark = pytest.mark.django_db
PEOPLE = ("", "outsider", "member", "manager", "billing_admin", "admin", "owner", "system_admin")
KEYS = ("membership", "personal", "organization", "platform")


@pytest.fixture(autouse=True)
def _no_remembered_keys():
    keys.forget_cached()
    yield
    keys.forget_cached()


@pytest.fixture
def installed(lago, settings):  # noqa: F811
    settings.SITE_URL = "http://127.0.0.1:9"
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
    return lago


@pytest.fixture
def team():
    return make.team(unlimited=False)


@pytest.fixture
def http(team):
    return Http(user=team.memberships.get().user)


def test_a_wallet_is_read_bought_for_topped_up_and_a_hold_stops_what_is_too_much(installed, team, http):
    """Workflow 12: 100.00 worth, 50.00 more, the invoices, and a check that is a hold."""
    path = f"/lago/wallets?external_customer_id={team.public_id}"
    assert done(http.ask(path))["wallet"] == {"lago_id": None, "total_balance": "0.00", "credits_balance": "0", "currency": "USD", "status": "active"}  # fmt: skip
    order = {"external_customer_id": team.public_id, "paid_credits": "100.00"}
    first = done(http.post("/lago/wallets", order, Idempotency_Key="k1"), 202)
    assert {name: first["purchase"][name] for name in ("status", "credits", "amount_cents")} == {"status": "pending", "credits": "12500", "amount_cents": 10_000}  # fmt: skip
    again = http.post("/lago/wallets", order, Idempotency_Key="k1")
    assert (again["Idempotent-Replayed"], again.json()["purchase"]["id"]) == ("true", first["purchase"]["id"])
    refused(http.post("/lago/wallets", order | {"paid_credits": "99.00"}, Idempotency_Key="k1"), 409)
    top_up = http.send("PATCH", "/lago/wallets", order | {"paid_credits": "50.00"}, Idempotency_Key="k2")
    assert done(top_up, 202)["purchase"]["credits"] == "5555.555555"
    assert done(http.ask(path))["wallet"]["credits_balance"] == "0"  # pending until paid

    for purchase in Purchase.objects.all():
        advancing.advance(purchase_id=purchase.pk, now=timezone.now())
        installed.drain()
        invoiced = advancing.advance(purchase_id=purchase.pk, now=timezone.now())
        installed.pay(str(invoiced.invoice_id))
        installed.drain()
        advancing.advance(purchase_id=purchase.pk, now=timezone.now())
    wallet = done(http.ask(path))["wallet"]
    assert (wallet["credits_balance"], wallet["total_balance"]) == ("18055.555555", "180.56")
    assert wallet["lago_id"]

    gateway = Http(key=orgs.organization_key(team).text)
    hold = {"transaction_id": "t1", "credits": "18000", "org_id": team.public_id}
    done(gateway.post("/usage/holds", hold), 201)
    refused(gateway.post("/usage/holds", hold | {"transaction_id": "t2", "credits": "100"}), 402)


def test_nothing_here_makes_credits(installed, team, http):
    order = {"external_customer_id": team.public_id, "paid_credits": "100.00"}
    for wrong, field in (
        ({"granted_credits": "5"}, "granted_credits"), ({"paid_credits": "-1"}, "paid_credits"), ({"paid_credits": "0"}, "credits"),
        ({"paid_credits": 100}, "paid_credits"), ({"paid_credits": "1e3"}, "paid_credits"), ({"paid_credits": "10.001"}, "paid_credits"),
        ({"paid_credits": "0.99"}, "credits"), ({"paid_credits": "999999999999"}, "credits"), ({"rate_amount": "2"}, "rate_amount"),
    ):  # fmt: skip
        for method in ("POST", "PATCH"):
            answer = http.send(method, "/lago/wallets", order | wrong, Idempotency_Key="k")
            assert field in refused(answer, 422), wrong
    refused(http.post("/lago/wallets", order), 400)
    event = {
        "external_customer_id": team.public_id,
        "code": "credits_used",
        "properties": {"credits": "-500"},
    }
    assert "code" in refused(http.post("/lago/usage", event), 422)
    assert not Purchase.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_customers_subscriptions_usage_and_invoices(installed, team, http):
    mine = f"external_customer_id={team.public_id}"
    for path in (
        f"customers?external_id={team.public_id}",
        f"subscriptions?{mine}",
        f"usage?external_subscription_id=sub_{team.public_id}",
    ):
        refused(http.ask(f"/lago/{path}"), 404)
    made = done(http.post("/lago/customers", {"external_id": team.public_id, "email": "b@acme.example"}))[
        "customer"
    ]
    assert (made["external_id"], made["email"]) == (team.public_id, "b@acme.example")
    assert (
        done(http.ask(f"/lago/customers?external_id={team.public_id}"))["customer"]["lago_id"]
        == made["lago_id"]
    )
    body = {"external_customer_id": team.public_id, "plan_code": "starter"}
    started = done(http.post("/lago/subscriptions", body), 201)["subscription"]
    assert done(http.post("/lago/subscriptions", body), 201)["subscription"]["lago_id"] == started["lago_id"]
    refused(http.post("/lago/subscriptions", body | {"plan_code": "enterprise"}), 409, "subscription_exists")
    refused(http.post("/lago/subscriptions", body | {"plan_code": "platinum"}), 409)
    assert (
        done(http.ask(f"/lago/subscriptions?{mine}"))["subscription"]["external_id"]
        == f"sub_{team.public_id}"
    )

    event = {"external_customer_id": team.public_id, "code": "api_call", "properties": {"endpoint": "/x"}, "transaction_id": "e1"}  # fmt: skip
    for _ in range(2):
        assert done(http.post("/lago/usage", event), 202)["event"]["transaction_id"] == "e1"
    assert OutboxEvent.objects.count() == 1
    usage = done(http.ask(f"/lago/usage?external_subscription_id={started['external_id']}"))["usage"]
    assert [one["units"] for one in usage["charges_usage"]] == ["0", "0"]
    assert done(http.ask(f"/lago/invoices?{mine}&limit=3"))["invoices"] == []
    assert "limit" in refused(http.ask(f"/lago/invoices?{mine}&limit=500"), 422)
    refused(http.ask("/lago/invoices"), 400)

    alias = http.generic("GET", f"/api/lago/subscriptions?{mine}")
    assert alias.json() == http.ask(f"/lago/subscriptions?{mine}").json()
    refused(Http().generic("GET", f"/api/lago/subscriptions?{mine}"), 401)
    refused(http.generic("GET", "/api/lago/nothing"), 404)
    posted = Http(key=orgs.organization_key(team).text).generic("POST", "/api/lago/usage", b'{"external_customer_id": "%s", "code": "api_call", "properties": {}}' % team.public_id.encode(), content_type="application/json")  # fmt: skip
    assert done(posted, 202)["event"]["transaction_id"].startswith("call_")


def test_where_lago_is_away_what_needs_it_says_so_and_the_rest_answers(team, http, settings):
    settings.LAGO_API_URL = "http://127.0.0.1:9"
    refused(http.post("/lago/customers", {"external_id": team.public_id}), 502, "billing_unavailable")
    body = {"external_customer_id": team.public_id, "plan_code": "starter"}
    refused(http.post("/lago/subscriptions", body), 502, "billing_unavailable")
    done(
        http.post(
            "/lago/usage", {"external_customer_id": team.public_id, "code": "api_call", "properties": {}}
        ),
        202,
    )
    done(http.ask(f"/lago/wallets?external_customer_id={team.public_id}"))


def test_answers_by_who_asks():
    """Members may see the plan and record calls, nobody outside learns that there is such an organization."""
    it = scene()
    mine = f"external_customer_id={it.org.public_id}"
    event = {"external_customer_id": it.org.public_id, "code": "api_call", "properties": {}}
    money = (401, 404, 403, 403, 200, 200, 200, 200), (403, 403, 200, 200)
    table = [
        ("GET", f"wallets?{mine}", None, *money), ("GET", f"invoices?{mine}", None, *money),
        ("GET", f"customers?external_id={it.org.public_id}", None, (401, 404, 403, 403, *[404] * 4), (403, 403, 404, 404)),
        ("GET", f"subscriptions?{mine}", None, (401, *[404] * 7), (404,) * 4),
        ("GET", f"usage?external_subscription_id=sub_{it.org.public_id}", None, (401, 404, 403, 403, *[404] * 4), (403, 403, 404, 404)),
        ("POST", "usage", event, (401, 404, *[202] * 6), (202,) * 4),
        ("POST", "wallets", {**event, "paid_credits": "1"}, (401, *[422] * 7), (422,) * 4),
    ]  # fmt: skip
    clients = [it.http(who) for who in PEOPLE] + [it.key(kind) for kind in KEYS]
    for method, path, body, people, of_keys in table:
        found = [client.send(method, f"/lago/{path}", body).status_code for client in clients]
        assert found == [*people, *of_keys], path
    named = {"external_customer_id": it.other.public_id}
    refused(
        it.http("owner").post("/lago/wallets", {**named, "paid_credits": "10.00"}, Idempotency_Key="k"), 404
    )
    refused(it.http("owner").post("/lago/subscriptions", {**named, "plan_code": "starter"}), 404)
    refused(it.http("owner").post("/lago/customers", {"external_id": it.other.public_id}), 404)
    refused(
        it.http("billing_admin").post("/lago/customers", {"external_id": it.org.public_id, "name": "Mine"}),
        403,
    )
    it.http("member").post(
        "/lago/usage", event | {"transaction_id": "m", "properties": {"user_id": it.id_of("owner")}}
    )
    assert OutboxEvent.objects.get(transaction_id="m").payload["properties"]["user_id"] == it.id_of("member")
    reader = it.key("organization", "billing:read")
    refused(reader.post("/lago/usage", event), 403)
    refused(
        reader.post("/lago/wallets", {"external_customer_id": it.org.public_id, "paid_credits": "9.00"}), 403
    )


def test_a_price_buys_at_the_rate_of_the_largest_package_that_it_reaches():
    for price, credits in (("1.00", "100"), ("44.99", "4499"), ("45.00", "5000"), ("79.99", "8887.777777"), ("80", "10000"), ("350.00", "50000")):  # fmt: skip
        cents = money.cents(price, "USD")
        assert amounts.text(packages.credits_for(amount_cents=cents, currency="USD")) == credits
    assert (money.cents("500", "HUF"), money.cents("5.5", "HUF"), money.cents("1.234", "KWD")) == (
        500,
        None,
        1234,
    )

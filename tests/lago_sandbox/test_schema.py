"""Every kind of answer, request and error against Lago's official description (not part of this repository)."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.factories.lago import ROOT
from tests.factories.lago_disagreements import DISAGREEMENTS, unexplained
from tests.lago_sandbox import openapi
from tests.lago_sandbox.shop import Shop

pytestmark = pytest.mark.skipif(
    not openapi.FILE.is_file(), reason=f"Lago's description is not at {openapi.FILE} (LAGO_OPENAPI)"
)

NOWHERE = "http://127.0.0.1:9/everything"
REFUSING = ("events.estimate_fees", "invoices.retry", "premium")
"""Verbs that never answer 200: the sandbox has nothing of theirs but the refusal."""
ROUTE = re.compile(r'path\(\s*"([^"]+)",\s*resource\((.*?)\),?\s*\)', re.DOTALL)


@dataclass
class Exchange:
    method: str
    path: str
    sent: Any
    status: int
    said: Any


class Recorded(Shop):
    """A shop that remembers every exchange."""

    def __init__(self, lago):
        super().__init__(lago)
        self.exchanges: list[Exchange] = []
        original = lago.api

        def api(method, path, **kwargs):
            answer = original(method, path, **kwargs)
            is_json = answer.content and "json" in answer.headers["Content-Type"]
            said = answer.json() if is_json else None
            self.exchanges.append(
                Exchange(method, "/" + path.strip("/"), kwargs.get("json"), answer.status_code, said)
            )
            return answer

        self.lago.api = api


def everything(shop):
    """Ask for everything that the sandbox answers, good and bad."""
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.endpoint(NOWHERE)  # its messages are written, and arrive nowhere
    shop.get("organizations")
    shop.put("organizations", organization={"default_currency": "USD"})
    _catalogue(shop)
    _customers(shop)
    _endpoints(shop)
    _wallets(shop)
    _events(shop)
    _subscriptions(shop)
    _invoices(shop)
    _entitlements(shop)
    _licensed(shop)
    shop.get("webhooks/json_public_key")
    shop.lago.api("GET", "webhooks/public_key")
    shop.delete("billable_metrics/spare")
    shop.delete("plans/spare")
    shop.delete("customers/org_2")
    shop.lago.drain()
    bodies = [one["body"] for one in shop.lago.dump()["delivery"]]
    shop.messages = [json.loads(one) for one in bodies if one is not None]


def _catalogue(shop):
    shop.plan("starter", 1900, description="For small teams")
    shop.plan("professional", 4900)
    shop.plan("spare", 100)
    shop.metric("spare", "count_agg", None)
    shop.get("billable_metrics")
    shop.get("billable_metrics/credits_used")
    shop.put("billable_metrics/spare", billable_metric={"name": "Spare part"})
    shop.get("plans")
    shop.get("plans/starter")
    shop.put("plans/spare", plan={"name": "Spare plan"})
    shop.refused("POST", "plans", json={"plan": {"name": "x", "code": "starter"}})
    shop.refused("POST", "billable_metrics", json={"billable_metric": {"code": "credits_used"}})
    shop.refused("GET", "plans/none")
    shop.refused("GET", "plans", key="wrong")


def _customers(shop):
    shop.customer(
        metadata=[{"key": "team", "value": "7", "display_in_invoice": False}],
        email="bill@acme.example",
        country="DE",
    )
    shop.customer("org_2", provider=None)
    shop.get("customers")
    shop.get("customers/org_1")
    page = shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"]
    _store_card(page)
    [card] = shop.get("customers/org_1/payment_methods")["payment_methods"]
    shop.put(f"customers/org_1/payment_methods/{card['lago_id']}/set_as_default")
    shop.delete(f"customers/org_1/payment_methods/{card['lago_id']}")
    shop.get("customers/org_1/portal_url")
    shop.refused("GET", "customers/none/portal_url")
    shop.refused("POST", "customers/org_2/checkout_url")
    shop.refused("POST", "customers", json={})
    shop.refused("POST", "customers", json={"customer": {"external_id": ""}})
    shop.refused("GET", "customers/none")


def _store_card(page):
    with requests.Session() as browser:
        token = browser.get(page, timeout=5).text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        browser.post(page, data={"csrfmiddlewaretoken": token}, headers={"Referer": page}, timeout=5)


def _endpoints(shop):
    made = shop.endpoint("http://127.0.0.1:9/hook", event_types=["wallet.updated"])
    shop.get("webhook_endpoints")
    shop.get(f"webhook_endpoints/{made['lago_id']}")
    shop.put(f"webhook_endpoints/{made['lago_id']}", webhook_endpoint={"webhook_url": "http://127.0.0.1:9/x"})
    shop.delete(f"webhook_endpoints/{made['lago_id']}")


def _wallets(shop):
    wallet = shop.wallet(code="credits", name="Credits")
    shop.get("wallets", external_customer_id="org_1")
    shop.get("customers/org_1/wallets")
    inline = {"external_customer_id": "org_1", "rate_amount": "1", "currency": "USD", "name": "Second"}
    second = shop.post("customers/org_1/wallets", wallet=inline)["wallet"]
    shop.put(f"wallets/{wallet['lago_id']}", wallet={"name": "Bought credits"})
    given = {"wallet_id": wallet["lago_id"], "paid_credits": "45.5", "granted_credits": "1"}
    metadata = [{"key": "purchase", "value": "pur_1"}]
    made = shop.post("wallet_transactions", wallet_transaction=given | {"metadata": metadata})
    paid = made["wallet_transactions"][0]
    shop.refused("POST", f"wallet_transactions/{paid['lago_id']}/payment_url")
    shop.lago.drain()
    shop.transaction(paid)
    shop.post(f"wallet_transactions/{paid['lago_id']}/payment_url")
    shop.get(f"wallets/{wallet['lago_id']}/wallet_transactions")
    shop.refused("POST", "wallet_transactions", json={"wallet_transaction": given | {"paid_credits": 45}})
    shop.refused("POST", "wallets", json={"wallet": inline | {"external_customer_id": "none"}})
    shop.get(f"wallets/{wallet['lago_id']}")
    shop.delete(f"wallets/{second['lago_id']}")
    shop.refused("GET", "wallets/00000000-0000-4000-8000-000000000000")
    shop.lago.pay(shop.transaction(paid)["lago_invoice_id"])
    shop.lago.drain()
    [payment] = shop.get("payments")["payments"]
    shop.get(f"payments/{payment['lago_id']}")
    shop.get("customers/org_1/payments")
    shop.post(f"invoices/{shop.transaction(paid)['lago_invoice_id']}/lose_dispute")
    gone = {"wallet_id": wallet["lago_id"], "voided_credits": "1.5"}
    shop.post("wallet_transactions", wallet_transaction=gone)
    shop.refused(
        "POST", "wallet_transactions", json={"wallet_transaction": gone | {"voided_credits": "1000"}}
    )


def _entitlements(shop):
    shop.subscribe("starter")
    privileges = [{"code": "max", "name": "Most", "value_type": "integer"}]
    shop.post("features", feature={"code": "seats", "name": "Seats", "privileges": privileges})
    shop.post("features", feature={"code": "sso", "description": "Single sign-on"})
    shop.get("features")
    shop.get("features/seats")
    shop.put("features/seats", feature={"name": "Places"})
    shop.post("plans/starter/entitlements", entitlements={"seats": {"max": 5}})
    shop._ask("PATCH", "plans/starter/entitlements", json={"entitlements": {"sso": {}}})
    shop.get("plans/starter/entitlements")
    shop._ask("PATCH", "subscriptions/sub_1/entitlements", json={"entitlements": {"seats": {"max": 9}}})
    shop.get("subscriptions/sub_1/entitlements")
    shop.get("subscriptions/sub_1")
    shop.delete("subscriptions/sub_1/entitlements/seats")
    shop.delete("features/sso")


def _licensed(shop):
    for path in ("gross_revenue", "overdue_balance"):
        shop.get(f"analytics/{path}", months=1)
    shop.refused("GET", "analytics/mrr")
    shop.get("customers/org_1/past_usage", external_subscription_id="sub_1")
    usage, purse = "subscriptions/sub_1/alerts", "customers/org_1/wallets/credits/alerts"
    kinds = {usage: "billable_metric_current_usage_units", purse: "wallet_credits_balance"}
    for path, kind in kinds.items():
        given = {"alert_type": kind, "code": "low", "thresholds": [{"value": "5"}]}
        shop.post(path, alert=given | ({"billable_metric_code": "credits_used"} if path == usage else {}))
        shop.get(path)
        shop.get(f"{path}/low")
        shop.put(f"{path}/low", alert={"name": "Low"})
        shop.delete(f"{path}/low")
    shop.lago.settings(licence=True)
    for path in ("mrr", "invoice_collection", "invoiced_usage"):
        shop.get(f"analytics/{path}", months=1)
    rule = {"trigger": "threshold", "threshold_credits": "5", "paid_credits": "20", "interval": "monthly"}
    given = {"external_customer_id": "org_2", "rate_amount": "1", "currency": "USD"}
    wallet = shop.post("wallets", wallet=given | {"recurring_transaction_rules": [rule]})["wallet"]
    shop.top_up(wallet, "5")
    shop.lago.drain()
    [invoice] = shop.invoices("org_2")
    payment = {"invoice_id": invoice["lago_id"], "amount_cents": 500, "reference": "wire"}
    shop.post("payments", payment=payment)
    shop.refused("POST", "payments", json={"payment": payment | {"amount_cents": "5"}})
    shop.customer("org_2", provider=None, billing_configuration={"invoice_grace_period": 3})
    shop.subscribe("professional", "sub_2", "org_2")
    shop.lago.drain()
    draft = next(one for one in shop.invoices("org_2") if one["status"] == "draft")
    shop.put(f"invoices/{draft['lago_id']}/refresh")
    shop.put(f"invoices/{draft['lago_id']}/finalize")
    shop.refused("POST", f"invoices/{draft['lago_id']}/retry")
    shop.delete("subscriptions/sub_2")
    [note, *_] = shop.get("customers/org_2/credit_notes")["credit_notes"]
    shop.put(f"credit_notes/{note['lago_id']}/void")
    shop.refused("PUT", f"credit_notes/{note['lago_id']}/void")
    shop.lago.settings(licence=False)


def _events(shop):
    shop.subscribe("starter")
    shop.event("t1", precise_total_amount_cents="1.25")
    batch = [
        {"transaction_id": f"b{n}", "code": "credits_used", "external_subscription_id": "sub_1"} for n in "12"
    ]
    shop.post("events/batch", events=batch)
    shop.refused("POST", "events/batch", json={"events": batch})
    shop.refused("POST", "events", json={"event": batch[0]})
    estimate = {"code": "credits_used", "external_subscription_id": "sub_1"}
    shop.refused("POST", "events/estimate_fees", json={"event": estimate})
    costly = {"name": "Cost", "code": "cost", "aggregation_type": "sum_agg", "field_name": "total"}
    shop.post("billable_metrics", billable_metric=costly | {"expression": "event.properties.a + 1"})
    shop.refused("POST", "events", json={"event": estimate | {"transaction_id": "e1", "code": "cost"}})
    shop.get("events")
    shop.get("events/t1")
    shop.lago.drain()
    shop.usage()
    shop.refused("GET", "customers/org_2/current_usage")


def _subscriptions(shop):
    shop.lago.set_clock("2027-11-16T09:00:00Z")
    shop.subscribe("professional")
    shop.subscribe("starter")
    shop.lago.drain()
    shop.get("subscriptions/sub_1")
    shop.put("subscriptions/sub_1", subscription={"name": "Acme", "ending_at": None})
    shop.get("subscriptions", **{"status[]": ["active", "pending", "terminated"]})
    shop.get("customers/org_1/subscriptions")
    shop.delete("subscriptions/sub_1", status="pending")
    shop.lago.set_clock("2027-12-02T00:00:00Z")
    shop.delete("subscriptions/sub_1")
    shop.lago.drain()
    shop.refused("DELETE", "subscriptions/sub_1")
    shop.refused("POST", "subscriptions", json={"subscription": {"plan_code": "starter"}})


def _invoices(shop):
    listed = shop.invoices()
    shop.get("invoices", external_customer_id="org_1")
    for note in shop.get("credit_notes")["credit_notes"]:
        shop.get(f"credit_notes/{note['lago_id']}")
    shop.get("customers/org_1/credit_notes")
    unpaid = [one for one in listed if one["payment_status"] == "pending"]
    paths = [f"invoices/{one['lago_id']}" for one in unpaid[:3]]
    shop.put(paths[0], invoice={"metadata": [{"key": "po", "value": "7"}], "payment_status": "succeeded"})
    shop.post(f"{paths[1]}/payment_url")
    shop.post(f"{paths[1]}/retry_payment")
    shop.post(f"{paths[1]}/download")
    shop.post(f"{paths[1]}/download_pdf")
    shop.post(f"{paths[2]}/void")
    shop.refused("POST", f"{paths[2]}/void")
    shop.refused("POST", f"{paths[0]}/retry_payment")
    shop.refused("GET", "invoices/00000000-0000-4000-8000-000000000000")


@pytest.fixture(scope="module")
def told(lago_process):
    """Return what was asked and answered, and the messages that were sent meanwhile."""
    lago_process.reset()
    shop = Recorded(lago_process)
    everything(shop)
    del lago_process.api  # the class's own again
    return shop.exchanges, shop.messages


@pytest.fixture(scope="module")
def exchanges(told):
    return told[0]


@pytest.fixture(scope="module")
def in_messages(told):
    """Return what the messages have that the description does not allow; those of wallets have no description."""
    known = openapi.webhook_pointers()
    return {
        f"MESSAGE {one['webhook_type']} 200 {place}: {message}"
        for one in told[1]
        if one["webhook_type"] in known
        for place, message in openapi.problems(known[one["webhook_type"]], one)
    }


def test_every_message_is_as_lago_describes_it(told, in_messages):
    known = openapi.webhook_pointers()
    assert unexplained(in_messages) == []
    assert len({one["webhook_type"] for one in told[1]} & set(known)) >= 15


def test_every_answer_request_and_error_is_as_lago_describes_it(exchanges, in_messages):
    found = {f"{where} {place}: {message}" for one in exchanges for where, place, message in _problems(one)}
    assert unexplained(found) == []
    outlived = [
        known for known in DISAGREEMENTS if not any(re.search(known, one) for one in found | in_messages)
    ]
    assert outlived == []


def test_what_stands_in_a_root_object_is_as_described(exchanges):
    """The one answer whose description leaves the root out."""
    [one, *_] = [
        one
        for one in exchanges
        if re.fullmatch(r"/wallet_transactions/[^/]+", one.path) and one.status == 200
    ]
    pointer = openapi.answer_pointer("GET", "/wallet_transactions/{lago_id}", 200)
    assert openapi.problems(pointer, one.said["wallet_transaction"]) == []


def test_every_route_of_the_sandbox_was_asked_and_answered(exchanges):
    answered = {
        (one.method, re.sub(r"/[0-9a-f-]{36}", "/<lago_id>", one.path))
        for one in exchanges
        if one.status == 200
    }
    for route, verbs in ROUTE.findall((ROOT / "lago_sandbox/urls.py").read_text()):
        pattern = re.sub(r"<uuid:\w+>", "<lago_id>", re.sub(r"<(str|path):\w+>", "[^/]+", route))
        for method, verb in re.findall(r"([A-Z]+)=([\w.]+)", verbs):
            is_answered = any(one == method and re.fullmatch(f"/{pattern}", path) for one, path in answered)
            assert is_answered or verb in REFUSING, f"{method} /{route}"


def test_every_error_of_the_table_was_met(exchanges):
    met = {
        (one.status, "code" in one.said, type(one.said.get("error_details")))
        for one in exchanges
        if one.status != 200
    }
    assert met >= {
        (400, False, type(None)),
        (401, False, type(None)),
        (404, True, type(None)),
        (405, True, type(None)),
        (422, True, dict),
        (422, True, str),
    }


def _problems(one):
    """Yield (operation and status, place, message) for an answer and for the request that it took."""
    path = openapi.template(one.method, one.path)
    if path is None:
        yield f"{one.method} {one.path}", "not in the schema", ""
        return
    pointer = openapi.answer_pointer(one.method, path, one.status)
    if pointer is not None and one.said is not None:
        for place, message in openapi.problems(pointer, one.said):
            yield f"{one.method} {path} {one.status}", place, message
    pointer = openapi.request_pointer(one.method, path)
    if pointer is not None and one.status == 200 and one.sent is not None:
        for place, message in openapi.problems(pointer, one.sent):
            yield f"{one.method} {path} request", place, message

"""Every request of the client and every answer to it against Lago's official schema, over a whole story.

What is checked is what went over the wire: the exchanges are kept where `requests` sends them.
"""

import json
import os
import re
from collections import defaultdict

import pytest
import requests
from django.core.management import call_command

from lago_sync.client import catalogue, events, invoices, organization, sending, subscriptions, wallets
from lago_sync.errors import LagoRefused
from lago_sync.models import LagoCustomer
from lago_sync.reconcile import identity
from lago_sync.setup import guard
from lago_sync.subscriptions import plans
from orgs.models import Organization
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync import openapi
from tests.lago_sync.reconcile.story import DAY, Story

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not openapi.PATH.is_file(), reason=f"Lago's schema is not at {openapi.PATH}: set LAGO_OPENAPI"
    ),
]

_NO_BALANCE = "the schema requires a field that it does not describe; Lago's serializer writes balance_cents"
_WRAPPED = "Lago's code answers inside `wallet_transaction_payment_details` (lago.md §2.7)"
_FLOATS = dict.fromkeys(
    (
        f"200 $.invoice.fees[].{name}: # is not of type 'string'"
        for name in ("precise_amount", "precise_total_amount", "taxes_precise_amount")
    ),
    "Lago's serializer writes the precise figures of fees as JSON floats (lago.md §1.4); we read none of them",
)

DISAGREEMENTS = {
    "GET /organizations": {
        "not in the schema": "Lago has had it for years (lago.md §2.6), and it is the way to prove a key (§9)"
    },
    "POST /wallets": {"200 $.wallet: 'balance' is a required property": _NO_BALANCE},
    "GET /wallets/{lago_id}": {"200 $.wallet: 'balance' is a required property": _NO_BALANCE},
    "GET /customers/{external_customer_id}/wallets": {
        "200 $.wallets[]: 'balance' is a required property": _NO_BALANCE
    },
    "GET /invoices/{lago_id}": _FLOATS,
    "POST /invoices/{lago_id}/void": _FLOATS,
    "POST /wallet_transactions/{lago_id}/payment_url": {
        f"200 $: '{name}' is a required property": _WRAPPED
        for name in (
            "external_customer_id",
            "lago_customer_id",
            "lago_wallet_transaction_id",
            "payment_provider",
        )
    },
}
"""Where Lago's code, which the sandbox and the client follow, and its schema differ, and why the code is believed."""

CALLS = {
    "GET /billable_metrics/{code}",
    "GET /customers/{external_customer_id}",
    "GET /customers/{external_customer_id}/invoices",
    "GET /customers/{external_customer_id}/subscriptions",
    "GET /customers/{external_customer_id}/wallets",
    "GET /events",
    "GET /invoices/{lago_id}",
    "GET /plans",
    "GET /plans/{code}",
    "GET /wallets/{lago_id}",
    "GET /wallets/{lago_id}/wallet_transactions",
    "GET /webhook_endpoints",
    "DELETE /subscriptions/{external_id}",
    "POST /billable_metrics",
    "POST /customers",
    "POST /events/batch",
    "POST /invoices/{lago_id}/void",
    "POST /plans",
    "POST /subscriptions",
    "POST /wallet_transactions",
    "POST /wallet_transactions/{lago_id}/payment_url",
    "POST /wallets",
    "POST /webhook_endpoints",
    "PUT /webhook_endpoints/{lago_id}",
}
"""Everything that the client can ask, beside /health and /organizations."""


class Exchange:
    def __init__(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        path = (request.path_url or "").partition("?")[0]
        self.method, self.path = request.method or "", path.removeprefix("/api/v1")
        self.sent = json.loads(request.body) if request.body else None
        self.status, self.got = answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def exchanges():
    """Keep what the client's two sessions send and get."""
    found: list[Exchange] = []

    def keep(answer: requests.Response, **_: object) -> None:
        found.append(Exchange(answer.request, answer))

    sessions = [sending.session(os.getpid(), repeats) for repeats in (True, False)]
    for one in sessions:
        one.hooks["response"].append(keep)
    yield found
    for one in sessions:
        one.hooks["response"].remove(keep)


def name_of(one: Exchange) -> str:
    named = openapi.operation(one.method, one.path)
    return f"{one.method} {named[0] if named else one.path}"


def wrong_in(found: list[Exchange]) -> dict[str, set[str]]:
    """Return what the schema does not allow, by operation; figures and places in lists are left out.

    Bodies are judged that Lago took: what it refused was wrong on purpose.
    """
    wrong = defaultdict(set)
    for one in found:
        named = openapi.operation(one.method, one.path)
        if named is None:
            wrong[name_of(one)].add("not in the schema")
            continue
        if one.status < 400:
            wrong[name_of(one)] |= {f"request {what}" for what in openapi.of_request(named, one.sent)}
        wrong[name_of(one)] |= {
            f"{one.status} {what}" for what in openapi.of_answer(named, one.status, one.got)
        }
    return {
        name: {re.sub(r": [\d.]+ is", ": # is", re.sub(r"\[\d+\]", "[]", one)) for one in said}
        for name, said in wrong.items()
        if said
    }


def refusals(team: Organization, row: LagoCustomer) -> None:
    """Ask for what Lago refuses, in each shape of its errors that the client meets."""
    event = {"transaction_id": "twice", "external_subscription_id": plans.external_id(team), "code": "credits_used", "timestamp": "1800000000", "properties": {"credits": "1"}}  # fmt: skip
    events.send([event])
    for ask in (
        lambda: events.send([event]),
        lambda: events.send([]),
        lambda: wallets.top_up({"wallet_id": str(row.wallet_id), "paid_credits": 10}),
        lambda: wallets.make({"external_customer_id": team.public_id, "rate_amount": "1", "code": "credits"}),
        lambda: catalogue.make_metric({"code": "credits_used", "name": "x", "aggregation_type": "count_agg"}),
        lambda: organization.make_webhook_endpoint({"webhook_url": guard.webhook_url()}),
        lambda: list(wallets.of_customer("org_of_nobody")),
    ):
        with pytest.raises(LagoRefused):
            ask()
    for find in (catalogue.plan, catalogue.metric, wallets.get, invoices.get):
        assert find("00000000-0000-4000-8000-000000000000") is None


def other_calls(team: Organization, row: LagoCustomer, story: Story) -> None:
    """Ask what the story does not come to ask."""
    catalogue.metric("api_call")
    wallets.get(str(row.wallet_id))
    [endpoint] = organization.webhook_endpoints()
    organization.change_webhook_endpoint(
        endpoint["lago_id"], {"webhook_url": endpoint["webhook_url"], "signature_algo": "hmac"}
    )
    open_purchase = story.advance(story.order(team))
    invoices.void(str(open_purchase.invoice_id))


def test_whole_story_is_as_lagos_schema_says(lago, settings, exchanges):  # noqa: F811
    story = Story(lago, settings)
    call_command("setup_lago")
    call_command("lago_health")
    story.team("trial")
    team = story.team("professional")
    story.buy(team)
    story.use(team, "1.5", "2.25")
    story.deliver()
    story.lago.advance(32 * DAY)
    plans.refresh(organization=team, now=story.now())
    identity.compare(organization=team, now=story.now())
    row = LagoCustomer.objects.get(organization=team)
    other_calls(team, row, story)
    refusals(team, row)
    subscriptions.terminate(plans.external_id(team))
    plans.refresh(organization=team, now=story.now())

    asked = [one for one in exchanges if one.path != "/health"]
    assert wrong_in(asked) == {name: set(said) for name, said in DISAGREEMENTS.items()}
    assert {name_of(one) for one in asked} - {"GET /organizations"} == CALLS


def test_a_wrong_body_or_answer_would_be_seen():
    """The control: the comparison is no rubber stamp."""
    named = openapi.operation("POST", "/wallet_transactions")
    assert named == ("/wallet_transactions", "post")
    right = {"wallet_transaction": {"wallet_id": "00000000-0000-4000-8000-000000000000", "paid_credits": "1"}}
    assert openapi.of_request(named, right) == []
    number = {"wallet_transaction": right["wallet_transaction"] | {"paid_credits": 1}}
    assert "is not of type 'string'" in openapi.of_request(named, number)[0]
    misspelt = {"wallet_transaction": right["wallet_transaction"] | {"payed_credits": "1"}}
    assert openapi.of_request(named, misspelt) == ["$.wallet_transaction.payed_credits: unknown"]
    assert openapi.of_answer(named, 200, {"wallet_transactions": [{}]})
    assert openapi.of_answer(named, 418, {}) == ["the schema knows no status 418"]
    assert openapi.operation("GET", "/nothing") is None
    assert openapi.operation("GET", "/customers/org_1/wallets") == (
        "/customers/{external_customer_id}/wallets", "get",
    )  # fmt: skip

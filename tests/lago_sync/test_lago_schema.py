"""Every request of the client and every answer to it against Lago's official schema, over a whole story.

What is checked is what went over the wire: the exchanges are kept where `requests` sends them.
"""

import json
import os
import re
from typing import get_args

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
from tests.factories import lago_disagreements as disagreements
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync import openapi, tour
from tests.lago_sync.reconcile.story import DAY, Story

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not openapi.PATH.is_file(), reason=f"Lago's schema is not at {openapi.PATH}: set LAGO_OPENAPI"
    ),
]


class Exchange:
    def __init__(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        path = (request.path_url or "").partition("?")[0]
        self.method, self.path = request.method or "", path.removeprefix("/api/v1")
        self.sent = json.loads(request.body) if request.body else None
        self.status, self.got = answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def exchanges():
    """Keep what the client's sessions send and get."""
    found: list[Exchange] = []

    def keep(answer: requests.Response, **_: object) -> None:
        if "/api/v1/" in (answer.request.url or ""):
            found.append(Exchange(answer.request, answer))

    sessions = [sending.session(os.getpid(), kind) for kind in get_args(sending.Kind)]
    for one in sessions:
        one.hooks["response"].append(keep)
    yield found
    for one in sessions:
        one.hooks["response"].remove(keep)


def wrong_in(found: list[Exchange]) -> set[str]:
    """Return what the schema does not allow, each by its operation; figures and places in lists are left out.

    Bodies are judged that Lago took: what it refused was wrong on purpose.
    """
    wrong = set()
    for one in found:
        named = openapi.operation(one.method, one.path)
        if named is None:
            wrong.add(f"{one.method} {one.path} not in the schema")
            continue
        said = [f"{one.status} {what}" for what in openapi.of_answer(named, one.status, one.got)]
        if one.status < 400:
            said += [f"request {what}" for what in openapi.of_request(named, one.sent)]
        wrong |= {f"{one.method} {named[0]} {what}" for what in said}
    return {re.sub(r": [\d.]+ is", ": # is", re.sub(r"\[\d+\]", "[]", one)) for one in wrong}


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


def test_every_function_of_the_client_asks_as_lagos_schema_says(lago, settings, exchanges, monkeypatch):  # noqa: F811
    called: set[str] = set()
    lago.settings(licence=True)
    tour.remember(called, monkeypatch)
    tour.take(lago)
    assert tour.everything() - called == set()
    assert disagreements.unexplained(wrong_in(exchanges)) == []


def test_whole_story_is_as_lagos_schema_says(lago, settings, exchanges):  # noqa: F811
    story = Story(lago, settings)
    call_command("lago_health")
    story.team("trial")
    team = story.team("professional")
    story.buy(team)
    story.use(team, "1.5", "2.25")
    story.deliver()
    story.lago.advance(32 * DAY)
    plans.refresh(organization=team, now=story.now())
    identity.compare(organization=team, now=story.now())
    refusals(team, LagoCustomer.objects.get(organization=team))
    subscriptions.terminate(plans.external_id(team))
    plans.refresh(organization=team, now=story.now())

    found = wrong_in(exchanges)
    assert disagreements.unexplained(found) == []
    assert "POST /wallets 200 $.wallet: 'balance' is a required property" in found  # what is wrong is seen


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

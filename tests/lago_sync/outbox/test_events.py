"""What Lago is told of a charge: public ids, decimal strings, a moment that never changes."""

import json
import os
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml
from django.utils import timezone

from credits.models import UsageRecord
from credits.pricing.costs import CreditsCost
from lago_sync.client import events as lago_events
from lago_sync.models import OutboxEvent
from lago_sync.setup import installing
from lago_sync.subscriptions import plans
from orgs.audit.events import SYSTEM
from tests.factories import credits as make
from tests.lago_sync.outbox.story import deliver, subscribed, team, wrote

pytestmark = pytest.mark.django_db

SPEC = Path(os.environ.get("LAGO_OPENAPI", "../shared/data/lago-openapi.yaml"))


@pytest.fixture
def told(lago, monkeypatch):
    """Note what is sent on its way to the real thing."""
    seen, send = [], lago_events.send

    def noted(events):
        seen.extend(events)
        return send(events)

    monkeypatch.setattr(lago_events, "send", noted)
    return seen


def test_an_event_says_who_what_and_how_much_in_names_that_anybody_may_know(told):
    org = team()
    department = make.department(org, 500, "Research")
    user = make.member(org, department=department)
    make.charged(
        org,
        user,
        CreditsCost(Decimal("12.345678"), model="claude", input_tokens=120, output_tokens=30),
        service="llm",
        provider="anthropic",
        metadata={"endpoint": "/v1/messages", "secret": "not for Lago"},
    )
    deliver()
    record = UsageRecord.objects.get()
    [event] = told
    assert event == {
        "transaction_id": str(record.pk),
        "external_subscription_id": f"sub_{org.public_id}",
        "code": "credits_used",
        "timestamp": event["timestamp"],
        "properties": {
            "org_id": org.public_id,
            "user_id": user.public_id,
            "department": department.public_id,
            "endpoint": "/v1/messages",
            "service": "llm",
            "provider": "anthropic",
            "model": "claude",
            "tokens": "150",
            "input_tokens": "120",
            "output_tokens": "30",
            "credits": "12.345678",
        },
    }
    assert abs(Decimal(event["timestamp"]) - Decimal(str(record.occurred_at.timestamp()))) < Decimal("0.001")


def test_no_key_of_a_row_leaves_the_house(told):
    org = team()
    department = make.department(org, 500)
    user = make.member(org, department=department)
    make.charged(org, user)
    deliver()
    text = json.dumps(told)
    assert user.pk.hex not in text
    assert str(user.pk) not in text
    numbers = {name: value for name, value in told[0]["properties"].items() if value.isdecimal()}
    assert numbers == {"credits": "1", "tokens": "0", "input_tokens": "0", "output_tokens": "0"}


def test_what_a_charge_has_not_is_left_out(told):
    org = team()
    make.charged(org)
    deliver()
    assert set(told[0]["properties"]) == {
        "org_id",
        "service",
        "credits",
        "tokens",
        "input_tokens",
        "output_tokens",
    }


def test_the_moment_is_in_milliseconds_and_the_same_however_often_it_is_sent(lago, told):
    org = team()
    make.charged(org)
    lago.faults({"method": "POST", "path": "events/batch", "times": 1, "status": 401, "body": "{}"})
    deliver()
    deliver(after=3600)
    first, second = (event["timestamp"] for event in told)
    assert first == second
    assert len(first.partition(".")[2]) == 3
    [event] = lago.dump()["event"]
    occurred = UsageRecord.objects.get().occurred_at
    assert event["timestamp"][:23] == f"{occurred:%Y-%m-%dT%H:%M:%S.}{occurred.microsecond // 1000:03d}"


def test_a_moment_that_was_written_as_a_number_is_cut_to_milliseconds(told):
    wrote(team(), payload={"timestamp": 1_790_000_000.123987})
    deliver()
    assert told[0]["timestamp"] == "1790000000.123"


def test_a_reversal_is_a_negative_event_of_its_own(told):
    org = team()
    make.reversal(make.charged(org, make.member(org), 5), "1.5")
    deliver()
    assert [event["properties"]["credits"] for event in told] == ["5", "-1.5"]
    assert len({event["transaction_id"] for event in told}) == 2


def test_an_adopted_subscription_keeps_its_own_name(told):
    org = make.team(10)
    subscribed(org, name="acme.2019")
    make.charged(org)
    deliver()
    assert told[0]["external_subscription_id"] == "acme.2019"


def test_after_a_change_of_plan_the_usage_of_each_time_finds_a_subscription(told):
    org = make.team(10)
    changed = timezone.now()
    subscribed(org, end=changed)
    subscribed(org, start=changed)
    make.charged(org)
    wrote(org)
    deliver()
    assert len(told) == 2


@pytest.mark.skipif(not SPEC.exists(), reason="Lago's own schema is not here (LAGO_OPENAPI)")
def test_it_is_valid_by_lagos_own_schema(told):
    org = team()
    user = make.member(org, department=make.department(org, 10))
    make.charged(org, user, CreditsCost(Decimal(1), model="m", input_tokens=3), provider="p")
    deliver()
    spec = yaml.load(SPEC.read_text(), Loader=yaml.CSafeLoader)
    schema = {"$ref": "#/components/schemas/EventBatchInput", "components": spec["components"]}
    jsonschema.Draft202012Validator(schema).validate({"events": told})


def test_with_a_real_subscription_lago_counts_it_as_usage(lago):
    now = timezone.now()
    installing.install(webhook_url="http://127.0.0.1:9/webhooks/lago", now=now)
    org = make.team(100, unlimited=False)
    plans.subscribe(organization=org, plan_code="enterprise", by=SYSTEM, now=now)
    make.charged(org, make.member(org), "2.5")
    make.charged(org, make.member(org), "0.75")
    assert deliver(after=1).sent == 2
    lago.drain()
    usage = lago.api(
        "GET",
        f"customers/{org.public_id}/current_usage",
        params={"external_subscription_id": f"sub_{org.public_id}"},
    ).json()["customer_usage"]
    units = {one["billable_metric"]["code"]: Decimal(one["units"]) for one in usage["charges_usage"]}
    assert (units["credits_used"], usage["amount_cents"]) == (Decimal("3.25"), 0)
    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {"delivered"}

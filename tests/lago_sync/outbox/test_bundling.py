"""Aggregated usage: one event for a minute of one member's calls of one model; nothing lost, nothing twice."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from credits.pricing.costs import CreditsCost
from lago_sync.models import LagoSubscription, OutboxEvent
from lago_sync.outbox import bundling, delivery
from lago_sync.outbox.sending import Delivered
from lago_sync.reconcile import identity
from orgs.audit.events import SYSTEM
from tests.concurrency.racing import race
from tests.factories import credits as make
from tests.lago_sync.outbox.story import BATCH, arrived, deliver, each_once, states, subscribed, team, wrote
from tests.lago_sync.reconcile.story import Story

pytestmark = pytest.mark.django_db

MINUTE = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
SOON = 65.0  # seconds after which the present minute is over


@pytest.fixture(autouse=True)
def aggregated(settings):
    settings.LAGO_AGGREGATE_USAGE = True


def used(org, second, count=1, **payload):
    """Write rows of calls made so many seconds after noon, due since."""
    at = MINUTE + timedelta(seconds=second)
    return wrote(org, count, payload={"timestamp": f"{at.timestamp():.3f}", **payload})


def credits_at_lago(lago):
    return sum(Decimal(event["properties"]["credits"]) for event in lago.dump()["event"])


def test_a_minute_of_one_member_and_model_is_one_event_with_the_sums(lago):
    org = team()
    user, other = make.member(org), make.member(org)
    for member, model, count in ((user, "claude", 3), (user, "gpt", 2), (other, "claude", 1)):
        for _ in range(count):
            cost = CreditsCost(Decimal("0.100001"), model=model, input_tokens=5, output_tokens=2)
            make.charged(org, member, cost, provider="p", metadata={"endpoint": "/v1"})
    assert deliver() == Delivered()  # the minute is not over, and more may come
    assert deliver(after=SOON).sent == 3
    found = {
        (event["properties"]["user_id"], event["properties"]["model"]): event["properties"]
        for event in lago.dump()["event"]
    }
    assert {key: one["credits"] for key, one in found.items()} == {
        (user.public_id, "claude"): "0.300003",
        (user.public_id, "gpt"): "0.200002",
        (other.public_id, "claude"): "0.100001",
    }
    assert found[user.public_id, "claude"] == {
        "org_id": org.public_id,
        "user_id": user.public_id,
        "endpoint": "/v1",
        "service": "llm",
        "provider": "p",
        "model": "claude",
        "tokens": "21",
        "input_tokens": "15",
        "output_tokens": "6",
        "credits": "0.300003",
    }
    assert states() == {"delivered": 3, "bundled": 5}
    assert delivery.standing().bundled == 5
    assert deliver(after=3 * SOON) == Delivered()


def test_whatever_differs_is_another_event(lago):
    org, other = team(), team()
    user = make.member(org)
    department = make.department(org, 10)
    same = {"user": user.pk.hex, "model": "m", "provider": "p", "service": "s", "endpoint": "/e"}
    for difference in (
        {},
        {"user": None},
        {"model": "n"},
        {"provider": "q"},
        {"service": "t"},
        {"endpoint": "/f"},
        {"department": department.pk},
    ):
        used(org, 10, 2, **(same | difference))
    used(other, 10, 2)
    used(org, 59, 1, **same)  # the same minute's last second
    used(org, 60, 2, **same)  # the next minute
    assert deliver().sent == 9
    at = sorted(event["timestamp"][:19] for event in lago.dump()["event"])
    assert set(at) == {"2026-11-10T12:00:10", "2026-11-10T12:00:59", "2026-11-10T12:01:00"}
    bundles = OutboxEvent.objects.filter(state="delivered").values_list("payload__members", flat=True)
    assert sorted(bundles) == [2] * 8 + [3]


def test_a_bundle_lies_in_one_subscription_and_what_lies_in_none_is_never_sent(lago):
    org = make.team()
    subscribed(org, start=MINUTE + timedelta(seconds=10), end=MINUTE + timedelta(seconds=30), name="first")
    subscribed(org, start=MINUTE + timedelta(seconds=30), name="second")
    rows = {second: used(org, second, 2, credits="1.5") for second in (5, 15, 29, 30, 45)}
    total = deliver()
    assert (total.sent, total.not_applicable) == (2, 2)
    found = {
        event["external_subscription_id"]: event["properties"]["credits"] for event in lago.dump()["event"]
    }
    assert found == {"first": "6", "second": "6"}
    assert {OutboxEvent.objects.get(pk=row.pk).state for row in rows[5]} == {"not_applicable"}
    assert LagoSubscription.objects.count() == 2


def test_what_was_tried_before_goes_as_it_is_since_lago_may_have_it(lago):
    rows = used(team(), 10, 3)
    lago.faults({"method": "POST", "path": "events/batch", "times": 3, "drop": True})
    OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).update(attempts=1)
    deliver()
    lago.faults()
    deliver(after=3600)
    assert arrived(lago) == each_once(rows)
    assert states() == {"delivered": 3}


def test_a_call_alone_and_an_event_that_is_no_charge_go_as_they_are(lago):
    org = team()
    rows = used(org, 10) + wrote(org, 2, code="api_call", payload={"properties": {"a": "b"}})
    assert deliver().sent == 3
    assert arrived(lago) == each_once(rows)


def test_a_reversal_of_a_charge_in_a_bundle_is_an_event_of_its_own(lago):
    org = team()
    charges = [make.charged(org, None, 4) for _ in range(3)]
    assert deliver(after=SOON).sent == 1
    make.reversal(charges[1], 1)
    make.reversal(charges[2], 2)
    assert deliver(after=2 * SOON).sent == 2
    assert credits_at_lago(lago) == 9


def test_rows_of_which_no_event_can_be_made_stop_no_bundle(lago):
    org = team()
    used(org, 10, 2)
    for payload in ({"timestamp": "yesterday"}, {"timestamp": None}, {"credits": "many"}, {"credits": None}):
        wrote(org, 2, payload=payload)
    wrote(org, 2, payload={"timestamp": "1e400"})
    used(org, 20, 2, tokens="many", model="odd")
    used(org, 20, 2, tokens=[3], model="odder")
    broken = wrote(org, 2)
    OutboxEvent.objects.filter(pk__in=[row.pk for row in broken]).update(payload=["odd"])
    assert bundling.bundle(now=timezone.now()) == 1
    assert deliver().sent >= 1


def test_a_thousand_calls_of_ten_minutes_are_few_events_and_the_sums_agree(lago):
    orgs = [team() for _ in range(3)]
    expected = defaultdict(Decimal)
    for number in range(1000):
        org = orgs[number % 3]
        credits = f"0.{number % 999999 + 1:06d}"
        used(org, number * 0.6, credits=credits)
        expected[org.public_id] += Decimal(credits)
    assert deliver().sent == 30
    found = defaultdict(Decimal)
    for event in lago.dump()["event"]:
        found[event["properties"]["org_id"]] += Decimal(event["properties"]["credits"])
    assert found == expected
    assert states() == {"delivered": 30, "bundled": 1000}
    assert lago.requested(*BATCH) == 1


def test_the_books_agree_with_lago_to_the_last_decimal(lago, settings):
    story = Story(lago, settings)
    org = story.team("starter")
    make.grant(org, 100)
    story.use(org, "0.000001", "1.5", "3.333333")
    reversed_charge = make.charged(org, None, Decimal("10.000001"))
    make.reversal(reversed_charge, "4.000001")
    assert deliver(after=SOON).sent == 2
    lago.drain()
    books = identity.compare(organization=org, now=story.now() + timedelta(seconds=2 * SOON))
    assert books.differences == []
    assert books.figures["event_credits"]["ours"] == books.figures["event_credits"]["lagos"] == "10.833334"


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
def test_four_that_bundle_and_deliver_at_once_lose_and_double_nothing(lago):
    orgs = [team() for _ in range(2)]
    for org in orgs:
        for second in range(0, 600, 5):
            used(org, second, 4, credits="0.000007")
    race([deliver] * 4)
    deliver(after=3600)
    assert set(states()) <= {"delivered", "bundled"}
    assert credits_at_lago(lago) == Decimal("0.000007") * 960
    in_bundles = sum(
        OutboxEvent.objects.filter(state="delivered", payload__has_key="members").values_list(
            "payload__members", flat=True
        )
    )
    assert in_bundles == OutboxEvent.objects.filter(state="bundled").count()


def test_what_lago_may_have_is_replayed_under_its_own_id_and_never_bundled(lago, settings):
    settings.LAGO_AGGREGATE_USAGE = False
    wrote(team(), 2, payload={"timestamp": f"{timezone.now().timestamp() // 60 * 60:.3f}"})
    deliver()
    OutboxEvent.objects.update(
        state="dead", attempts=5, failures=5, delivered_at=None
    )  # its answers were lost
    settings.LAGO_AGGREGATE_USAGE = True
    for event in OutboxEvent.objects.all():
        with transaction.atomic():
            delivery.replay(event=event, by=SYSTEM, now=timezone.now())
    deliver(after=1)
    assert credits_at_lago(lago) == 2
    assert states() == {"delivered": 2}

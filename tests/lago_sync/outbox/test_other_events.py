"""Events that are no charges: one for an id, whoever repeats it; a charge's own id is that charge's event."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from credits.models import UsageRecord
from kit.errors import ValidationError
from lago_sync.models import OutboxEvent
from lago_sync.outbox import writing
from tests.concurrency.racing import race
from tests.factories import credits as make
from tests.lago_sync.outbox.story import arrived, deliver, subscribed, team

pytestmark = pytest.mark.django_db


def add(org, key="call-1", code="api_call", at=None, **properties):
    with transaction.atomic():
        return writing.add_event(
            organization=org,
            code=code,
            transaction_id=key,
            properties=properties,
            at=at or timezone.now() - timedelta(seconds=5),
        )


def test_it_arrives_once_with_its_own_id_code_moment_and_properties(lago):
    org = team()
    at = datetime(2026, 11, 3, 12, 0, 0, 123_999, tzinfo=UTC)
    given = {"endpoint": "/v1/chat", "tokens": 1500, "share": Decimal("0.50"), "cached": True, "model": None}
    assert [add(org, at=at, org_id="org_of_somebody_else", **given), add(org, code="other")] == [True, False]
    assert deliver(after=1).sent == 1
    [event] = lago.dump()["event"]
    assert (event["transaction_id"], event["code"]) == ("call-1", "api_call")
    assert event["timestamp"][:23] == "2026-11-03T12:00:00.123"
    assert event["external_subscription_id"] == f"sub_{org.public_id}"
    assert event["properties"] == {
        "org_id": org.public_id,
        "endpoint": "/v1/chat",
        "tokens": "1500",
        "share": "0.50",
        "cached": "true",
    }


def test_the_id_of_a_charge_a_hold_or_a_usage_record_is_that_charges_event(lago):
    org, other = team(), team()
    make.charged(org, key="charged")
    make.held(org, key="held")
    record = str(UsageRecord.objects.get().pk)
    assert [add(org, key) for key in ("charged", "held", record)] == [False] * 3
    assert list(OutboxEvent.objects.values_list("transaction_id", "code")) == [(record, "credits_used")]
    assert add(other, "charged")  # somebody else's id says nothing about ours


def test_two_organizations_may_use_the_same_id_and_long_ones(lago):
    orgs = [team(), team()]
    keys = ["1", "x" * 64, "y" * 65, "z" * 128, "a" * 64]  # the last could be one that we made
    for _ in range(2):
        for org in orgs:
            for key in keys:
                add(org, key)
    assert deliver(after=1).sent == len(keys) * 2
    found = arrived(lago)
    assert set(found.values()) == {1}
    assert len(found) == len(keys) * 2
    assert "1" in found
    assert "a" * 64 not in found


def test_nobody_takes_the_id_of_anothers_event_beforehand(lago):
    mine, theirs = team(), team()
    for key in ("1", "y" * 65):
        add(theirs, writing._digest(mine.public_id, key))
    add(theirs, "1")
    assert [add(mine, "1"), add(mine, "y" * 65)] == [True, True]


def test_a_service_may_have_a_code_of_its_own(settings):
    settings.LAGO_EVENT_CODES = {"chat": "chat_call", "all": "credits_used"}
    org = team()
    add(org, code="chat")
    assert OutboxEvent.objects.get().code == "chat_call"
    with pytest.raises(ValidationError):
        add(org, "b", code="all")


def test_what_lago_could_not_take_or_count_is_refused_before_anything_is_written():
    org = team()
    wrong = [
        ({"code": ""}, "code"),
        ({"code": "c" * 65}, "code"),
        ({"code": "credits_used"}, "code"),
        ({"key": ""}, "transaction_id"),
        ({"key": "k" * 129}, "transaction_id"),
        ({"key": "k\u00e9y"}, "transaction_id"),
        ({"key": "a\nb"}, "transaction_id"),
        ({"a": {"b": 1}}, "properties"),
        ({"a": [1]}, "properties"),
        ({"a": float("nan")}, "properties"),
        ({"a": Decimal("Infinity")}, "properties"),
        ({"a": "\x00"}, "properties"),
        ({"a": "\ud800"}, "properties"),
        ({"a": "x" * 5000}, "properties"),
        ({"at": datetime(1969, 1, 1, tzinfo=UTC)}, "timestamp"),
    ]
    for given, field in wrong:
        with pytest.raises(ValidationError) as refused:
            add(org, **given)
        assert set(refused.value.details) == {field}, given
    assert not OutboxEvent.objects.exists()


def test_outside_any_subscription_it_is_never_sent(lago):
    org = make.team()
    subscribed(org, start=timezone.now() - timedelta(days=1))
    add(org, "before", at=timezone.now() - timedelta(days=2))
    add(org, "since")
    total = deliver(after=1)
    assert (total.sent, total.not_applicable) == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
def test_eight_that_record_the_same_call_of_two_organizations_at_once_write_two():
    orgs = [team(), team()]
    new = race([lambda org=org: add(org, "at once") for org in orgs * 4])
    assert sorted(new) == [False] * 6 + [True] * 2
    assert OutboxEvent.objects.count() == 2

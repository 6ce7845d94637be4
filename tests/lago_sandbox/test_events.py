"""Events: B1 to B8, B10 and B13."""

import time
from datetime import UTC, datetime

import pytest


@pytest.fixture
def subscribed(shop):
    shop.plan("starter", 1900)
    shop.customer()
    shop.subscribe("starter")
    shop.lago.drain()
    return shop


def units(shop):
    shop.lago.drain()
    return {one["billable_metric"]["code"]: one["units"] for one in shop.usage()["charges_usage"]}


def test_b1_200_says_stored_and_not_valid(shop):
    shop.event("t1", code="no_such_code")
    shop.event("t2", external_subscription_id="no_such_subscription")
    shop.event("t3", properties={})
    shop.event("t4", external_subscription_id=None)
    assert len(shop.lago.dump()["event"]) == 4


@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({"code": "c"}, {"transaction_id": ["value_is_mandatory"]}),
        ({"transaction_id": "t"}, {"code": ["value_is_mandatory"]}),
        ({"transaction_id": "t", "code": "c", "timestamp": "soon"}, {"timestamp": ["invalid_format"]}),
    ],
)
def test_b2_only_ids_code_and_timestamp_are_checked(shop, given, details):
    assert shop.refused("POST", "events", json={"event": given}) == (422, details)


def test_b2_and_b56_an_expression_that_fails_is_told_as_a_bare_text(shop):
    given = {"name": "Cost", "code": "cost", "aggregation_type": "sum_agg", "field_name": "total"}
    shop.post(
        "billable_metrics",
        billable_metric=given | {"expression": "event.properties.a * (2 + event.properties.b)"},
    )
    said = "expression_evaluation_failed: Variable: b not found"
    one = {"transaction_id": "t1", "code": "cost", "properties": {"a": "1.5"}}
    assert shop.refused("POST", "events", json={"event": one}) == (422, said)
    assert shop.refused("POST", "events/batch", json={"events": [one]}) == (422, {"0": said})
    made = shop.event("t2", code="cost", properties={"a": "1.5", "b": 1})
    assert made["properties"] == {"a": "1.5", "b": 1, "total": "4.5"}


def test_b3_a_transaction_id_is_taken_for_ever_in_its_subscription(shop):
    shop.event("t1")
    shop.lago.advance(400 * 86400)
    body = {"event": {"transaction_id": "t1", "code": "credits_used", "external_subscription_id": "sub_1"}}
    assert shop.refused("POST", "events", json=body) == (422, {"transaction_id": ["value_already_exist"]})
    shop.event("t1", external_subscription_id="sub_2")
    shop.event("t1", external_subscription_id=None)
    shop.event("t1", external_subscription_id=None)
    assert len(shop.lago.dump()["event"]) == 4


def batch(*ids, **more):
    return [
        {"transaction_id": one, "code": "credits_used", "external_subscription_id": "sub_1"} | more
        for one in ids
    ]


def test_b4_one_duplicate_refuses_the_whole_batch_and_is_named_by_its_place(shop):
    shop.post("events/batch", events=batch("a", "b"))
    answer = shop.refused("POST", "events/batch", json={"events": batch("c", "b", "d")})
    assert answer == (422, {"1": {"transaction_id": ["value_already_exist"]}})
    assert sorted(one["transaction_id"] for one in shop.lago.dump()["event"]) == ["a", "b"]


def test_b4_inside_a_batch_the_id_alone_is_unique(shop):
    events = batch("a") + batch("a", external_subscription_id="sub_2")
    assert shop.refused("POST", "events/batch", json={"events": events})[1] == {
        "1": {"transaction_id": ["value_already_exist"]}
    }


@pytest.mark.parametrize(("count", "code"), [(0, "no_events"), (101, "too_many_events")])
def test_b4_a_batch_has_1_to_100_events(shop, count, code):
    events = batch(*(f"t{n}" for n in range(count)))
    assert shop.refused("POST", "events/batch", json={"events": events}) == (422, {"events": [code]})


def test_b5_usage_shows_a_moment_after_the_event(subscribed):
    subscribed.lago.settings(usage_delay=60.0)
    subscribed.event("t1")
    assert subscribed.usage()["charges_usage"][0]["units"] == "0.0"
    subscribed.lago.advance(61)
    [credits, calls] = subscribed.usage()["charges_usage"]
    assert (credits["units"], credits["events_count"], credits["amount_cents"]) == ("1.5", 1, 0)
    assert calls["units"] == "0.0"


def test_b6_wrong_codes_and_properties_are_told_hourly_and_unknown_subscriptions_never(subscribed, receiver):
    subscribed.endpoint(receiver.url)
    subscribed.event("good")
    subscribed.event("bad-code", code="no_such_code")
    subscribed.event("no-credits", properties={"tokens": 5})
    subscribed.event("stranger", external_subscription_id="no_such_subscription")
    subscribed.lago.advance(3600 + 300)
    subscribed.lago.drain()
    [told] = [one.body for one in receiver.received if one.kind == "events.errors"]
    assert told["events_errors"] == {
        "invalid_code": ["bad-code"],
        "missing_aggregation_property": ["no-credits"],
        "missing_group_key": None,
        "invalid_filter_values": [],
    }


def test_b7_an_event_does_not_say_whose_it_is(subscribed):
    found = subscribed.event("t1", external_customer_id="org_1")
    assert (found["lago_customer_id"], found["lago_subscription_id"]) == (None, None)
    assert "external_customer_id" not in found
    assert subscribed.get("events/t1")["event"]["external_subscription_id"] == "sub_1"


@pytest.mark.parametrize("given", ["2026-11-21T10:00:00Z", True, {}, [1]])
def test_b8_a_timestamp_that_is_no_unix_time_is_422(shop, given):
    body = {"event": {"transaction_id": "t", "code": "c", "timestamp": given}}
    assert shop.refused("POST", "events", json=body) == (422, {"timestamp": ["invalid_format"]})


@pytest.mark.parametrize("given", [1790000000.25, "1790000000.25"])
def test_b8_seconds_come_as_a_number_or_as_text_with_milliseconds(shop, given):
    assert shop.event("t1", timestamp=given)["timestamp"] == "2026-09-21T14:13:20.250Z"


def test_b8_without_a_timestamp_it_is_the_reception(shop):
    found = datetime.fromisoformat(shop.event("t1")["timestamp"])
    assert abs((found - datetime.now(UTC)).total_seconds()) < 5


def test_b9_what_lies_before_the_start_is_not_counted(subscribed):
    subscribed.event("before", timestamp=time.time() - 3600)
    subscribed.event("after")
    assert units(subscribed)["credits_used"] == "1.5"


def test_b10_the_customers_id_does_not_find_the_subscription(subscribed):
    subscribed.event("t1", external_subscription_id=None, external_customer_id="org_1")
    assert units(subscribed)["credits_used"] == "0.0"


def test_b13_numeric_text_is_summed_exactly(subscribed):
    for number, value in enumerate(["0.000001", 0.1, "0.2", 3, "-1", "nonsense", True]):
        subscribed.event(f"t{number}", properties={"credits": value})
    assert units(subscribed)["credits_used"] == "2.300001"


def test_events_are_listed_for_reconciliation(shop):
    for number in range(3):
        shop.event(f"t{number}", timestamp=1790000000 + number)
    shop.event("other", code="api_call")
    found = shop.get(
        "events",
        code="credits_used",
        timestamp_from="2026-09-21T14:13:21Z",
        timestamp_to="2026-09-21T14:13:22Z",
    )
    assert [one["transaction_id"] for one in found["events"]] == ["t2", "t1"]
    assert found["meta"]["total_count"] == 2


def test_a_batch_of_100_takes_a_quarter_of_the_time_of_100_batches_of_one(subscribed):
    def took(*names):
        begun = time.perf_counter()
        subscribed.post("events/batch", events=batch(*names))
        return time.perf_counter() - begun

    turns = [(took(f"{run}"), took(*(f"{run}-{n}" for n in range(100)))) for run in range(20)]
    one, hundred = map(min, zip(*turns, strict=True))
    assert hundred < 25 * one, (one, hundred)

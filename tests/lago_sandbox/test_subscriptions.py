"""Subscriptions: B19 to B25, and what a change costs."""

import pytest

# The first period of every subscription here: 1 to 30 November 2027.
NOVEMBER = "2027-11-01T09:00:00Z"


@pytest.fixture
def plans(shop):
    shop.lago.set_clock(NOVEMBER)
    shop.plan("starter", 1900)
    shop.plan("professional", 4900)
    shop.plan("starter_yearly", 22800, interval="yearly")
    shop.plan("trial", 100, interval="weekly")
    shop.customer()
    return shop


def test_b19_the_same_plan_again_changes_nothing(plans):
    first = plans.subscribe("starter", name="Acme")
    assert plans.subscribe("starter", name="Other") == first
    plans.lago.drain()
    assert len(plans.invoices()) == 1


@pytest.mark.parametrize(
    ("day", "credit", "fee", "due"),
    [(16, 950, 2450, 1500), (2, 1837, 4737, 2900), (30, 63, 163, 100), (18, 823, 2123, 1300)],
    ids=["15 of 30 days", "29 of 30 days", "1 of 30 days", "13 of 30 days"],
)
def test_b20_an_upgrade_takes_effect_now_with_one_joint_invoice(plans, day, credit, fee, due):
    old = plans.subscribe("starter")
    plans.lago.set_clock(f"2027-11-{day:02d}T15:00:00Z")
    new = plans.subscribe("professional")
    plans.lago.drain()
    assert (new["status"], new["previous_plan_code"], new["external_id"]) == ("active", "starter", "sub_1")
    assert (new["subscription_at"], new["billing_time"]) == (old["subscription_at"], "anniversary")
    assert new["started_at"].startswith(f"2027-11-{day:02d}")
    assert (
        plans.get("subscriptions/sub_1", status="terminated")["subscription"]["next_plan_code"]
        == "professional"
    )
    [note] = plans.get("credit_notes", external_customer_id="org_1")["credit_notes"]
    assert (note["total_amount_cents"], note["balance_amount_cents"], note["credit_status"]) == (
        credit,
        0,
        "consumed",
    )
    joint = plans.invoices()[0]
    amounts = [joint[f"{name}_amount_cents"] for name in ("fees", "credit_notes", "total")]
    assert amounts == [fee, credit, due]
    assert joint["credits"][0]["item"]["lago_item_id"] == note["lago_id"]


def test_b20_an_equal_yearly_price_is_an_upgrade(plans):
    plans.subscribe("starter")
    assert plans.subscribe("starter_yearly")["plan_code"] == "starter_yearly"


def test_b20_an_upgrade_sent_again_changes_nothing(plans):
    plans.subscribe("starter")
    first = plans.subscribe("professional")
    assert plans.subscribe("professional") == first
    plans.lago.drain()
    assert len(plans.invoices()) == 2


def test_b21_a_downgrade_waits_for_the_end_of_the_period(plans):
    plans.subscribe("professional")
    found = plans.subscribe("starter")
    assert (found["plan_code"], found["status"]) == ("professional", "active")
    assert (found["next_plan_code"], found["downgrade_plan_date"]) == ("starter", "2027-12-01")
    assert plans.get("subscriptions/sub_1", status="pending")["subscription"]["plan_code"] == "starter"
    plans.lago.set_clock("2027-11-30T23:59:00Z")
    assert plans.get("subscriptions/sub_1")["subscription"]["plan_code"] == "professional"
    plans.lago.set_clock("2027-12-01T01:00:00Z")
    found = plans.get("subscriptions/sub_1")["subscription"]
    assert (found["plan_code"], found["previous_plan_code"]) == ("starter", "professional")
    plans.lago.drain()
    assert [one["total_amount_cents"] for one in plans.invoices()] == [1900, 4900]
    assert plans.get("credit_notes")["credit_notes"] == []


def test_b21_a_newer_downgrade_replaces_the_planned_one_and_the_present_plan_does_not_cancel_it(plans):
    plans.subscribe("professional")
    plans.subscribe("starter")
    assert plans.subscribe("trial")["next_plan_code"] == "trial"
    assert plans.subscribe("professional")["next_plan_code"] == "trial"
    pending = plans.get("subscriptions", **{"status[]": "pending"})["subscriptions"]
    assert [one["plan_code"] for one in pending] == ["trial"]


def test_b22_without_a_status_only_active_ones_are_found(plans):
    plans.subscribe("starter")
    plans.delete("subscriptions/sub_1")
    assert plans.refused("GET", "subscriptions/sub_1") == (404, "subscription_not_found")
    assert plans.refused("DELETE", "subscriptions/sub_1") == (404, "subscription_not_found")
    assert plans.get("subscriptions/sub_1", status="terminated")["subscription"]["status"] == "terminated"
    assert plans.get("subscriptions", external_customer_id="org_1")["subscriptions"] == []
    assert len(plans.get("customers/org_1/subscriptions", **{"status[]": "terminated"})["subscriptions"]) == 1


def test_b23_an_id_belongs_to_one_customer_while_it_is_active(plans):
    plans.subscribe("starter")
    body = {"external_customer_id": "org_2", "plan_code": "starter", "external_id": "sub_1"}
    answer = plans.refused("POST", "subscriptions", json={"subscription": body})
    assert answer == (422, {"external_id": ["value_already_exist"]})
    plans.delete("subscriptions/sub_1")
    assert plans.subscribe("starter", customer="org_2")["external_customer_id"] == "org_2"


def test_b24_put_does_not_change_the_plan(plans):
    plans.subscribe("starter")
    given = {"plan_code": "professional", "name": "Renamed"}
    found = plans.put("subscriptions/sub_1", subscription=given)["subscription"]
    assert (found["plan_code"], found["name"]) == ("starter", "Renamed")


def test_b25_a_planned_downgrade_is_canceled_and_told_as_terminated(plans, receiver):
    plans.endpoint(receiver.url, event_types=["subscription.terminated"])
    plans.subscribe("professional")
    plans.subscribe("starter")
    assert plans.delete("subscriptions/sub_1", status="pending")["subscription"]["status"] == "canceled"
    plans.lago.drain()
    [told] = [one.body["subscription"] for one in receiver.received]
    assert (told["status"], told["plan_code"]) == ("canceled", "starter")
    assert plans.get("subscriptions/sub_1")["subscription"]["next_plan_code"] is None
    plans.lago.set_clock("2027-12-02T00:00:00Z")
    assert plans.get("subscriptions/sub_1")["subscription"]["plan_code"] == "professional"


def test_an_end_at_once_credits_the_days_after_this_one(plans):
    plans.subscribe("starter")
    plans.lago.set_clock("2027-11-15T12:00:00Z")
    plans.lago.drain()
    plans.delete("subscriptions/sub_1")
    [note] = plans.get("credit_notes")["credit_notes"]
    assert (note["total_amount_cents"], note["credit_status"]) == (950, "available")
    plans.subscribe("starter")
    plans.lago.drain()
    newest = plans.invoices()[0]
    assert (newest["credit_notes_amount_cents"], newest["total_amount_cents"]) == (950, 950)


def test_a_planned_end_takes_effect_at_the_beginning_of_its_day_without_a_renewal(plans):
    plans.subscribe("starter")
    plans.put("subscriptions/sub_1", subscription={"ending_at": "2027-12-01T00:00:00Z"})
    plans.lago.set_clock("2027-12-01T01:00:00Z")
    plans.lago.drain()
    assert plans.refused("GET", "subscriptions/sub_1")[0] == 404
    assert sum(one["total_amount_cents"] for one in plans.invoices()) == 1900
    assert plans.get("credit_notes")["credit_notes"] == []


def test_a_planned_end_comes_before_the_biller_is_alerted_and_can_be_taken_back(plans, receiver):
    plans.plan("yearly", 19000, interval="yearly")
    plans.subscribe("yearly")
    wanted = ["subscription.termination_alert", "subscription.terminated"]
    plans.endpoint(receiver.url, event_types=wanted)
    plans.put("subscriptions/sub_1", subscription={"ending_at": "2028-11-01T00:00:00Z"})
    plans.lago.set_clock("2028-10-31T00:00:00Z")
    plans.lago.drain()
    assert receiver.kinds == ["subscription.termination_alert"] * 2  # 45 and 15 days before
    plans.put("subscriptions/sub_1", subscription={"ending_at": None})
    given = {"ending_at": "2028-11-01T00:00:00Z", "on_termination_credit_note": "skip"}
    found = plans.put("subscriptions/sub_1", subscription=given)["subscription"]
    assert (found["ending_at"], found["on_termination_credit_note"]) == ("2028-11-01T00:00:00Z", "skip")
    plans.put("subscriptions/sub_1", subscription={"ending_at": None})
    plans.lago.set_clock("2028-11-02T00:00:00Z")
    assert plans.get("subscriptions/sub_1")["subscription"]["status"] == "active"
    assert [one["total_amount_cents"] for one in plans.invoices()] == [19000, 19000]
    plans.put("subscriptions/sub_1", subscription={"ending_at": "2028-11-04T15:00:00Z"})
    plans.lago.set_clock("2028-11-04T00:04:00Z")
    assert plans.get("subscriptions/sub_1")["subscription"]["status"] == "active"
    plans.lago.set_clock("2028-11-04T00:06:00Z")  # five past, before the biller
    assert plans.refused("GET", "subscriptions/sub_1")[0] == 404


def test_b31_a_trial_costs_nothing_and_is_counted_from_the_first_start(plans, receiver):
    plans.plan("tried", 3000, trial_period=10)
    plans.plan("tried_too", 6000, trial_period=10)
    plans.endpoint(receiver.url, event_types=["subscription.trial_ended"])
    plans.subscribe("tried")
    plans.lago.set_clock("2027-11-05T12:00:00Z")
    plans.subscribe("tried_too")  # the trial goes on, it does not begin anew
    plans.lago.drain()
    assert [one["total_amount_cents"] for one in plans.invoices()] == [0]  # the old plan's usage
    plans.lago.set_clock("2027-11-11T09:09:00Z")
    assert plans.get("subscriptions/sub_1")["subscription"]["trial_ended_at"] is None
    plans.lago.set_clock("2027-11-11T09:11:00Z")
    plans.lago.drain()
    found = plans.get("subscriptions/sub_1")["subscription"]
    assert (found["trial_ended_at"], receiver.kinds) == ("2027-11-11T09:00:00Z", ["subscription.trial_ended"])
    assert plans.invoices()[0]["total_amount_cents"] == 4000  # 20 of 30 days
    plans.lago.set_clock("2027-12-02T00:00:00Z")
    assert plans.invoices()[0]["total_amount_cents"] == 6000
    plans.delete("subscriptions/sub_1", on_termination_credit_note="skip")
    plans.subscribe("tried")  # no second trial under this id
    plans.lago.drain()
    assert plans.invoices()[0]["total_amount_cents"] == 3000


@pytest.mark.parametrize(
    ("given", "status", "details"),
    [
        ({"external_id": " "}, 422, {"external_id": ["value_is_mandatory"]}),
        ({"external_customer_id": ""}, 422, {"external_customer_id": ["value_is_mandatory"]}),
        ({"plan_code": "gold"}, 404, "plan_not_found"),
        ({"billing_time": "lunar"}, 422, {"billing_time": ["value_is_invalid"]}),
        ({"ending_at": "2027-10-01T00:00:00Z"}, 422, {"ending_at": ["invalid_date"]}),
        ({"subscription_at": "soon"}, 422, {"subscription_at": ["invalid_date"]}),
    ],
)
def test_a_subscription_is_checked(plans, given, status, details):
    body = {"external_customer_id": "org_1", "plan_code": "starter", "external_id": "sub_1"} | given
    assert plans.refused("POST", "subscriptions", json={"subscription": body}) == (status, details)


def test_one_that_begins_later_waits_and_one_that_began_earlier_has_no_first_invoice(plans):
    later = plans.subscribe("starter", "sub_later", subscription_at="2027-11-05T08:00:00Z")
    assert (later["status"], later["started_at"]) == ("pending", None)
    earlier = plans.subscribe("starter", "sub_earlier", subscription_at="2027-10-20T08:00:00Z")
    assert (earlier["status"], earlier["started_at"]) == ("active", "2027-10-20T08:00:00.000Z")
    plans.lago.drain()
    assert plans.invoices() == []
    plans.lago.set_clock("2027-11-05T09:00:00Z")
    plans.lago.drain()
    assert plans.get("subscriptions/sub_later")["subscription"]["status"] == "active"
    assert [one["total_amount_cents"] for one in plans.invoices()] == [1900]

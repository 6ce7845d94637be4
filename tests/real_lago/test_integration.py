"""What the portal relies on at Lago, through the portal's own client: `make test-lago` asks a real one."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from lago_sync.client import (
    catalogue,
    credit_notes,
    customers,
    events,
    invoices,
    organization,
    subscriptions,
    wallets,
)
from lago_sync.errors import LagoRefused

pytestmark = pytest.mark.real_lago


def make_customer(run, of):
    customers.upsert({"external_id": run.customer(of), "name": f"Test {of}", "currency": "USD"})
    return run.name(of)


def make_plan(run, of, cents, charges=()):
    made = {"name": run.name(of), "code": run.plan(of), "interval": "monthly", "amount_cents": cents}
    return catalogue.make_plan(
        made | {"amount_currency": "USD", "pay_in_advance": True, "charges": list(charges)}
    )


def subscribe(run, customer, plan):
    return subscriptions.create(
        {
            "external_customer_id": run.name(customer),
            "external_id": run.name(f"sub-{customer}"),
            "plan_code": run.name(plan),
            "billing_time": "anniversary",
        }
    )


def test_the_key_is_known_and_lago_says_what_it_is(run):
    assert organization.health()["version"]
    assert organization.get()["lago_id"]
    assert organization.public_key().startswith("-----BEGIN PUBLIC KEY-----")


def test_a_customer_is_upserted_and_its_metadata_is_sent_once(run):
    fields = {"external_id": run.customer("upsert"), "name": "First", "currency": "USD"}
    metadata = [{"key": "billing_type", "value": "organization", "display_in_invoice": False}]
    made = customers.upsert(fields | {"metadata": metadata})
    again = customers.upsert(fields | {"name": "Second"})
    assert (again["lago_id"], again["name"]) == (made["lago_id"], "Second")
    assert [one["key"] for one in again["metadata"]] == ["billing_type"]
    with pytest.raises(LagoRefused) as refused:
        customers.upsert(fields | {"metadata": metadata})
    assert refused.value.http_status == 422
    assert customers.get(run.name("nobody")) is None


def test_a_top_up_counts_when_it_is_paid_and_is_voided_again(run, wait):
    name = make_customer(run, "buyer")
    given = {"external_customer_id": name, "rate_amount": "1", "currency": "USD", "code": "credits"}
    metric = catalogue.make_metric(
        {
            "name": run.name("m"),
            "code": run.metric("m"),
            "aggregation_type": "sum_agg",
            "field_name": "credits",
        }
    )
    given |= {"name": "Credits", "applies_to": {"billable_metric_codes": [metric["code"]]}}
    wallet = wallets.make(given)
    assert wallet["applies_to"]["billable_metric_codes"] == [metric["code"]]
    with pytest.raises(LagoRefused):
        wallets.make(given)  # a code once: what makes a wallet safe to ask for again
    with pytest.raises(LagoRefused):
        wallets.top_up({"wallet_id": wallet["lago_id"], "paid_credits": 10})
    metadata = [{"key": "purchase", "value": run.name("p1")}]
    [made] = wallets.top_up({"wallet_id": wallet["lago_id"], "paid_credits": "10", "metadata": metadata})
    assert (made["status"], made["transaction_status"]) == ("pending", "purchased")
    invoice_id = wait(lambda: wallets.transaction(made["lago_id"])["lago_invoice_id"])
    [found] = [one for one in wallets.transactions(wallet["lago_id"]) if metadata[0] in one["metadata"]]
    assert found["lago_id"] == made["lago_id"]
    assert wallets.get(wallet["lago_id"])["credits_balance"] == "0.0"
    invoice = invoices.update(invoice_id, {"payment_status": "succeeded"})
    assert (invoice["invoice_type"], invoice["total_amount_cents"]) == ("credit", 1000)
    wait(lambda: wallets.transaction(made["lago_id"])["status"] == "settled")
    assert wallets.get(wallet["lago_id"])["credits_balance"] == "10.0"
    [gone] = wallets.void(wallet["lago_id"], credits="4", metadata={"refund": run.name("r1")})
    assert (gone["transaction_status"], gone["status"]) == ("voided", "settled")
    assert wallets.get(wallet["lago_id"])["credits_balance"] == "6.0"
    with pytest.raises(LagoRefused) as refused:
        wallets.void(wallet["lago_id"], credits="6.01", metadata={"refund": run.name("r2")})
    assert refused.value.has("insufficient_credits")
    with pytest.raises(LagoRefused):
        invoices.void(invoice_id)  # a paid one is not voidable: what abandoning a purchase relies on
    wallets.terminate(wallet["lago_id"])


def test_a_subscription_is_changed_up_planned_down_ended_and_taken_back(run, wait):
    name = make_customer(run, "subscriber")
    make_plan(run, "small", 1900)
    make_plan(run, "large", 4900)
    first = subscribe(run, "subscriber", "small")
    assert subscribe(run, "subscriber", "small")["lago_id"] == first["lago_id"]
    bill = wait(lambda: [one for one in invoices.of_customer(name) if one["status"] == "finalized"])[0]
    assert (bill["invoice_type"], bill["total_amount_cents"]) == ("subscription", 1900)
    large = subscribe(run, "subscriber", "large")
    assert (large["status"], large["previous_plan_code"]) == ("active", run.name("small"))
    [note] = wait(lambda: list(credit_notes.of_customer(name)))
    assert (note["total_amount_cents"], note["reason"]) == (1900, "order_change")
    wait(lambda: len(list(invoices.of_customer(name))) == 2)
    assert sorted(one["total_amount_cents"] for one in invoices.of_customer(name)) == [1900, 3000]
    external_id = run.name("sub-subscriber")
    planned = subscribe(run, "subscriber", "small")
    assert (planned["plan_code"], planned["next_plan_code"]) == (run.name("large"), run.name("small"))
    assert subscriptions.cancel_pending(external_id)["status"] == "canceled"
    assert subscriptions.get(external_id)["next_plan_code"] is None
    ends = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%dT00:00:00Z")
    changed = subscriptions.update(external_id, {"ending_at": ends, "on_termination_credit_note": "skip"})
    assert changed["ending_at"] == ends
    assert subscriptions.update(external_id, {"ending_at": None})["ending_at"] is None
    ended = subscriptions.terminate(external_id, credit_note="skip", invoice="skip")
    assert ended["status"] == "terminated"
    assert subscriptions.terminate(external_id) is None
    assert [one["status"] for one in subscriptions.of_customer(name, statuses=["terminated"])] != []


def test_events_are_counted_once_and_cost_nothing(run, wait):
    make_customer(run, "user")
    metric = catalogue.make_metric(
        {
            "name": run.name("used"),
            "code": run.metric("used"),
            "aggregation_type": "sum_agg",
            "field_name": "credits",
        }
    )
    charge = {
        "billable_metric_id": metric["lago_id"],
        "charge_model": "standard",
        "properties": {"amount": "0"},
    }
    make_plan(run, "metered", 0, [charge])
    subscribe(run, "user", "metered")
    external_id, now = run.name("sub-user"), time.time()
    batch = [
        {
            "transaction_id": run.name(f"t{number}"),
            "code": metric["code"],
            "external_subscription_id": external_id,
            "timestamp": f"{now:.3f}",
            "properties": {"credits": "1.25"},
        }
        for number in range(3)
    ]
    assert len(events.send(batch[:2])) == 2
    with pytest.raises(LagoRefused) as refused:
        events.send(batch)
    assert refused.value.has("value_already_exist")
    assert set(refused.value.codes) == {"0", "1"}  # named by their places; the third was not stored either
    events.send(batch[2:])

    def counted():
        found = customers.current_usage(run.name("user"), external_subscription_id=external_id)
        [used] = found["charges_usage"]
        return used["units"] == "3.75" and found

    assert wait(counted)["amount_cents"] == 0
    instant = datetime.fromtimestamp(now, UTC)
    minute = timedelta(minutes=1)
    stored = events.of_subscription(external_id, since=instant - minute, until=instant + minute)
    assert {one["transaction_id"] for one in stored} == {one["transaction_id"] for one in batch}


def test_a_webhook_endpoint_is_made_changed_and_removed(run):
    url = f"https://portal.invalid/{run.prefix}"
    made = organization.make_webhook_endpoint({"webhook_url": url, "signature_algo": "hmac"})
    run.endpoint(made["lago_id"])
    changed = organization.change_webhook_endpoint(
        made["lago_id"], {"webhook_url": f"{url}/hook", "signature_algo": "jwt"}
    )
    assert (changed["lago_id"], changed["signature_algo"]) == (made["lago_id"], "jwt")
    assert organization.remove_webhook_endpoint(made["lago_id"])["lago_id"] == made["lago_id"]
    assert organization.remove_webhook_endpoint(made["lago_id"]) is None


def test_a_run_leaves_nothing_behind(run, wait):
    assert run.remove() == []
    wait(lambda: not [one for one in catalogue.plans() if one["code"].startswith(run.prefix)])
    assert not [one for one in catalogue.metrics() if one["code"].startswith(run.prefix)]
    assert not [one for one in customers.everyone() if one["external_id"].startswith(run.prefix)]

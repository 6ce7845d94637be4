"""What only a licensed Lago does, and what it refuses without: B16, B34, B42, B46, B49, B53, B54."""

import pytest

FREE = ("analytics/gross_revenue", "analytics/overdue_balance")
PREMIUM = (
    ("GET", "analytics/mrr"),
    ("GET", "analytics/invoice_collection"),
    ("GET", "analytics/invoiced_usage"),
    ("GET", "customers/org_1/projected_usage"),
    ("POST", "payment_requests"),
    ("POST", "credit_notes"),
    ("POST", "credit_notes/estimate"),
    ("POST", "invoices/preview"),
)


@pytest.fixture
def priced(shop):
    """Return a shop with a subscription whose usage costs 1 a credit."""
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("priced", 1900, price="1")
    shop.customer()
    shop.subscribe("priced")
    shop.lago.drain()
    return shop


def test_b54_some_figures_are_free_and_the_rest_is_403(priced):
    refused = [priced.refused(method, path, json={}) for method, path in PREMIUM]
    assert refused == [(403, "feature_unavailable")] * len(PREMIUM)
    given = {"plan_code": "priced", "external_id": "sub_2", "external_customer_id": "org_1"}
    body = {"subscription": given | {"plan_overrides": {"amount_cents": 1}}}
    assert priced.refused("POST", "subscriptions", json=body) == (403, "feature_unavailable")
    [revenue] = priced.get("analytics/gross_revenue", months=1, currency="USD")["gross_revenues"]
    assert (revenue["month"], revenue["amount_cents"], revenue["invoices_count"]) == (
        "2027-11-01T00:00:00.000Z",
        1900,
        1,
    )
    priced.lago.advance(2 * 86400)
    [*_, late] = priced.get("analytics/overdue_balance")["overdue_balances"]
    assert (late["amount_cents"], len(late["lago_invoice_ids"])) == (1900, 1)
    priced.lago.settings(licence=True)
    [month] = priced.get("analytics/mrr", months=1)["mrrs"]
    assert month["amount_cents"] == 1900
    by_status = {one["payment_status"]: one for one in priced.get("analytics/invoice_collection", months=1)["invoice_collections"]}  # fmt: skip
    assert by_status["pending"]["invoices_count"] == 1
    assert priced.get("analytics/invoiced_usage", months=1)["invoiced_usages"][0]["amount_cents"] == 0


def test_b34_and_b46_the_ongoing_balance_is_refreshed_by_usage_only_with_a_licence(priced, receiver):
    wallet = priced.wallet()
    priced.fill(wallet, "10")
    priced.endpoint(receiver.url, event_types=["wallet.depleted_ongoing_balance"])
    priced.event("t1", properties={"credits": "12"})
    priced.lago.advance(900)
    seen = lambda: priced.get(f"wallets/{wallet['lago_id']}")["wallet"]  # noqa: E731
    assert (seen()["credits_balance"], seen()["credits_ongoing_balance"]) == ("10.0", "10.0")
    priced.lago.settings(licence=True)
    priced.lago.advance(900)
    priced.lago.drain()
    assert (seen()["credits_balance"], seen()["credits_ongoing_balance"]) == ("10.0", "-2.0")
    priced.event("t2", properties={"credits": "1"})
    priced.lago.advance(900)
    priced.lago.drain()
    assert receiver.kinds == ["wallet.depleted_ongoing_balance"]  # once, when it crosses 0


def test_b42_rules_top_up_by_threshold_target_and_interval(priced):
    rule = {"trigger": "threshold", "threshold_credits": "5", "paid_credits": "20"}
    given = {"external_customer_id": "org_1", "rate_amount": "1", "currency": "USD"}
    assert priced.lago.api("POST", "wallets", json={"wallet": given | {"recurring_transaction_rules": [rule]}}).status_code == 500  # fmt: skip
    priced.lago.settings(licence=True)
    for wrong, code in (
        ([rule, rule], "invalid_number_of_recurring_rules"),
        ([rule | {"paid_credits": 20}], "invalid_recurring_rule"),
        ([{"trigger": "moon"}], "invalid_recurring_rule"),
        ([{"trigger": "interval", "interval": "hourly"}], "invalid_recurring_rule"),
    ):
        body = {"wallet": given | {"recurring_transaction_rules": wrong}}
        assert priced.refused("POST", "wallets", json=body) == (422, {"recurring_transaction_rules": [code]})
    wallet = priced.wallet(recurring_transaction_rules=[rule], granted_credits="6")
    priced.event("t1", properties={"credits": "2"})
    priced.lago.advance(600)
    priced.lago.drain()
    path = f"wallets/{wallet['lago_id']}/wallet_transactions"
    first = priced.get(path)["wallet_transactions"][0]
    assert (first["source"], first["credit_amount"], first["status"]) == ("threshold", "20.0", "pending")
    priced.lago.advance(900)  # what is on its way counts: no second one
    priced.lago.drain()
    assert len(priced.get(path)["wallet_transactions"]) == 2
    [kept] = priced.get(f"wallets/{wallet['lago_id']}")["wallet"]["recurring_transaction_rules"]
    target = {"lago_id": kept["lago_id"], "method": "target", "target_ongoing_balance": "100"}
    target |= {"trigger": "interval", "interval": "weekly", "grants_target_top_up": True}
    changed = priced.put(f"wallets/{wallet['lago_id']}", wallet={"recurring_transaction_rules": [target]})
    assert changed["wallet"]["recurring_transaction_rules"][0]["lago_id"] == kept["lago_id"]
    regular = priced.wallet(restricted=False, recurring_transaction_rules=[target])
    priced.lago.advance(8 * 86400)
    priced.lago.drain()
    [made] = priced.get(f"wallets/{regular['lago_id']}/wallet_transactions")["wallet_transactions"]
    assert (made["source"], made["transaction_status"]) == ("interval", "granted")
    assert priced.balance(regular) == made["credit_amount"]


def test_alerts_are_taken_without_a_licence_and_looked_at_with_one(priced, receiver):
    wallet = priced.wallet(code="credits")
    priced.fill(wallet, "10")
    usage, purse = "subscriptions/sub_1/alerts", "customers/org_1/wallets/credits/alerts"
    of_units = {"alert_type": "billable_metric_current_usage_units", "billable_metric_code": "credits_used"}
    of_units |= {
        "code": "units",
        "thresholds": [{"code": "some", "value": "5"}, {"value": "5", "recurring": True}],
    }
    priced.post(usage, alert=of_units)
    low = {"alert_type": "wallet_credits_ongoing_balance", "code": "low", "thresholds": [{"value": "4"}]}
    priced.post(purse, alerts=[low])
    assert priced.refused("POST", usage, json={"alert": of_units})[1] == {"code": ["value_already_exist"]}
    assert (
        priced.refused("POST", usage, json={"alert": of_units | {"alert_type": "x", "code": "y"}})[0] == 422
    )
    many = [{"value": str(number)} for number in range(21)]
    refused = priced.refused("POST", usage, json={"alert": of_units | {"code": "z", "thresholds": many}})
    assert refused[1] == {"thresholds": ["too_many_thresholds"]}
    priced.endpoint(receiver.url, event_types=["alert.triggered"])
    priced.event("t1", properties={"credits": "7"})
    priced.lago.advance(900)
    priced.lago.drain()
    assert receiver.kinds == []
    priced.lago.settings(licence=True)
    priced.lago.advance(900)
    priced.lago.drain()
    told = {
        one.body["triggered_alert"]["alert_code"]: one.body["triggered_alert"] for one in receiver.received
    }
    assert [one["value"] for one in told["units"]["crossed_thresholds"]] == ["5", "5"]
    assert (told["low"]["current_value"], told["low"]["external_customer_id"]) == (3.0, "org_1")
    priced.lago.advance(900)
    priced.lago.drain()
    assert len(receiver.received) == 2  # nothing was crossed again
    assert priced.put(f"{purse}/low", alert={"name": "Low"})["alert"]["name"] == "Low"
    assert priced.get(f"{purse}/low")["alert"]["direction"] == "decreasing"
    priced.delete(f"{usage}/units")
    assert priced.get(usage)["alerts"] == []
    assert priced.refused("GET", f"{usage}/units") == (404, "alert_not_found")


def test_b49_and_b53_a_grace_period_makes_drafts_that_late_usage_still_enters(shop, receiver):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("priced", 1900, price="1")
    billing = {"invoice_grace_period": 3}
    shop.customer("org_1", provider=None, billing_configuration=billing, timezone="Europe/Paris")
    found = shop.get("customers/org_1")["customer"]
    assert (found["billing_configuration"]["invoice_grace_period"], found["timezone"]) == (0, None)  # B16
    shop.lago.settings(licence=True)
    found = shop.get("customers/org_1")["customer"]
    assert (found["billing_configuration"]["invoice_grace_period"], found["timezone"]) == (3, "Europe/Paris")
    shop.subscribe("priced")
    shop.lago.drain()
    shop.lago.set_clock("2027-12-01T01:00:00Z")
    draft = shop.invoices()[0]
    assert (draft["status"], draft["number"][-5:], draft["total_amount_cents"]) == ("draft", "DRAFT", 1900)
    path = f"invoices/{draft['lago_id']}"
    late = {"invoice": {"payment_status": "succeeded"}}
    assert shop.refused("PUT", path, json=late) == (405, "payment_status_update_on_draft_invoice")
    assert shop.refused("POST", f"{path}/download") == (404, "invoice_not_found")
    shop.event("t1", timestamp=1827561600, properties={"credits": "2"})  # 30 November, told in December
    assert shop.put(f"{path}/refresh")["invoice"]["total_amount_cents"] == 2100
    assert shop.put(f"{path}/finalize")["invoice"]["status"] == "finalized"
    assert shop.refused("PUT", f"{path}/finalize") == (404, "invoice_not_found")
    assert shop.refused("POST", f"{path}/retry") == (405, "invalid_status")
    shop.event("t2", timestamp=1827561600, properties={"credits": "2"})  # B9: into a final one it never comes
    assert shop.put(f"{path}/refresh")["invoice"]["total_amount_cents"] == 2100
    shop.endpoint(receiver.url, event_types=["invoice.drafted", "invoice.created"])
    shop.lago.set_clock("2028-01-05T00:00:00Z")
    shop.lago.drain()
    assert receiver.kinds == ["invoice.drafted", "invoice.created"]
    assert [one["status"] for one in shop.invoices()] == ["finalized"] * 3


def test_b49_a_required_payment_hides_the_credit_invoice_until_it_came(shop):
    shop.lago.settings(licence=True)
    shop.customer()
    made = shop.top_up(shop.wallet(), invoice_requires_successful_payment=True)
    shop.lago.drain()
    invoice_id = shop.transaction(made)["lago_invoice_id"]
    path = f"invoices/{invoice_id}"
    assert shop.refused("GET", path) == (404, "invoice_not_found")
    assert shop.refused("PUT", path, json={"invoice": {"payment_status": "succeeded"}})[0] == 404
    shop.post("payments", payment={"invoice_id": invoice_id, "amount_cents": 4500, "reference": "wire"})
    shop.lago.drain()
    assert (shop.get(path)["invoice"]["status"], shop.transaction(made)["status"]) == ("finalized", "settled")

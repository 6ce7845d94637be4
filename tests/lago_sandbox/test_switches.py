"""What differs between Lagos, as switches: keys, rate limits, events store, currencies, limits, numbers."""

import pytest


@pytest.fixture
def sold(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("starter", 1900)
    shop.customer()
    return shop


def test_b57_each_class_has_its_limit_and_every_answer_its_headers(sold):
    assert not any(name.startswith("X-RateLimit") for name in sold.lago.api("GET", "plans").headers)
    sold.subscribe("starter")
    sold.lago.settings(
        rate_limits=True, rate_limit_window=30, rate_limit_events=3, rate_limit_usage=2, rate_limit_other=1
    )
    event = {"event": {"transaction_id": "t", "code": "credits_used"}}
    usage = {"external_subscription_id": "sub_1"}
    left = [sold.lago.api("POST", "events", json=event).headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = sold.lago.api("POST", "events", json=event)
    assert (refused.status_code, refused.headers["X-RateLimit-Limit"]) == (429, "3")
    assert 1 <= int(refused.headers["X-RateLimit-Reset"]) <= 30
    assert "Retry-After" not in refused.headers
    asked = [
        sold.lago.api("GET", "customers/org_1/current_usage", params=usage).status_code for _ in range(3)
    ]
    assert asked == [200, 200, 429]
    batch = {"events": [event["event"]]}  # the class that it belongs to is not told: the narrow one
    assert [sold.lago.api("POST", "events/batch", json=batch).status_code for _ in range(2)] == [200, 429]
    assert sold.lago.api("GET", "plans").status_code == 429


def test_b58_a_revoked_key_still_sends_events_for_a_while(sold):
    sold.lago.make_key("second-key")
    event = {"event": {"transaction_id": "t", "code": "credits_used"}}
    statuses = lambda key: (  # noqa: E731
        sold.lago.api("GET", "plans", key=key).status_code,
        sold.lago.api("POST", "events", json=event, key=key).status_code,
    )
    assert statuses("second-key") == (200, 200)  # two keys at once, as during a rotation
    sold.lago.revoke_key(sold.lago.api_key)
    assert statuses(sold.lago.api_key) == (401, 200)
    sold.lago.advance(3601)
    assert statuses(sold.lago.api_key) == (401, 401)
    assert statuses("second-key") == (200, 200)


def test_b11_clickhouse_refuses_no_duplicate_and_the_last_one_counts(sold):
    sold.lago.settings(events_store="clickhouse")
    assert sold.get("organizations")["organization"]["events_store"] == "clickhouse"
    sold.subscribe("starter")
    made = sold.event("t1", timestamp=1825059700, properties={"credits": "1"})
    assert (made["lago_id"], made["created_at"]) == (None, None)
    again = {"transaction_id": "t1", "code": "credits_used", "external_subscription_id": "sub_1"}
    again |= {"timestamp": 1825059700, "properties": {"credits": "5"}}
    assert len(sold.post("events/batch", events=[again, again])["events"]) == 2
    sold.event("t1", timestamp=1825059701, properties={"credits": "2"})  # another time is another event
    sold.lago.drain()
    [used, _] = sold.usage()["charges_usage"]
    assert (used["units"], used["events_count"]) == ("7.0", 2)


def test_a_second_currency_is_refused_unless_the_switch_allows_it(sold):
    sold.plan("euro", 1900, amount_currency="EUR")
    sold.subscribe("starter")
    wrong = (422, {"currency": ["currencies_does_not_match"]})
    euro = {"external_customer_id": "org_1", "plan_code": "euro", "external_id": "sub_2"}
    customer = {"external_id": "org_1", "currency": "EUR"}
    wallet = {"external_customer_id": "org_1", "rate_amount": "1", "currency": "EUR"}
    assert sold.refused("POST", "subscriptions", json={"subscription": euro}) == wrong
    assert sold.refused("POST", "customers", json={"customer": customer}) == wrong
    assert sold.refused("POST", "wallets", json={"wallet": wallet}) == wrong
    sold.lago.settings(multi_currency=True)
    sold.post("subscriptions", subscription=euro)
    sold.post("wallets", wallet=wallet)


def test_b40_older_lagos_allow_one_wallet(sold):
    sold.lago.settings(wallet_limit=1)
    sold.wallet()
    wallet = {"external_customer_id": "org_1", "rate_amount": "1", "currency": "USD"}
    assert sold.refused("POST", "wallets", json={"wallet": wallet}) == (
        422,
        {"customer": ["wallet_limit_reached"]},
    )


def test_b51_the_total_of_invoices_may_be_old_except_on_the_last_page(sold):
    wallet = sold.wallet()
    for _ in range(3):
        sold.top_up(wallet, "1")
    sold.lago.drain()
    path = "customers/org_1/invoices"
    assert sold.get(path, per_page=1)["meta"]["total_count"] == 3
    sold.top_up(wallet, "1")
    sold.lago.drain()
    assert sold.get(path, per_page=1)["meta"]["total_count"] == 3
    last = sold.get(path, per_page=1, page=3)["meta"]
    assert (last["total_count"], last["next_page"]) == (4, 4)
    sold.top_up(wallet, "1")
    sold.lago.drain()
    sold.lago.advance(1801)
    assert sold.get(path, per_page=1)["meta"]["total_count"] == 5


def test_b55_numbers_count_the_customers_invoices_or_the_organizations_in_a_month(sold):
    sold.customer("org_2", provider=None)
    first, second = sold.wallet(), sold.wallet("org_2")
    sold.top_up(first), sold.top_up(second)
    sold.lago.drain()
    [one], [two] = sold.invoices(), sold.invoices("org_2")
    slugs = [sold.get(f"customers/{name}")["customer"]["slug"] for name in ("org_1", "org_2")]
    assert [one["number"], two["number"]] == [f"{slug}-001" for slug in slugs]
    sold.lago.settings(numbering="per_organization")
    sold.top_up(first), sold.top_up(second)
    sold.lago.drain()
    numbers = [one["number"] for one in (*sold.invoices(), *sold.invoices("org_2"))]
    newest = sorted(one for one in numbers if one.startswith("SBX-2027"))
    assert newest == ["SBX-202711-001", "SBX-202711-002"]


def test_a_deleted_plan_is_pending_deletion_first_and_ends_its_subscriptions(sold):
    sold.subscribe("starter")
    assert sold.delete("plans/starter")["plan"]["pending_deletion"] is True
    assert [one["pending_deletion"] for one in sold.get("plans")["plans"]] == [True]
    sold.lago.drain()
    assert sold.get("plans")["plans"] == []
    assert sold.refused("GET", "subscriptions/sub_1") == (404, "subscription_not_found")

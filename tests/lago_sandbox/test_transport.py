"""Keys, errors, pages of lists: what is the same for every resource (B56)."""

import pytest
import requests


def test_health_answers_without_a_key_and_says_what_it_is(lago):
    answer = requests.get(f"{lago.url}/health", timeout=5)
    assert answer.json() == {"version": "1.51.0-sandbox", "github_url": "", "message": "Success"}


def test_b56_a_wrong_key_is_401_without_a_code(lago):
    answer = lago.api("GET", "organizations", key="wrong")
    assert (answer.status_code, answer.json()) == (401, {"status": 401, "error": "Unauthorized"})


def test_any_word_before_the_key_is_taken(lago):
    headers = {"Authorization": f"Token {lago.api_key}"}
    assert requests.get(f"{lago.url}/api/v1/organizations", headers=headers, timeout=5).status_code == 200


def test_b56_a_missing_root_object_is_400_without_a_code(lago):
    said = "BadRequest: param is missing or the value is empty or invalid: wallet"
    for body in ({}, {"wallet": {}}, {"purse": {"name": "x"}}):
        answer = lago.api("POST", "wallets", json=body)
        assert (answer.status_code, answer.json()) == (400, {"status": 400, "error": said})


def test_a_body_that_is_no_json_is_400(lago):
    headers = {"Authorization": f"Bearer {lago.api_key}", "Content-Type": "application/json"}
    answer = requests.post(f"{lago.url}/api/v1/customers", data="{", headers=headers, timeout=5)
    assert (answer.status_code, "code" in answer.json()) == (400, False)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("customers/nobody", "customer_not_found"),
        ("plans/none", "plan_not_found"),
        ("billable_metrics/none", "billable_metric_not_found"),
        ("subscriptions/none", "subscription_not_found"),
        ("events/none", "event_not_found"),
        ("wallets/00000000-0000-4000-8000-000000000000", "wallet_not_found"),
        ("invoices/00000000-0000-4000-8000-000000000000", "invoice_not_found"),
        ("credit_notes/00000000-0000-4000-8000-000000000000", "credit_note_not_found"),
        ("customers/nobody/invoices", "customer_not_found"),
        ("nowhere", "resource_not_found"),
        ("wallets/no-uuid", "resource_not_found"),
    ],
)
def test_b56_what_is_not_there_is_404_with_its_name(lago, path, code):
    answer = lago.api("GET", path)
    assert answer.json() == {"status": 404, "error": "Not Found", "code": code}


def test_b56_a_state_conflict_is_405_with_a_code(shop):
    shop.customer()
    status, code = shop.refused("GET", "customers/org_1/current_usage")
    assert (status, code) == (405, "no_active_subscription")


def test_a_slash_at_the_end_makes_no_difference(shop):
    assert shop.get("customers/") == shop.get("customers")


def test_pages_tell_where_they_are(shop):
    for number in range(5):
        shop.customer(f"org_{number}", provider=None)
    first = shop.get("customers", per_page=2)
    assert [one["external_id"] for one in first["customers"]] == ["org_4", "org_3"]
    assert first["meta"] == {
        "current_page": 1,
        "next_page": 2,
        "prev_page": None,
        "total_pages": 3,
        "total_count": 5,
    }
    last = shop.get("customers", per_page=2, page=3)
    assert (len(last["customers"]), last["meta"]["next_page"], last["meta"]["prev_page"]) == (1, None, 2)


def test_an_empty_list_says_page_0_of_0(shop):
    assert shop.get("customers")["meta"] == {
        "current_page": 0,
        "next_page": None,
        "prev_page": None,
        "total_pages": 0,
        "total_count": 0,
    }


def test_unknown_keys_are_ignored(shop):
    assert "colour" not in shop.customer(colour="red")


def test_a_list_filter_with_a_wrong_value_is_422_by_place(shop):
    status, details = shop.refused("GET", "invoices", params={"payment_status": "paid"})
    assert (status, list(details["payment_status"])) == (422, ["0"])


def test_a_misspelt_filter_returns_every_customers_invoices(shop):
    for name in ("org_1", "org_2"):
        shop.customer(name)
        shop.fill(shop.wallet(name))
    assert len(shop.get("invoices", external_customer="org_1")["invoices"]) == 2
    assert len(shop.get("invoices", external_customer_id="org_1")["invoices"]) == 1
    assert len(shop.get("customers/org_1/invoices")["invoices"]) == 1


def test_webhook_endpoints_are_unique_and_named_by_known_types(shop):
    made = shop.endpoint("http://portal.example/webhooks/lago", event_types=["wallet.updated"])
    assert made["event_types"] == ["wallet.updated"]
    again = {"webhook_endpoint": {"webhook_url": "http://portal.example/webhooks/lago"}}
    assert shop.refused("POST", "webhook_endpoints", json=again) == (
        422,
        {"webhook_url": ["value_already_exist"]},
    )
    wrong = {"webhook_endpoint": {"event_types": ["wallets.filled"]}}
    status, details = shop.refused("PUT", f"webhook_endpoints/{made['lago_id']}", json=wrong)
    assert (status, details) == (422, {"event_types": ["contains invalid types: wallets.filled"]})
    everything = {"event_types": ["*"]}
    changed = shop.put(f"webhook_endpoints/{made['lago_id']}", webhook_endpoint=everything)
    assert changed["webhook_endpoint"]["event_types"] is None
    shop.delete(f"webhook_endpoints/{made['lago_id']}")
    assert shop.get("webhook_endpoints")["webhook_endpoints"] == []

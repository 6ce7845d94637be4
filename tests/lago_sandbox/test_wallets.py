"""Wallets and top-ups: B32 to B38, B40 to B42, B45."""

import pytest


@pytest.fixture
def bought(shop):
    """Return a shop with a customer, its wallet and a top-up whose invoice is there."""
    shop.customer()
    shop.purse = shop.wallet(code="credits")
    shop.made = shop.top_up(shop.purse, "45", metadata=[{"key": "purchase", "value": "pur_1"}])
    return shop


def test_b32_a_new_wallet_shows_0_and_is_filled_a_moment_later(shop):
    shop.customer()
    wallet = shop.wallet(granted_credits="10", paid_credits="5")
    assert (wallet["credits_balance"], wallet["balance_cents"]) == ("0.0", 0)
    shop.lago.drain()
    assert shop.balance(wallet) == "10.0"
    statuses = shop.get(f"wallets/{wallet['lago_id']}/wallet_transactions")["wallet_transactions"]
    assert {one["transaction_status"]: one["status"] for one in statuses} == {
        "granted": "settled",
        "purchased": "pending",
    }


@pytest.mark.parametrize("given", [45, 45.0, "-1", "1e3", "", "forty"])
def test_b33_credits_are_decimal_strings(shop, given):
    shop.customer()
    body = {"wallet_id": shop.wallet()["lago_id"], "paid_credits": given}
    answer = shop.lago.api("POST", "wallet_transactions", json={"wallet_transaction": body})
    if given == "":
        assert answer.json() == {"wallet_transactions": []}
    else:
        details = {"paid_credits": ["invalid_paid_credits", "invalid_amount"]}
        assert (answer.status_code, answer.json()["error_details"]) == (422, details)


def test_b34_without_a_licence_usage_does_not_move_the_ongoing_balance(shop):
    shop.plan("priced", 0, price="1")
    shop.customer()
    shop.subscribe("priced")
    wallet = shop.wallet(granted_credits="10")
    shop.lago.drain()
    shop.event("t1", properties={"credits": "12"})
    shop.lago.advance(3600)
    found = shop.get(f"wallets/{wallet['lago_id']}")["wallet"]
    assert (found["credits_balance"], found["credits_ongoing_balance"]) == ("10.0", "10.0")


def test_b34_with_a_licence_a_tick_does_and_it_may_become_negative(shop):
    shop.plan("priced", 0, price="1")
    shop.customer()
    shop.subscribe("priced")
    wallet = shop.wallet(granted_credits="10")
    shop.lago.settings(licence=True)
    shop.lago.drain()
    shop.event("t1", properties={"credits": "12"})
    shop.lago.advance(301)
    found = shop.get(f"wallets/{wallet['lago_id']}")["wallet"]
    assert (found["credits_balance"], found["credits_ongoing_balance"]) == ("10.0", "-2.0")
    assert found["ongoing_usage_balance_cents"] == 1200


def test_b35_paid_credits_count_only_once_they_are_paid(bought, receiver):
    bought.endpoint(receiver.url)
    made = bought.made
    assert (made["status"], made["transaction_status"], made["lago_invoice_id"]) == (
        "pending",
        "purchased",
        None,
    )
    bought.lago.drain()
    assert "invoice.paid_credit_added" in receiver.kinds  # told before anybody paid
    [invoice] = bought.invoices()
    assert (invoice["status"], invoice["payment_status"], invoice["invoice_type"]) == (
        "finalized",
        "pending",
        "credit",
    )
    assert bought.transaction(made)["lago_invoice_id"] == invoice["lago_id"]
    assert bought.balance(bought.purse) == "0.0"
    bought.lago.pay(invoice["lago_id"])
    assert bought.transaction(made)["status"] == "pending"  # settled by a job, not by the payment itself
    bought.lago.drain()
    settled = bought.transaction(made)
    assert (settled["status"], settled["amount"], settled["credit_amount"]) == ("settled", "45.0", "45.0")
    assert bought.balance(bought.purse) == "45.0"
    [invoice] = bought.invoices()
    assert (invoice["payment_status"], invoice["total_due_amount_cents"]) == ("succeeded", 0)


def test_b35_marking_as_paid_settles_too_and_a_repeat_is_harmless(bought):
    bought.lago.drain()
    [invoice] = bought.invoices()
    for _ in range(2):
        found = bought.put(f"invoices/{invoice['lago_id']}", invoice={"payment_status": "succeeded"})
        bought.lago.drain()
    assert found["invoice"]["total_paid_amount_cents"] == 0  # only a payment counts as paid money
    assert bought.balance(bought.purse) == "45.0"


def test_b35_a_declined_payment_fails_the_transaction_and_a_later_success_still_settles_it(bought):
    bought.lago.drain()
    [invoice] = bought.invoices()
    bought.lago.decline(invoice["lago_id"])
    bought.lago.drain()
    failed = bought.transaction(bought.made)
    assert (failed["status"], failed["failed_at"] is not None) == ("failed", True)
    bought.lago.pay(invoice["lago_id"])
    bought.lago.drain()
    assert bought.transaction(bought.made)["status"] == "settled"
    assert bought.balance(bought.purse) == "45.0"


def test_b35_settled_is_final(bought):
    bought.lago.drain()
    [invoice] = bought.invoices()
    for status in ("succeeded", "failed", "succeeded"):
        bought.put(f"invoices/{invoice['lago_id']}", invoice={"payment_status": status})
        bought.lago.drain()
    assert bought.transaction(bought.made)["status"] == "settled"
    assert bought.balance(bought.purse) == "45.0"


def test_b36_a_credit_invoice_carries_no_tax(bought):
    bought.lago.drain()
    [invoice] = bought.invoices()
    [fee] = invoice["fees"]
    assert (invoice["taxes_amount_cents"], invoice["total_amount_cents"]) == (0, 4500)
    assert (fee["item"]["type"], fee["amount_cents"], fee["units"]) == ("credit", 4500, "45.0")


def test_b37_a_top_up_sent_twice_is_made_twice(bought):
    bought.top_up(bought.purse, "45", metadata=[{"key": "purchase", "value": "pur_1"}])
    bought.lago.drain()
    path = f"wallets/{bought.purse['lago_id']}/wallet_transactions"
    assert len(bought.get(path, **{"metadata[purchase]": "pur_1"})["wallet_transactions"]) == 2
    assert bought.get(path, **{"metadata[purchase]": "pur_2"})["wallet_transactions"] == []
    assert len(bought.get(path, status="nonsense")["wallet_transactions"]) == 2  # a wrong filter is none
    assert len(bought.invoices()) == 2


def test_b37_paid_and_granted_add_up(shop):
    shop.customer()
    wallet = shop.wallet()
    given = {"wallet_id": wallet["lago_id"], "paid_credits": "10", "granted_credits": "10"}
    made = shop.post("wallet_transactions", wallet_transaction=given)["wallet_transactions"]
    assert [one["transaction_status"] for one in made] == ["purchased", "granted"]
    assert shop.balance(wallet) == "10.0"  # granted counts in the same request


def test_b38_zero_makes_nothing_and_too_little_is_422(bought):
    nothing = {"wallet_id": bought.purse["lago_id"], "paid_credits": "0"}
    assert bought.post("wallet_transactions", wallet_transaction=nothing) == {"wallet_transactions": []}
    crumbs = {"wallet_transaction": nothing | {"paid_credits": "0.004"}}
    refused = bought.refused("POST", "wallet_transactions", json=crumbs)
    assert refused == (422, {"paid_credits": ["amount_rounds_to_zero"]})


def test_a_top_up_needs_a_living_wallet(bought):
    for wallet_id in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        body = {"wallet_transaction": {"wallet_id": wallet_id, "paid_credits": "1"}}
        assert bought.refused("POST", "wallet_transactions", json=body)[1] == {
            "wallet_id": ["wallet_not_found"]
        }
    bought.delete(f"wallets/{bought.purse['lago_id']}")
    body = {"wallet_transaction": {"wallet_id": bought.purse["lago_id"], "paid_credits": "1"}}
    assert bought.refused("POST", "wallet_transactions", json=body)[1] == {
        "wallet_id": ["wallet_is_terminated"]
    }


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"key": "value"}, "invalid_type"),
        ([{"key": "k"}], "invalid_key_value_pair"),
        ([{"key": "k" * 21, "value": "v"}], "key_too_long"),
        ([{"key": "k", "value": "v" * 101}], "value_too_long"),
        ([{"key": str(n), "value": "v"} for n in range(16)], "too_many_keys"),
    ],
)
def test_wrong_metadata_of_a_top_up_is_a_bare_code(bought, metadata, code):
    given = {"wallet_id": bought.purse["lago_id"], "paid_credits": "1", "metadata": metadata}
    answer = bought.refused("POST", "wallet_transactions", json={"wallet_transaction": given})
    assert answer == (422, {"metadata": code})


def test_b40_six_wallets_a_customer_and_a_code_once(bought):
    body = {
        "wallet": {"external_customer_id": "org_1", "rate_amount": "1", "currency": "USD", "code": "credits"}
    }
    assert bought.refused("POST", "wallets", json=body) == (422, {"code": ["value_already_exist"]})
    for _ in range(5):
        bought.wallet()
    body["wallet"]["code"] = "seventh"
    assert bought.refused("POST", "wallets", json=body) == (422, {"customer": ["wallet_limit_reached"]})
    nobody = {"wallet": body["wallet"] | {"external_customer_id": "nobody"}}
    assert bought.refused("POST", "wallets", json=nobody) == (422, {"customer": ["customer_not_found"]})


def test_b41_ending_a_wallet_forfeits_what_is_left(bought):
    bought.lago.drain()
    bought.lago.pay(bought.transaction(bought.made)["lago_invoice_id"])
    bought.lago.drain()
    for _ in range(2):  # a repeat is 200
        found = bought.delete(f"wallets/{bought.purse['lago_id']}")["wallet"]
    assert (found["status"], found["credits_balance"]) == ("terminated", "45.0")
    path = f"wallets/{bought.purse['lago_id']}/wallet_transactions"
    assert len(bought.get(path)["wallet_transactions"]) == 1


def test_b42_a_recurring_rule_without_a_licence_is_500_and_makes_nothing(shop):
    shop.customer()
    rule = {"trigger": "threshold", "threshold_credits": "10", "paid_credits": "50"}
    given = {"external_customer_id": "org_1", "rate_amount": "1", "recurring_transaction_rules": [rule]}
    assert shop.lago.api("POST", "wallets", json={"wallet": given}).status_code == 500
    assert shop.get("wallets", external_customer_id="org_1")["wallets"] == []


def test_b45_a_payment_url_asked_too_early_or_without_a_provider_is_422(bought):
    path = f"wallet_transactions/{bought.made['lago_id']}/payment_url"
    too_early = (422, {"base": ["wallet_transaction_has_no_attached_invoice"]})
    assert bought.refused("POST", path) == too_early
    bought.lago.drain()
    url = bought.post(path)["wallet_transaction_payment_details"]["payment_url"]
    assert url.startswith(f"{bought.lago.url}/pay/")
    bought.lago.settings(psp=False)
    assert bought.refused("POST", path) == (422, {"base": ["no_linked_payment_provider"]})
    bought.lago.settings(psp=True)
    bought.lago.pay(bought.transaction(bought.made)["lago_invoice_id"])
    bought.lago.drain()
    settled = (422, {"base": ["wallet_transaction_already_settled"]})
    assert bought.refused("POST", path) == settled


def test_a_wallet_is_changed_except_for_rate_and_currency(bought):
    given = {
        "name": "Renamed",
        "rate_amount": "2",
        "currency": "EUR",
        "applies_to": {"fee_types": ["charge"]},
    }
    found = bought.put(f"wallets/{bought.purse['lago_id']}", wallet=given)["wallet"]
    assert (found["name"], found["rate_amount"], found["currency"]) == ("Renamed", "1.0", "USD")
    assert found["applies_to"] == {"fee_types": ["charge"], "billable_metric_codes": []}


def test_a_wallet_expires(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.customer()
    wallet = shop.wallet(expiration_at="2027-11-05T00:00:00Z")
    shop.lago.set_clock("2027-11-05T00:00:01Z")
    assert shop.get(f"wallets/{wallet['lago_id']}")["wallet"]["status"] == "terminated"

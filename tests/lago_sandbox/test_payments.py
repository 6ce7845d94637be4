"""Payments: what the provider reports, money noted by hand, lost disputes."""

import pytest

from tests.lago_sandbox.test_invoices import _press as store_card


@pytest.fixture
def topped(shop):
    """Return a shop with an unpaid top-up of 45."""
    shop.customer()
    shop.purse = shop.wallet()
    shop.made = shop.top_up(shop.purse)
    shop.lago.drain()
    shop.path = f"invoices/{shop.transaction(shop.made)['lago_invoice_id']}"
    return shop


def test_every_attempt_of_the_provider_is_a_payment(topped):
    invoice_id = topped.path.partition("/")[2]
    topped.lago.decline(invoice_id)
    topped.lago.pay(invoice_id)
    listed = topped.get("customers/org_1/payments", invoice_id=invoice_id)["payments"]
    assert [(one["payment_status"], one["type"], one["amount_cents"]) for one in listed] == [
        ("succeeded", "provider", 4500),
        ("failed", "provider", 4500),
    ]
    assert topped.get(f"payments/{listed[0]['lago_id']}")["payment"] == listed[0]
    assert topped.refused("GET", "customers/none/payments") == (404, "customer_not_found")


def test_b54_a_payment_by_hand_needs_a_licence_and_parts_add_up(topped, receiver):
    given = {"invoice_id": topped.path.partition("/")[2], "amount_cents": 1500, "reference": "wire 7"}
    assert topped.refused("POST", "payments", json={"payment": given}) == (403, "feature_unavailable")
    topped.lago.settings(licence=True)
    for cents in ("1500", 0, 15.5, True):
        refused = topped.refused("POST", "payments", json={"payment": given | {"amount_cents": cents}})
        assert refused == (422, {"amount_cents": ["invalid_value"]})
    topped.endpoint(receiver.url, event_types=["payment.succeeded", "invoice.payment_status_updated"])
    made = topped.post("payments", payment=given)["payment"]
    assert (made["type"], made["reference"], made["payment_provider_type"]) == ("manual", "wire 7", None)
    part = topped.get(topped.path)["invoice"]
    assert (part["payment_status"], part["total_due_amount_cents"]) == ("pending", 3000)
    topped.post("payments", payment=given | {"amount_cents": 3000, "reference": "wire 8"})
    topped.lago.drain()
    assert topped.balance(topped.purse) == "45.0"
    assert receiver.kinds == ["payment.succeeded", "payment.succeeded", "invoice.payment_status_updated"]
    refused = topped.refused("POST", "payments", json={"payment": given})
    assert refused == (422, {"base": ["payment_already_succeeded"]})


def test_a_lost_dispute_is_told_and_settled_credits_stay(topped, receiver):
    topped.endpoint(receiver.url, event_types=["invoice.payment_dispute_lost"])
    topped.lago.pay(topped.path.partition("/")[2])
    topped.lago.drain()
    assert "payment_dispute_lost_at" not in topped.get(topped.path)["invoice"]
    lost = topped.post(f"{topped.path}/lose_dispute")["invoice"]["payment_dispute_lost_at"]
    topped.lago.lose_dispute(topped.path.partition("/")[2])  # said twice it is one
    topped.lago.drain()
    found = topped.get(topped.path)["invoice"]
    assert (found["payment_dispute_lost_at"], found["payment_status"]) == (lost, "succeeded")
    assert (topped.balance(topped.purse), topped.transaction(topped.made)["status"]) == ("45.0", "settled")
    [told] = receiver.received
    assert told.body["object_type"] == "payment_dispute_lost"
    assert told.body["payment_dispute_lost"]["lago_id"] == found["lago_id"]
    listed = topped.get("customers/org_1/invoices", payment_dispute_lost="true")["invoices"]
    assert [one["lago_id"] for one in listed] == [found["lago_id"]]


def test_a_customer_that_was_not_synchronized_with_the_provider_is_charged_by_nobody(shop):
    shop.customer("org_1", provider=None, billing_configuration={"payment_provider": "stripe"})
    store_card(shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"])
    assert shop.get("customers/org_1/payment_methods")["payment_methods"] == []
    configuration = {"payment_provider": "stripe", "sync_with_provider": True}
    shop.customer("org_1", provider=None, billing_configuration=configuration)
    store_card(shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"])
    made = shop.top_up(shop.wallet())
    shop.lago.drain()
    assert shop.transaction(made)["status"] == "settled"
    [payment] = shop.get("payments")["payments"]
    [card] = shop.get("customers/org_1/payment_methods")["payment_methods"]
    assert payment["payment_method_id"] == card["lago_id"]


def test_credits_are_voided_up_to_the_balance(shop):
    shop.customer()
    wallet = shop.wallet()
    shop.fill(wallet, "45")
    given = {
        "wallet_id": wallet["lago_id"],
        "voided_credits": "20.5",
        "metadata": [{"key": "refund", "value": "r1"}],
    }
    [row] = shop.post("wallet_transactions", wallet_transaction=given)["wallet_transactions"]
    assert (row["transaction_status"], row["transaction_type"], row["status"]) == (
        "voided",
        "outbound",
        "settled",
    )
    assert shop.balance(wallet) == "24.5"
    refused = shop.refused(
        "POST", "wallet_transactions", json={"wallet_transaction": given | {"voided_credits": "24.6"}}
    )
    assert refused == (422, {"voided_credits": ["insufficient_credits"]})
    path = f"wallets/{wallet['lago_id']}/wallet_transactions"
    [found] = shop.get(path, **{"metadata[refund]": "r1"})["wallet_transactions"]
    assert found["lago_id"] == row["lago_id"]

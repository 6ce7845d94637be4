"""Webhooks: signature, attempts, sequences, and what goes wrong on the way (B59, B60)."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from lago_sandbox.webhooks import signing

KEY = "11111111-2222-3333-4444-555555555555"


def test_the_signature_is_lagos():
    body = (
        b'{"webhook_type":"wallet.updated","object_type":"wallet","organization_id":'
        b'"1a901a90-1a90-1a90-1a90-1a901a901a90","wallet":{"name":"A \\u0026 B"}}'
    )
    assert signing.sign(body, KEY) == "Zcsx9chfmr4BKTyM2o0VqAuIJeg5BW5Et5XSLljBMwI="


def test_bodies_are_escaped_as_rails_does():
    assert signing.encode({"name": "A & B <Ü>\u2028"}) == '{"name":"A \\u0026 B \\u003cÜ\\u003e\\u2028"}'


def test_a_message_is_signed_over_the_bytes_it_consists_of(shop, receiver):
    shop.endpoint(receiver.url)
    shop.customer(name="Björk & Sons <Ltd>")
    shop.lago.drain()
    told = receiver.received[0]
    assert (told.kind, told.body["object_type"]) == ("customer.created", "customer")
    assert told.body["customer"]["name"] == "Björk & Sons <Ltd>"
    assert b"\\u0026 Sons \\u003cLtd\\u003e" in told.raw
    assert told.headers["X-Lago-Signature"] == signing.sign(told.raw, KEY)
    assert told.headers["X-Lago-Signature-Algorithm"] == "hmac"
    assert told.headers["Content-Type"] == "application/json"


def test_jwt_carries_the_body_and_is_checked_with_the_public_key(shop, receiver):
    shop.endpoint(receiver.url, signature_algo="jwt")
    shop.customer(provider=None)
    shop.lago.drain()
    [told] = receiver.received
    head, claims, signature = told.headers["X-Lago-Signature"].split(".")
    pem = base64.b64decode(shop.get("webhooks/json_public_key")["webhook"]["public_key"])
    key = serialization.load_pem_public_key(pem)
    key.verify(_decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(_decode(claims)) == {"data": told.raw.decode(), "iss": shop.lago.url}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_these_answers_are_success(shop, receiver, status):
    receiver.statuses = [status]
    assert _attempts(shop, receiver) == 1


@pytest.mark.parametrize("status", [206, 301, 400, 401, 404, 500])
def test_after_any_other_answer_it_is_sent_again_with_the_same_key_and_body(shop, receiver, status):
    receiver.statuses = [status]
    assert _attempts(shop, receiver) == 2
    first, second = receiver.received
    assert first.headers["X-Lago-Unique-Key"] == second.headers["X-Lago-Unique-Key"]
    assert first.raw == second.raw


def test_a_repeat_says_what_the_first_attempt_said(shop, receiver):
    receiver.statuses = [503]
    shop.endpoint(receiver.url, event_types=["customer.created"])
    shop.customer(provider=None)
    shop.lago.drain(horizon=0.2)
    shop.customer(provider=None, name="Renamed")
    shop.lago.flush()
    assert [one.body["customer"]["name"] for one in receiver.received] == ["Acme", "Acme"]


def test_after_three_attempts_a_message_is_lost(shop, receiver):
    receiver.statuses = [503] * 5
    assert _attempts(shop, receiver) == 3
    [row] = shop.lago.dump()["delivery"]
    assert (row["status"], row["attempts"]) == ("failed", 3)


def test_the_waits_between_attempts_are_lagos_3_and_18_seconds(shop, receiver):
    receiver.statuses = [503] * 3
    shop.endpoint(receiver.url)
    shop.customer(provider=None)
    seen = []
    for seconds in (0, 2.5, 1, 17, 5):
        shop.lago.advance(seconds)
        shop.lago.drain(horizon=0.2)
        seen.append(len(receiver.received))
    assert seen == [1, 1, 2, 2, 3]


def test_without_an_endpoint_a_message_is_dropped_for_good(shop, receiver):
    shop.customer(provider=None)
    shop.endpoint(receiver.url)
    shop.lago.drain()
    assert receiver.received == []


def test_only_the_types_an_endpoint_wants_are_sent(shop, receiver):
    shop.endpoint(receiver.url, event_types=["wallet.created"])
    shop.customer()
    shop.wallet()
    shop.lago.drain()
    assert receiver.kinds == ["wallet.created"]


def test_duplicates_bear_the_same_key(shop, receiver):
    shop.lago.settings(webhook_duplicate=True)
    assert _attempts(shop, receiver) == 2
    assert len({one.headers["X-Lago-Unique-Key"] for one in receiver.received}) == 1


def test_dropped_messages_never_come(shop, receiver):
    shop.lago.settings(webhook_drop=True)
    assert _attempts(shop, receiver) == 0
    assert [one["status"] for one in shop.lago.dump()["delivery"]] == ["dropped"]


def test_shuffled_messages_come_in_another_order(shop, receiver):
    shop.lago.settings(webhook_shuffle=True, webhook_delay=1.0)
    shop.endpoint(receiver.url)
    for number in range(12):
        shop.customer(f"org_{number:02d}", provider=None)
    shop.lago.drain()
    names = [one.body["customer"]["external_id"] for one in receiver.received]
    assert sorted(names) == [f"org_{number:02d}" for number in range(12)]
    assert names != sorted(names)


def test_b60_a_message_shows_the_state_when_it_is_sent(shop, receiver):
    shop.lago.settings(webhook_delay=60.0)
    shop.endpoint(receiver.url, event_types=["wallet_transaction.created"])
    shop.customer()
    shop.fill(shop.wallet())
    assert receiver.received == []
    shop.lago.flush()
    [told] = receiver.received
    assert told.body["wallet_transaction"]["status"] == "settled"
    assert told.body["wallet_transaction"]["wallet"]["credits_balance"] == "45.0"


def test_the_sequence_of_a_paid_top_up(shop, receiver):
    shop.customer()
    wallet = shop.wallet()
    shop.endpoint(receiver.url)
    made = shop.top_up(wallet)
    shop.lago.drain()
    assert receiver.kinds == ["wallet_transaction.created", "invoice.paid_credit_added", "invoice.generated"]
    receiver.received.clear()
    shop.lago.pay(shop.transaction(made)["lago_invoice_id"])
    shop.lago.drain()
    assert receiver.kinds == [
        "invoice.payment_status_updated",
        "wallet_transaction.updated",
        "wallet.updated",
    ]
    invoice = receiver.received[0].body["invoice"]
    assert invoice["payment_status"] == "succeeded"
    assert not {"credits", "subscriptions"} & set(invoice)


def test_the_sequence_of_granted_credits(shop, receiver):
    shop.customer()
    wallet = shop.wallet()
    shop.endpoint(receiver.url)
    given = {"wallet_id": wallet["lago_id"], "granted_credits": "5"}
    shop.post("wallet_transactions", wallet_transaction=given)
    shop.lago.drain()
    assert receiver.kinds == ["wallet.updated", "wallet_transaction.created"]


def test_the_sequence_of_a_subscription_and_of_its_upgrade(shop, receiver):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("starter", 1900)
    shop.plan("professional", 4900)
    shop.endpoint(receiver.url)
    shop.customer(provider=None)
    shop.subscribe("starter")
    shop.lago.drain()
    assert receiver.kinds == [
        "customer.created",
        "subscription.started",
        "invoice.created",
        "invoice.generated",
    ]
    assert receiver.received[1].body["subscription"]["customer"]["external_id"] == "org_1"
    receiver.received.clear()
    shop.subscribe("professional")
    shop.lago.drain()
    assert receiver.kinds == [
        "subscription.terminated",
        "credit_note.created",
        "subscription.started",
        "invoice.created",
        "invoice.generated",
    ]


def test_the_sequence_of_an_invoice_that_eats_a_wallet(shop, receiver):
    shop.plan("starter", 1900)
    shop.customer()
    shop.fill(shop.wallet(restricted=False))
    wanted = ["wallet.updated", "wallet_transaction.created", "invoice.created"]
    shop.endpoint(receiver.url, event_types=wanted)
    shop.subscribe("starter")
    shop.lago.drain()
    assert receiver.kinds == wanted
    assert receiver.received[1].body["wallet_transaction"]["transaction_status"] == "invoiced"


def test_a_declined_payment_is_told_with_the_providers_error(shop, receiver):
    shop.customer()
    shop.top_up(shop.wallet())
    shop.lago.drain()
    shop.endpoint(receiver.url)
    shop.lago.decline(shop.invoices()[0]["lago_id"])
    shop.lago.drain()
    assert receiver.kinds == [
        "invoice.payment_status_updated",
        "wallet_transaction.payment_failure",
        "invoice.payment_failure",
        "wallet_transaction.updated",
    ]
    assert [one.body["object_type"] for one in receiver.received[1:3]] == [
        "payment_provider_wallet_transaction_payment_error",
        "payment_provider_invoice_payment_error",
    ]


def _attempts(shop, receiver):
    """Return how often one message arrived when every attempt was made."""
    shop.endpoint(receiver.url)
    shop.customer(provider=None)
    shop.lago.flush()
    return len(receiver.received)


def _decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

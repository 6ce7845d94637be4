"""Lago's official Python client reads and writes the sandbox as it does a real Lago."""

import json

import pytest

pytest.importorskip("lago_python_client", reason="lago-python-client is a development dependency")

import jwt
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    BatchEvent,
    Customer,
    CustomerBillingConfiguration,
    Event,
    Subscription,
    Wallet,
    WalletTransaction,
    WebhookEndpoint,
)


@pytest.fixture
def client(lago, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Client(api_key=lago.api_key, api_url=f"{lago.url}/")


@pytest.fixture
def bought(shop, client):
    """Return a shop with a customer, a subscription, a wallet and a paid top-up, made by the official client."""
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("starter", 1900)
    client.customers.create(
        Customer(
            external_id="org_1",
            name="Acme",
            currency="USD",
            billing_configuration=CustomerBillingConfiguration(payment_provider="stripe"),
        )
    )
    client.subscriptions.create(
        Subscription(
            external_customer_id="org_1", plan_code="starter", external_id="sub_1", billing_time="anniversary"
        )
    )
    shop.purse = client.wallets.create(
        Wallet(external_customer_id="org_1", rate_amount="1", currency="USD", name="Credits")
    )
    client.wallet_transactions.create(
        WalletTransaction(wallet_id=shop.purse.lago_id, paid_credits="45.5", granted_credits="0.0")
    )
    shop.lago.drain()
    return shop


def test_it_reads_customers(client, bought):
    found = client.customers.find("org_1")
    assert (found.external_id, found.currency, found.applicable_timezone) == ("org_1", "USD", "UTC")
    assert found.billing_configuration.payment_provider == "stripe"
    listed = client.customers.find_all({"per_page": 10})
    assert ([one.external_id for one in listed["customers"]], listed["meta"]["total_count"]) == (["org_1"], 1)


def test_it_reads_subscriptions(client, bought):
    found = client.subscriptions.find("sub_1")
    assert (found.plan_code, found.status, found.billing_time) == ("starter", "active", "anniversary")
    listed = client.subscriptions.find_all({"external_customer_id": "org_1"})
    assert [one.external_id for one in listed["subscriptions"]] == ["sub_1"]


def test_it_reads_wallets_and_their_transactions(client, bought):
    [wallet] = client.wallets.find_all({"external_customer_id": "org_1"})["wallets"]
    assert (wallet.lago_id, wallet.credits_balance) == (bought.purse.lago_id, "0.0")
    [transaction] = client.wallet_transactions.find_all(wallet.lago_id)["wallet_transactions"]
    assert (transaction.status, transaction.transaction_status, transaction.amount) == (
        "pending",
        "purchased",
        "45.5",
    )


def test_it_reads_invoices_and_marks_one_as_paid(client, bought):
    listed = client.invoices.find_all({"external_customer_id": "org_1"})["invoices"]
    assert sorted(one.invoice_type for one in listed) == ["credit", "subscription"]
    [credit] = [one for one in listed if one.invoice_type == "credit"]
    found = client.invoices.find(credit.lago_id)
    assert (found.total_amount_cents, found.payment_status) == (4550, "pending")
    url = client.invoices.payment_url(credit.lago_id)
    assert bought.lago.url in str(url)
    bought.lago.pay(credit.lago_id)
    bought.lago.drain()
    assert client.wallets.find(bought.purse.lago_id).credits_balance == "45.5"


def test_it_sends_events_one_by_one_and_in_a_batch(client, bought):
    given = {"code": "credits_used", "external_subscription_id": "sub_1", "properties": {"credits": "1.5"}}
    made = client.events.create(Event(transaction_id="t0", **given))
    assert (made.transaction_id, made.external_subscription_id) == ("t0", "sub_1")
    client.events.batch_create(
        BatchEvent(events=[Event(transaction_id=f"t{n}", **given) for n in range(1, 100)])
    )
    bought.lago.drain()
    assert client.events.find("t99").code == "credits_used"
    usage = client.customers.current_usage("org_1", "sub_1")
    assert [one.units for one in usage.charges_usage] == ["150.0", "0.0"]


def test_it_learns_of_a_duplicate_as_from_lago(client, bought):
    event = Event(transaction_id="t1", code="credits_used", external_subscription_id="sub_1")
    client.events.create(event)
    with pytest.raises(LagoApiError) as refused:
        client.events.create(event)
    assert refused.value.status_code == 422
    assert refused.value.response["error_details"] == {"transaction_id": ["value_already_exist"]}


def test_it_changes_and_ends_a_subscription(client, bought):
    bought.plan("professional", 4900)
    up = {"external_customer_id": "org_1", "external_id": "sub_1"}
    assert client.subscriptions.create(Subscription(**up, plan_code="professional")).status == "active"
    down = client.subscriptions.create(Subscription(**up, plan_code="starter"))
    assert (down.plan_code, down.next_plan_code) == ("professional", "starter")
    bought.lago.drain()
    [note] = client.credit_notes.find_all({"external_customer_id": "org_1"})["credit_notes"]
    assert note.total_amount_cents == 1900
    assert client.subscriptions.destroy("sub_1", {"status": "pending"}).status == "canceled"
    assert client.subscriptions.destroy("sub_1").status == "terminated"
    with pytest.raises(LagoApiError) as gone:
        client.subscriptions.find("sub_1")
    assert gone.value.status_code == 404


def test_it_ends_a_wallet_and_voids_an_invoice(client, bought):
    [credit] = client.invoices.find_all({"invoice_type": "credit"})["invoices"]
    assert client.invoices.void(credit.lago_id).status == "voided"
    assert client.wallets.destroy(bought.purse.lago_id).status == "terminated"


def test_a_message_is_verified_with_the_key_that_it_fetches(client, bought, receiver):
    endpoint = WebhookEndpoint(webhook_url=receiver.url, signature_algo="jwt")
    made = client.webhook_endpoints.create(endpoint)
    client.customers.create(Customer(external_id="org_1", name="Renamed"))
    bought.lago.drain()
    [message] = receiver.received
    claims = jwt.decode(
        message.headers["X-Lago-Signature"], client.webhooks.public_key(), algorithms=["RS256"]
    )
    assert json.loads(claims["data"])["customer"]["name"] == "Renamed"
    assert (claims["data"].encode(), claims["iss"]) == (message.raw, bought.lago.url)
    assert client.webhook_endpoints.destroy(made.lago_id).webhook_url == receiver.url

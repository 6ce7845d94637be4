"""Every function of the client: what it asks, and whether it is sent again (reference/lago.md §4)."""

import importlib
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import getmembers, isfunction
from typing import Any

import pytest

from lago_sync import client
from lago_sync.client import (
    catalogue,
    credit_notes,
    customers,
    events,
    invoices,
    organization,
    payment_methods,
    payments,
    subscriptions,
    wallets,
)
from lago_sync.errors import LagoUnavailable
from tests.lago_sync.client.scripted import drop, say

AWAY = say(502, b"<html>Bad Gateway</html>")
ROOTS = [
    "billable_metric",
    "credit_note",
    "customer",
    "customer_usage",
    "event",
    "invoice",
    "organization",
    "payment",
    "payment_method",
    "plan",
    "subscription",
    "wallet",
    "wallet_transaction",
    "webhook_endpoint",
]
LISTS = [
    "billable_metrics",
    "credit_notes",
    "customers",
    "events",
    "invoices",
    "payment_methods",
    "payments",
    "plans",
    "subscriptions",
    "wallets",
    "wallet_transactions",
    "webhook_endpoints",
]
URL = {
    "payment_url": "https://pay.example",
    "checkout_url": "https://pay.example",
    "portal_url": "https://l.example",
}
ANY = say(
    200,
    {name: {"lago_id": "1", **URL} for name in ROOTS}
    | {name: [] for name in LISTS}
    | {"meta": {"next_page": None}}
    | {
        "wallet_transaction_payment_details": URL,
        "invoice_payment_details": URL,
        "webhook": {"public_key": "UEVN"},
    },
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAGE = "?page=1&per_page=100"

AGAIN, ONCE = True, False
MATRIX: dict[Callable[..., Any], tuple[Callable[[], Any], str, bool]] = {
    catalogue.metric: (lambda: catalogue.metric("m"), "GET billable_metrics/m", AGAIN),
    catalogue.metrics: (lambda: list(catalogue.metrics()), f"GET billable_metrics{PAGE}", AGAIN),
    catalogue.make_metric: (lambda: catalogue.make_metric({}), "POST billable_metrics", ONCE),
    catalogue.plan: (lambda: catalogue.plan("p"), "GET plans/p", AGAIN),
    catalogue.plans: (lambda: list(catalogue.plans()), f"GET plans{PAGE}", AGAIN),
    catalogue.make_plan: (lambda: catalogue.make_plan({}), "POST plans", ONCE),
    catalogue.change_plan: (lambda: catalogue.change_plan("p", {}), "PUT plans/p", AGAIN),
    credit_notes.of_customer: (lambda: list(credit_notes.of_customer("o")), f"GET customers/o/credit_notes{PAGE}", AGAIN),
    credit_notes.get: (lambda: credit_notes.get("1"), "GET credit_notes/1", AGAIN),
    customers.upsert: (lambda: customers.upsert({"external_id": "o"}), "POST customers", AGAIN),
    customers.get: (lambda: customers.get("o"), "GET customers/o", AGAIN),
    customers.everyone: (lambda: list(customers.everyone()), f"GET customers{PAGE}", AGAIN),
    customers.delete: (lambda: customers.delete("o"), "DELETE customers/o", AGAIN),
    customers.checkout_url: (lambda: customers.checkout_url("o"), "POST customers/o/checkout_url", AGAIN),
    customers.portal_url: (lambda: customers.portal_url("o"), "GET customers/o/portal_url", AGAIN),
    customers.current_usage: (
        lambda: customers.current_usage("o", external_subscription_id="s"),
        "GET customers/o/current_usage?external_subscription_id=s", AGAIN,
    ),
    events.send: (lambda: events.send([]), "POST events/batch", AGAIN),
    events.of_subscription: (
        lambda: list(events.of_subscription("s", since=NOW, until=NOW)),
        ("GET events?external_subscription_id=s&timestamp_from=2026-11-01T00%3A00%3A00Z"
        "&timestamp_to=2026-11-01T00%3A00%3A00Z&page=1&per_page=100"),
        AGAIN,
    ),
    events.get: (lambda: events.get("t"), "GET events/t", AGAIN),
    invoices.get: (lambda: invoices.get("1"), "GET invoices/1", AGAIN),
    invoices.of_customer: (lambda: list(invoices.of_customer("o")), f"GET customers/o/invoices{PAGE}", AGAIN),
    invoices.everyone: (lambda: list(invoices.everyone()), f"GET invoices{PAGE}", AGAIN),
    invoices.update: (lambda: invoices.update("1", {}), "PUT invoices/1", AGAIN),
    invoices.void: (lambda: invoices.void("1"), "POST invoices/1/void", ONCE),
    invoices.download: (lambda: invoices.download("1"), "POST invoices/1/download", AGAIN),
    invoices.payment_url: (lambda: invoices.payment_url("1"), "POST invoices/1/payment_url", AGAIN),
    invoices.retry_payment: (lambda: invoices.retry_payment("1"), "POST invoices/1/retry_payment", ONCE),
    organization.health: (organization.health, "GET /health", AGAIN),
    organization.get: (organization.get, "GET organizations", AGAIN),
    organization.is_licensed: (organization.is_licensed, "GET analytics/mrr", AGAIN),
    organization.webhook_endpoints: (lambda: list(organization.webhook_endpoints()), f"GET webhook_endpoints{PAGE}", AGAIN),
    organization.make_webhook_endpoint: (lambda: organization.make_webhook_endpoint({}), "POST webhook_endpoints", ONCE),
    organization.change_webhook_endpoint: (lambda: organization.change_webhook_endpoint("1", {}), "PUT webhook_endpoints/1", AGAIN),
    organization.remove_webhook_endpoint: (lambda: organization.remove_webhook_endpoint("1"), "DELETE webhook_endpoints/1", AGAIN),
    organization.public_key: (organization.public_key, "GET webhooks/json_public_key", AGAIN),
    payment_methods.of_customer: (lambda: list(payment_methods.of_customer("o")), f"GET customers/o/payment_methods{PAGE}", AGAIN),
    payment_methods.make_default: (
        lambda: payment_methods.make_default("o", "1"), "PUT customers/o/payment_methods/1/set_as_default", AGAIN,
    ),
    payment_methods.remove: (lambda: payment_methods.remove("o", "1"), "DELETE customers/o/payment_methods/1", AGAIN),
    payments.of_customer: (lambda: list(payments.of_customer("o")), f"GET customers/o/payments{PAGE}", AGAIN),
    payments.everyone: (lambda: list(payments.everyone()), f"GET payments{PAGE}", AGAIN),
    payments.get: (lambda: payments.get("1"), "GET payments/1", AGAIN),
    payments.make: (lambda: payments.make(invoice_id="1", amount_cents=1, reference="r"), "POST payments", ONCE),
    subscriptions.create: (lambda: subscriptions.create({"external_id": "s"}), "POST subscriptions", AGAIN),
    subscriptions.of_customer: (
        lambda: list(subscriptions.of_customer("o")),
        "GET customers/o/subscriptions?status%5B%5D=active&page=1&per_page=100", AGAIN,
    ),
    subscriptions.everyone: (
        lambda: list(subscriptions.everyone()), "GET subscriptions?status%5B%5D=active&page=1&per_page=100", AGAIN,
    ),
    subscriptions.get: (lambda: subscriptions.get("s"), "GET subscriptions/s?status=active", AGAIN),
    subscriptions.update: (lambda: subscriptions.update("s", {"ending_at": None}), "PUT subscriptions/s?status=active", AGAIN),
    subscriptions.terminate: (
        lambda: subscriptions.terminate("s", credit_note="skip"),
        "DELETE subscriptions/s?on_termination_credit_note=skip", AGAIN,
    ),
    subscriptions.cancel_pending: (lambda: subscriptions.cancel_pending("s"), "DELETE subscriptions/s?status=pending", AGAIN),
    wallets.of_customer: (lambda: list(wallets.of_customer("o")), f"GET customers/o/wallets{PAGE}", AGAIN),
    wallets.everyone: (lambda: list(wallets.everyone()), f"GET wallets{PAGE}", AGAIN),
    wallets.make: (lambda: wallets.make({"code": "credits"}), "POST wallets", ONCE),
    wallets.get: (lambda: wallets.get("1"), "GET wallets/1", AGAIN),
    wallets.update: (lambda: wallets.update("1", {}), "PUT wallets/1", AGAIN),
    wallets.terminate: (lambda: wallets.terminate("1"), "DELETE wallets/1", AGAIN),
    wallets.top_up: (lambda: wallets.top_up({}), "POST wallet_transactions", ONCE),
    wallets.void: (lambda: wallets.void("1", credits="1.0", metadata={"k": "v"}), "POST wallet_transactions", ONCE),
    wallets.transaction: (lambda: wallets.transaction("1"), "GET wallet_transactions/1", AGAIN),
    wallets.transactions: (lambda: list(wallets.transactions("1")), f"GET wallets/1/wallet_transactions{PAGE}", AGAIN),
    wallets.payment_url: (lambda: wallets.payment_url("1"), "POST wallet_transactions/1/payment_url", AGAIN),
}  # fmt: skip
MACHINERY = {"circuit", "files", "keys", "limits", "sending", "shared", "transport"}


def test_has_every_function_of_the_client():
    modules = {one.name for one in pkgutil.iter_modules(client.__path__)} - MACHINERY
    found = {
        function
        for name in modules
        for function_name, function in getmembers(
            importlib.import_module(f"lago_sync.client.{name}"), isfunction
        )
        if not function_name.startswith("_") and function.__module__ == f"lago_sync.client.{name}"
    }
    assert found == set(MATRIX)


@pytest.mark.parametrize("fault", [AWAY, drop, say(503, b"", Retry_After="0")])
def test_is_sent_again_where_lago_takes_it_twice_for_one_and_never_elsewhere(server, fault):
    for function, (ask, asked, again) in MATRIX.items():
        name = f"{function.__module__}.{function.__name__}"
        server.answer(fault, ANY)
        if again:
            ask()
        else:
            with pytest.raises(LagoUnavailable):
                ask()
        told = [f"{one.method} {one.path.removeprefix('/api/v1/')}" for one in server.asked]
        assert told == [asked] * (2 if again else 1), name
        connections = {one.headers.get("Connection") for one in server.asked}
        assert again or connections == {"close"}, name


def test_a_customer_with_metadata_is_sent_once_since_lago_takes_no_key_of_it_twice(server):
    server.answer(AWAY, ANY)
    with pytest.raises(LagoUnavailable):
        customers.upsert({"external_id": "o", "metadata": []})
    assert len(server.asked) == 1

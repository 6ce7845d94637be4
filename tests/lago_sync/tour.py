"""Every function of Lago's client, asked once for what Lago grants."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import isfunction
from types import ModuleType
from typing import Any

import pytest
import requests

from lago_sync.client import (
    catalogue,
    credit_notes,
    customers,
    events,
    files,
    invoices,
    organization,
    payment_methods,
    payments,
    subscriptions,
    wallets,
)

MODULES = (
    catalogue, credit_notes, customers, events, files, invoices, organization, payment_methods, payments,
    subscriptions, wallets,
)  # fmt: skip
CUSTOMER, SUBSCRIPTION = "org_tour", "sub_tour"


def functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return what a module of the client offers."""
    own = {name: one for name, one in vars(module).items() if isfunction(one)}
    return {
        name: one
        for name, one in own.items()
        if one.__module__ == module.__name__ and not name.startswith("_")
    }


def everything() -> set[str]:
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}" for module in MODULES for name in functions(module)
    }


def remember(called: set[str], patch: pytest.MonkeyPatch) -> None:
    """Note in `called` which functions are asked from now on."""
    for module in MODULES:
        for name, function in functions(module).items():
            patch.setattr(
                module, name, _noting(called, f"{module.__name__.rpartition('.')[2]}.{name}", function)
            )


def take(lago: Any) -> None:
    """Go once around; the sandbox is set up and has a licence for what needs one."""
    _organization()
    _customers(lago)
    wallet = _wallets(lago)
    _subscriptions(lago)
    _invoices(lago)
    wallets.terminate(wallet)
    customers.delete(CUSTOMER)


def _noting(called: set[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noting(*args: Any, **kwargs: Any) -> Any:
        called.add(name)
        return function(*args, **kwargs)

    return noting


def _organization() -> None:
    organization.health()
    organization.get()
    organization.is_licensed()
    organization.public_key()
    made = organization.make_webhook_endpoint(
        {"webhook_url": "http://127.0.0.1:9/tour", "signature_algo": "hmac"}
    )
    list(organization.webhook_endpoints())
    organization.change_webhook_endpoint(
        made["lago_id"], {"webhook_url": made["webhook_url"], "name": "Tour"}
    )
    organization.remove_webhook_endpoint(made["lago_id"])
    metric = catalogue.make_metric(
        {"name": "T", "code": "tour", "aggregation_type": "sum_agg", "field_name": "credits"}
    )
    assert catalogue.metric("tour") == metric
    list(catalogue.metrics())
    charge = {
        "billable_metric_id": metric["lago_id"],
        "charge_model": "standard",
        "properties": {"amount": "0"},
    }
    plan = {"interval": "monthly", "amount_currency": "USD", "pay_in_advance": True, "charges": [charge]}
    catalogue.make_plan(plan | {"name": "Small", "code": "tour_small", "amount_cents": 1000})
    catalogue.make_plan(plan | {"name": "Large", "code": "tour_large", "amount_cents": 2000})
    catalogue.change_plan("tour_small", {"name": "Smaller"})
    list(catalogue.plans())
    catalogue.plan("tour_small")


def _customers(lago: Any) -> None:
    billing = {"payment_provider": "stripe", "payment_provider_code": "stripe", "sync_with_provider": True}
    customers.upsert(
        {"external_id": CUSTOMER, "name": "Tour", "currency": "USD", "billing_configuration": billing}
    )
    customers.get(CUSTOMER)
    list(customers.everyone())
    customers.portal_url(CUSTOMER)
    page = customers.checkout_url(CUSTOMER)
    with requests.Session() as browser:
        token = browser.get(page, timeout=5).text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        for _ in range(2):
            browser.post(page, data={"csrfmiddlewaretoken": token}, headers={"Referer": page}, timeout=5)
    newest, oldest = payment_methods.of_customer(CUSTOMER)
    payment_methods.make_default(CUSTOMER, oldest["lago_id"])
    payment_methods.remove(CUSTOMER, oldest["lago_id"])
    payment_methods.remove(CUSTOMER, newest["lago_id"])


def _wallets(lago: Any) -> str:
    restricted = {"billable_metric_codes": ["tour"]}
    given = {
        "external_customer_id": CUSTOMER,
        "rate_amount": "1",
        "currency": "USD",
        "code": "credits",
        "name": "T",
    }
    wallet = str(wallets.make(given | {"applies_to": restricted})["lago_id"])
    wallets.update(wallet, {"name": "Credits", "applies_to": restricted})
    wallets.get(wallet)
    list(wallets.of_customer(CUSTOMER))
    list(wallets.everyone())
    [bought] = wallets.top_up(
        {"wallet_id": wallet, "paid_credits": "10", "metadata": [{"key": "p", "value": "1"}]}
    )
    lago.drain()
    wallets.payment_url(bought["lago_id"])
    found = wallets.transaction(bought["lago_id"])
    assert found is not None
    payments.make(invoice_id=found["lago_invoice_id"], amount_cents=1000, reference="wire")
    lago.drain()
    wallets.void(wallet, credits="4", metadata={"refund": "1"}, name="Refund")
    list(wallets.transactions(wallet))
    [payment] = payments.of_customer(CUSTOMER, {"invoice_id": found["lago_invoice_id"]})
    payments.get(payment["lago_id"])
    list(payments.everyone())
    return wallet


def _subscriptions(lago: Any) -> None:
    given = {"external_customer_id": CUSTOMER, "external_id": SUBSCRIPTION, "billing_time": "anniversary"}
    subscriptions.create(given | {"plan_code": "tour_small"})
    lago.drain()
    subscriptions.create(given | {"plan_code": "tour_large"})
    subscriptions.create(given | {"plan_code": "tour_small"})
    subscriptions.cancel_pending(SUBSCRIPTION)
    now = datetime.fromisoformat(lago.now())
    ends = (now + timedelta(days=20)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    subscriptions.update(SUBSCRIPTION, {"ending_at": ends})
    subscriptions.update(SUBSCRIPTION, {"ending_at": None})
    subscriptions.get(SUBSCRIPTION)
    list(subscriptions.of_customer(CUSTOMER))
    list(subscriptions.everyone())
    event = {"code": "tour", "external_subscription_id": SUBSCRIPTION, "timestamp": f"{now.timestamp():.3f}"}
    events.send([event | {"transaction_id": "tour-1", "properties": {"credits": "1.5"}}])
    events.get("tour-1")
    lago.drain()
    list(events.of_subscription(SUBSCRIPTION, since=now - timedelta(hours=1), until=now + timedelta(hours=1)))
    customers.current_usage(CUSTOMER, external_subscription_id=SUBSCRIPTION)
    subscriptions.terminate(SUBSCRIPTION, credit_note="skip", invoice="generate")
    lago.drain()


def _invoices(lago: Any) -> None:
    list(invoices.everyone())
    rows = list(invoices.of_customer(CUSTOMER, {"payment_status": "pending"}))
    one, two = (str(row["lago_id"]) for row in rows[:2])
    invoices.get(one)
    invoices.payment_url(one)
    invoices.retry_payment(one)
    address = invoices.download(one)
    assert address is not None
    assert files.fetch(address).startswith(b"%PDF")
    invoices.update(one, {"payment_status": "succeeded"})
    invoices.void(two)
    note, *_ = credit_notes.of_customer(CUSTOMER)
    credit_notes.get(note["lago_id"])

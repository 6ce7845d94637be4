"""The page of Lago for system admins: drift, lag, circuit, dead letters, and the books of each organization by month."""

from datetime import timedelta

import pytest
import requests
from django.test import Client
from django.utils import timezone

from lago_sync.client import circuit
from lago_sync.models import Drift, Identity, LagoCustomer, Watermark, WebhookMessage
from tests.billing_portal.dashboards.story import Team, person, sign_in
from tests.billing_portal.dashboards.test_pages import text_of
from tests.billing_portal.dashboards.test_system import SYSTEM, checked, event

PAGE = "/system/lago/"


@pytest.fixture
def staff(db: None, settings, monkeypatch) -> Client:
    settings.LAGO_API_URL = "http://lago.example"
    monkeypatch.setattr(requests.Session, "request", _asked)
    circuit.forget()
    return sign_in(person("Sys Admin", is_staff=True, is_superuser=True))


def _asked(*_args, **_named):
    raise AssertionError("a page asks Lago")


def agreed(ours: str, lagos: str | None = None) -> dict[str, str]:
    return {"ours": ours, "lagos": lagos or ours}


def test_nobody_else_may_know_that_it_exists(acme: Team, staff: Client):
    assert sign_in(acme.owner).get(PAGE).status_code == 404
    assert staff.get(PAGE).status_code == 200


def test_says_so_where_nothing_is_known_yet(staff: Client):
    page = text_of(staff.get(PAGE))
    assert "Nothing differs" in page
    assert "Nothing waits for anybody" in page
    assert "Nothing to compare yet" in page
    assert "Circuit closed" in page
    assert "Plans not read yet" in page


def test_shows_the_books_of_each_organization_beside_lagos_in_all_and_by_month(acme: Team, staff: Client):
    globex, now = Team.made("Globex"), timezone.now()
    agree = {"top_ups": agreed("2"), "consumed_by_invoices": agreed("0"), "event_credits": agreed("250.75")}
    months = {"2026-10": {"top_ups": agreed("2")}, "2026-11": {"event_credits": agreed("250.75", "250.5")}}
    Identity.objects.create(organization=acme.organization, checked_at=now, figures=agree, months=months)
    difference = {"what": "A top-up that nobody ordered", "why": "Look at it.", "ours": "0", "lagos": "1", "month": "2026-09"}  # fmt: skip
    Identity.objects.create(
        organization=globex.organization, checked_at=now, figures={}, differences=[difference]
    )
    page = text_of(staff.get(PAGE))
    assert "Acme 2 2 0 250.75 250.75" in page
    assert "A top-up that nobody ordered here 0, Lago 1 2026-09" in page
    assert page.index("A top-up that nobody ordered") < page.index("Acme 2 2 0")
    assert "2026-11 0 0 0 0 0 0 0 250.75 here, 250.5 Lago 2026-10 2 0" in page
    assert "Books differ from Lago." in text_of(staff.get(SYSTEM))


def test_shows_what_differs_waits_and_died_and_how_old_it_is(acme: Team, staff: Client):
    now = timezone.now()
    Drift.objects.create(kind="customer", subject="a", organization="org_a", what="Its currency is EUR at Lago", do="Make both the same.")  # fmt: skip
    Drift.objects.create(kind="invoice", subject="b", organization="org_b", what="Invoice 7 was not seen", repaired_at=now)  # fmt: skip
    event("waiting", created_at=now - timedelta(days=5))
    dead = event("dead", last_error="Lago refused it")
    WebhookMessage.objects.create(unique_key="k", webhook_type="invoice.created", body="{}", state="dead", last_error="odd")  # fmt: skip
    Watermark.objects.create(name="plans", through=now, ran_at=now - timedelta(minutes=5))
    LagoCustomer.objects.create(
        organization=acme.organization, lago_id=dead.transaction_id, currency="USD",
        invoices_synced_at=now - timedelta(days=3),
    )  # fmt: skip
    checked(problems=[{"what": "Plan x is missing", "do": "Run it.", "stops_purchases": False}])
    response = staff.get(PAGE)
    page = text_of(response)
    for said in (
        "1 open", "Its currency is EUR at Lago", "Make both the same.", "Invoice 7 was not seen",
        "Oldest event that waits 5 d", "Invoices seen longest ago 3 d", "Plans 5 min", "Events to Lago, 1", "Lago refused it",
        "Webhooks from Lago, 1", "Plan x is missing",
    ):  # fmt: skip
        assert said in page, said
    assert f"/admin/lago_sync/outboxevent/{dead.pk}/change/" in response.content.decode()
    assert "Books differ from Lago." in text_of(staff.get(SYSTEM))


def test_says_that_the_circuit_is_open_also_in_the_api(staff: Client):
    for _ in range(circuit.FAILURES["api"]):
        with circuit.passing("customers") as passage:
            passage.failed("Lago answers 500.")
    assert "Lago is not asked at the moment. 5 requests in a row failed" in text_of(staff.get(PAGE))
    sync = staff.get("/api/v1/org-billing/billing/system").json()["sync"]
    assert (sync["circuit_is_open"], sync["drift_open"], sync["events_oldest_seconds"]) == (True, 0, None)
    assert set(sync["lists_age_seconds"]) == {
        "plans",
        "customers",
        "subscriptions",
        "invoices",
        "payments",
        "wallets",
    }
    circuit.forget()

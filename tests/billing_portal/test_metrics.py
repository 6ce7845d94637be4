"""`/metrics`: who may read it, and that its figures are those of the rows."""

from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from lago_sync.client import circuit
from lago_sync.errors import LagoUnavailable
from lago_sync.models import (
    Drift,
    HealthCheck,
    Identity,
    LagoCustomer,
    OutboxEvent,
    Purchase,
    Watermark,
    WebhookMessage,
)
from tests.factories import credits as make_credits
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}
LAGO = "billing_portal_lago_"


@pytest.fixture(autouse=True)
def _from_one_network(settings):
    settings.METRICS_ALLOWED_IPS = ["10.0.0.0/8"]


def read(client) -> dict[tuple[str, str], float]:
    """Return the samples: (name without its prefix, value of its label) -> value."""
    answer = client.get("/metrics", REMOTE_ADDR="10.1.2.3")
    assert answer.status_code == 200, answer.content
    return {
        (sample.name.removeprefix(LAGO), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_prometheus_reads_it_from_an_allowed_network_in_the_format_it_asks_for(client):
    plain = client.get("/metrics", REMOTE_ADDR="10.1.2.3")
    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    assert plain["Cache-Control"] == "no-store"
    asked = "application/openmetrics-text; version=1.0.0"
    open_metrics = client.get("/metrics", REMOTE_ADDR="10.1.2.3", HTTP_ACCEPT=asked)
    assert open_metrics["Content-Type"].startswith(asked)
    assert open_metrics.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "said", [{}, {"HTTP_X_FORWARDED_FOR": "10.1.2.3"}, {"HTTP_AUTHORIZATION": "Bearer cpk_x"}]
)
def test_a_stranger_is_refused_whatever_it_says(client, said):
    answer = client.get("/metrics", **ELSEWHERE, **said)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert LAGO not in answer.text


def test_a_platform_key_reads_it_from_anywhere_and_no_other_key_does(client):
    team = make.team()
    member = make.member(team)
    keys = {
        make.platform_key("billing:read").text: 200,
        make.platform_key("usage:write").text: 403,
        make.organization_key(team, "billing:read").text: 403,
        make.membership_key(member, "billing:read").text: 403,
    }
    for key, status in keys.items():
        answer = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {key}", **ELSEWHERE)
        assert answer.status_code == status, answer.content


def test_every_metric_stands_in_the_documentation(client):
    HealthCheck.objects.create(checked_at=timezone.now(), status="healthy")
    told = (settings.BASE_DIR / "docs/lago.md").read_text()
    names = {name for name, _ in read(client)}
    assert len(names) >= 11
    assert {name for name in names if f"`{name}" not in told} == set()


def test_it_is_read_only(client):
    assert client.post("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 405


def test_where_nothing_waits_nothing_has_waited_and_what_was_never_looked_at_is_left_out(client):
    found = read(client)
    assert {found["oldest_waiting_seconds", what] for what in ("event", "webhook", "plan_change")} == {0}
    assert {found["dead_letters", what] for what in ("event", "webhook")} == {0}
    assert (found["circuit_open", ""], found["drift_open", ""]) == (0, 0)
    assert not {name for name, _ in found} & {"list_age_seconds", "mirror_age_seconds", "status"}


def test_lag_and_age_are_those_of_the_rows(client):
    now = timezone.now()
    team = make_credits.team(100)
    make_credits.charged(team, None, 1)
    OutboxEvent.objects.update(created_at=now - timedelta(minutes=20))
    for state, minutes in (("waiting", 7), ("dead", 90)):
        WebhookMessage.objects.create(
            unique_key=state, state=state, received_at=now - timedelta(minutes=minutes), body="{}"
        )
    Watermark.objects.create(name="invoices", ran_at=now - timedelta(minutes=3))
    found = read(client)
    assert found["oldest_waiting_seconds", "event"] == pytest.approx(20 * 60, abs=30)
    assert found["oldest_waiting_seconds", "webhook"] == pytest.approx(7 * 60, abs=30)
    assert found["list_age_seconds", "invoices"] == pytest.approx(3 * 60, abs=30)
    assert (found["waiting", "event"], found["waiting", "webhook"], found["dead_letters", "webhook"]) == (
        1,
        1,
        1,
    )


def test_drift_an_open_circuit_and_a_lago_that_would_bill_twice_are_told(client):
    now = timezone.now()
    Drift.objects.create(kind="invoices", subject="inv_1", what="is missing", do="Ask Lago.")
    HealthCheck.objects.create(
        checked_at=now - timedelta(minutes=1),
        status="unhealthy",
        problems=[{"what": "a priced charge", "do": "Set it to 0.", "stops_purchases": True}],
    )
    for _ in range(5):
        with suppress(LagoUnavailable), circuit.passing("plans"):
            raise LagoUnavailable("no answer")
    found = read(client)
    assert (found["drift_open", ""], found["drift_to_decide", ""], found["circuit_open", ""]) == (1, 1, 1)
    assert (found["status", "unhealthy"], found["status", "healthy"]) == (1, 0)
    assert found["purchases_stopped", ""] == 1
    assert found["check_age_seconds", ""] == pytest.approx(60, abs=30)


def test_books_that_differ_purchases_under_way_and_the_age_of_mirrors_are_told(client):
    now = timezone.now()
    for name, differences in (("Acme", ["Lago has one receipt more."]), ("Globex", [])):
        team = make.team(name)
        Identity.objects.create(organization=team, checked_at=now, figures={}, differences=differences)
    LagoCustomer.objects.create(
        organization=team, lago_id=uuid4(), currency="USD", invoices_synced_at=now - timedelta(minutes=11)
    )
    Purchase.objects.create(
        organization=team,
        credits=1000,
        amount_cents=1000,
        currency="USD",
        made_by="usr_1",
        idempotency_key="k1",
    )
    found = read(client)
    assert found["books_differing", ""] == 1
    assert (found["purchases", "open"], found["purchases", "flagged"]) == (1, 0)
    assert found["mirror_age_seconds", "invoices"] == pytest.approx(11 * 60, abs=30)

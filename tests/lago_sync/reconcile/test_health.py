"""The check of Lago: what it keeps, what it says and what `lago_health` ends with."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from lago_sync.customers import linking
from lago_sync.models import HealthCheck
from lago_sync.reconcile import health
from lago_sync.setup import guard, installing
from tests.factories import orgs
from tests.lago_sync.client.scripted import refuse, say, scripted

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def installed(lago):
    installing.install(webhook_url=guard.webhook_url(), now=NOW)
    return lago


def command(capsys, *args):
    """Return what `lago_health` printed and how it ended."""
    try:
        call_command("lago_health", *args)
        status = 0
    except SystemExit as ended:
        status = ended.code
    return capsys.readouterr().out, status


def price_a_plan(lago):
    metric = lago.api("GET", "billable_metrics/credits_used").json()["billable_metric"]["lago_id"]
    priced = {"billable_metric_id": metric, "charge_model": "standard", "properties": {"amount": "1"}}
    plan = {"name": "x", "code": "x", "interval": "monthly", "amount_cents": 0, "amount_currency": "USD", "pay_in_advance": True, "charges": [priced]}  # fmt: skip
    assert lago.api("POST", "plans", json={"plan": plan}).status_code == 200


def test_a_lago_as_it_should_be_is_healthy(installed, capsys):
    row = health.check(now=NOW)
    assert (row.status, row.problems, row.last_healthy_at) == ("healthy", [], NOW)
    assert row.version == "1.51.0-sandbox"
    assert row.latency_ms is not None
    assert health.latest() == row
    said, status = command(capsys)
    assert said.startswith(
        "Lago is healthy: Events are kept in postgres. It has no licence; the portal needs none.\n"
        "Version 1.51.0-sandbox, answered in"
    )
    assert status == 0


def test_there_is_one_row_however_often(installed):
    health.check(now=NOW)
    health.check(now=LATER)
    assert HealthCheck.objects.get().checked_at == LATER


def test_an_empty_lago_says_each_fault_with_what_to_do(lago, capsys):
    said, status = command(capsys)
    assert status == 1
    assert "- Plan starter is missing\n  Run `manage.py setup_lago`.\n" in said
    assert "- Metric api_call is missing\n" in said


def test_a_priced_charge_says_that_purchases_are_stopped(installed, capsys):
    price_a_plan(installed)
    said, status = command(capsys)
    assert status == 1
    assert "would be billed twice (purchases are stopped)\n" in said
    assert HealthCheck.objects.get().stops_purchases


def test_without_configuration(settings, capsys):
    settings.LAGO_API_KEY = ""
    said, status = command(capsys)
    assert status == 1
    assert "Lago API configuration missing" in said
    assert "Set LAGO_API_URL and LAGO_API_KEY." in said


def test_a_lago_that_is_away_is_unreachable(capsys):
    said, status = command(capsys)
    assert (HealthCheck.objects.get().status, status) == ("unreachable", 1)
    assert "Lago is unreachable: Lago cannot be reached." in said


def test_a_wrong_key_is_named_and_not_shown(installed, settings, capsys):
    settings.LAGO_API_KEY = "lago-key-of-somebody-else"
    said, status = command(capsys)
    assert status == 1
    assert "LAGO_API_KEY is not, or no longer, a key of this Lago" in said
    assert "lago-key-of-somebody-else" not in said + str(vars(HealthCheck.objects.get()))


def test_the_sandbox_is_no_lago_in_production(settings, capsys):
    settings.TESTING = False
    with scripted() as server:
        server.answer(say(200, {"version": "1"}, X_Lago_Sandbox="1"))
        settings.LAGO_API_URL = server.url
        said, status = command(capsys)
    assert status == 1
    assert "LAGO_API_URL is the sandbox" in said


def test_another_server_at_the_address_is_told(settings, capsys):
    with scripted() as server:
        server.answer(say(200, {"version": "1"}), refuse(404, "resource_not_found"))
        settings.LAGO_API_URL = server.url
        said, _ = command(capsys)
    assert "whether LAGO_API_URL is the address of its API" in said


@pytest.mark.parametrize("then", ["away", "wrong key"])
def test_what_stopped_purchases_goes_on_stopping_them_while_nobody_can_look(installed, settings, then):
    health.check(now=NOW - timedelta(minutes=1))
    price_a_plan(installed)
    health.check(now=NOW)
    if then == "away":
        settings.LAGO_API_URL = "http://127.0.0.1:9"
    else:
        settings.LAGO_API_KEY = "another"
    row = health.check(now=LATER)
    assert row.stops_purchases
    assert row.last_healthy_at == NOW - timedelta(minutes=1)


def test_what_was_mended_stops_nothing_more(installed):
    price_a_plan(installed)
    assert health.check(now=NOW).stops_purchases
    installed.api("DELETE", "plans/x")
    installed.drain()
    assert not health.check(now=LATER).stops_purchases


class TestRotation:
    """Two keys: the one that does not work is named, whichever it is; the calls themselves do well."""

    @pytest.mark.parametrize(
        ("both", "said"),
        [
            ("right, wrong", "Lago does not take the second key of LAGO_API_KEY any more"),
            ("wrong, right", "the portal still uses the old one"),
        ],
    )
    def test_names_the_key_that_lago_does_not_take(self, installed, settings, both, said):
        settings.LAGO_API_KEY = both.replace("right", installed.api_key)
        [problem] = health.check(now=NOW).problems
        assert said in problem["what"]
        assert problem["do"]
        assert not problem["stops_purchases"]

    def test_is_fine_while_both_work(self, installed, settings):
        settings.LAGO_API_KEY = f"{installed.api_key},{installed.api_key}"
        assert health.check(now=NOW).status == "healthy"


def test_the_command_prints_json_with_the_figures_of_lag(installed, capsys):
    said, status = command(capsys, "--json")
    found = json.loads(said)
    assert (status, found["status"], found["problems"]) == (0, "healthy", [])
    assert found["lag"]["circuit"] == {"is_open": False, "opened_at": None, "failures": 0, "why": ""}
    assert set(found["lag"]["lists_age_seconds"]) == {
        "plans", "customers", "subscriptions", "invoices", "payments", "wallets",
    }  # fmt: skip


def test_customers_without_the_payment_provider_are_named(installed, settings):
    team = orgs.team("Acme")
    linking.ensure_customer(organization=team, now=NOW)
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    [problem] = health.check(now=NOW).problems
    assert problem["what"] == f"Not linked to stripe at Lago: {team.public_id}"


def test_what_a_licence_changes_is_told():
    shown = {"billing_configuration": {"invoice_grace_period": 3}}
    assert list(health._traits(shown, licensed=False)) == []
    [problem] = health._traits(shown, licensed=True)
    assert "as drafts for 3 days" in problem.what
    assert "is older" in health._in_words({}, licensed=None, version="v1.30.2")
    assert "older" not in health._in_words({}, licensed=True, version="1.51.0-sandbox")

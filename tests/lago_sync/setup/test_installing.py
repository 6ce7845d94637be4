"""`setup_lago` on an empty Lago, a second time, and on one where somebody was at it before."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from lago_sync.errors import LagoUnavailable
from lago_sync.models import LagoPlan, WebhookKey
from lago_sync.setup import guard, installing

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "http://127.0.0.1:9/webhooks/lago"


def install():
    return installing.install(webhook_url=URL, now=NOW)


def plans_at(lago):
    return {one["code"]: one for one in lago.api("GET", "plans").json()["plans"]}


def endpoints_at(lago):
    return lago.api("GET", "webhook_endpoints").json()["webhook_endpoints"]


def test_makes_the_metrics_and_the_plans_of_the_product_page(lago):
    install()
    metrics = {one["code"]: one for one in lago.api("GET", "billable_metrics").json()["billable_metrics"]}
    assert {code: (one["aggregation_type"], one["field_name"]) for code, one in metrics.items()} == {
        "credits_used": ("sum_agg", "credits"),
        "api_call": ("count_agg", None),
    }
    found = plans_at(lago)
    assert {code: (one["amount_cents"], one["interval"]) for code, one in found.items()} == {
        "founders_friend": (0, "monthly"),
        "trial": (100, "weekly"),
        "starter": (1900, "monthly"),
        "starter_yearly": (19_000, "yearly"),
        "professional": (4900, "monthly"),
        "professional_yearly": (49_000, "yearly"),
        "enterprise": (9900, "monthly"),
        "enterprise_yearly": (99_000, "yearly"),
    }
    for plan in found.values():
        assert (plan["pay_in_advance"], plan["amount_currency"]) == (True, "USD")
        assert {
            one["billable_metric_code"]: (one["charge_model"], one["properties"]["amount"], one["pay_in_advance"])
            for one in plan["charges"]
        } == dict.fromkeys(("credits_used", "api_call"), ("standard", "0", False))  # fmt: skip


def test_twice_is_once_and_says_so(lago):
    first, rows = install(), lago.dump()
    again = install()
    assert all(sentence.endswith("made.") for sentence in first)
    assert all(sentence.endswith("is there.") for sentence in again)
    after = lago.dump()
    for name in ("billablemetric", "plan", "charge", "webhookendpoint"):
        assert after[name] == rows[name]
    assert len(rows["plan"]) == 8


def test_carries_on_after_an_answer_was_lost(lago):
    for path in ("billable_metrics", "plans", "webhook_endpoints"):
        lago.faults({"method": "POST", "path": path, "times": 1, "drop": True, "after_commit": True})
        with pytest.raises(LagoUnavailable):
            install()
    install()
    assert len(plans_at(lago)) == 8
    assert len(endpoints_at(lago)) == 1


def test_leaves_prices_and_charges_that_are_there_and_says_what_to_do(lago):
    install()
    lago.api("DELETE", "plans/starter")
    lago.drain()
    metric = lago.api("GET", "billable_metrics/credits_used").json()["billable_metric"]["lago_id"]
    priced = {"billable_metric_id": metric, "charge_model": "standard", "properties": {"amount": "0.01"}}
    theirs = {"name": "S", "code": "starter", "interval": "monthly", "amount_cents": 2900, "amount_currency": "USD", "pay_in_advance": True, "charges": [priced]}  # fmt: skip
    assert lago.api("POST", "plans", json={"plan": theirs}).status_code == 200
    before = plans_at(lago)
    said = "\n".join(install())
    assert "Its price is Lago's own: 2900 cents monthly. Left as it is." in said
    assert "Plan starter charges for credits_used: credits would be billed twice. In Lago, make it" in said
    assert "Plan starter has no charge on api_call" in said
    assert plans_at(lago) == before


def test_the_webhook_endpoint_is_one_and_signs_with_hmac(lago):
    lago.api("POST", "webhook_endpoints", json={"webhook_endpoint": {"webhook_url": URL}})
    lago.api(
        "POST", "webhook_endpoints", json={"webhook_endpoint": {"webhook_url": "http://127.0.0.1:9/other"}}
    )
    assert f"Webhook endpoint {URL} signs with hmac now." in install()
    found = {one["webhook_url"]: one["signature_algo"] for one in endpoints_at(lago)}
    assert found == {URL: "hmac", "http://127.0.0.1:9/other": "jwt"}


def test_the_command_says_what_it_did(lago, capsys):
    call_command("setup_lago")
    assert "Plan starter made.\n" in capsys.readouterr().out
    assert LagoPlan.objects.filter(is_offered=True).count() == 8
    call_command("setup_lago")
    assert "Plan starter is there.\n" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(settings):
    with pytest.raises(CommandError, match="Lago cannot be reached"):
        call_command("setup_lago")
    settings.LAGO_API_KEY = ""
    with pytest.raises(CommandError, match="Lago API configuration missing"):
        call_command("setup_lago")


def test_the_codes_of_services_get_a_count_with_a_charge_of_nothing_on_each_plan(lago, settings):
    settings.LAGO_EVENT_CODES = {
        "chat": "chat_call",
        "images": "image_call",
        "again": "chat_call",
        "old": "api_call",
    }
    said = install()
    assert "Metric chat_call made." in said
    metrics = {one["code"]: one for one in lago.api("GET", "billable_metrics").json()["billable_metrics"]}
    assert set(metrics) == {"credits_used", "api_call", "chat_call", "image_call"}
    assert (metrics["chat_call"]["aggregation_type"], metrics["chat_call"]["field_name"]) == (
        "count_agg",
        None,
    )
    for plan in plans_at(lago).values():
        free = {one["billable_metric_code"]: one["properties"]["amount"] for one in plan["charges"]}
        assert free == dict.fromkeys(metrics, "0")
    assert guard.problems() == []
    settings.LAGO_EVENT_CODES["new"] = "new_call"
    assert {one.what for one in guard.problems()} >= {"Metric new_call is missing"}
    said = install()
    assert (
        "  Plan starter has no charge on new_call, so its use does not show at Lago. In Lago, add a standard charge"
        in "\n".join(said)
    )


def test_webhooks_may_be_signed_with_a_key_that_is_pinned(lago, settings):
    settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM = "jwt"
    settings.SITE_URL = URL.removesuffix("/webhooks/lago")
    said = install()
    assert any(one.startswith("Key of webhooks pinned: ") for one in said)
    assert [one["signature_algo"] for one in endpoints_at(lago)] == ["jwt"]
    assert guard.problems() == []
    WebhookKey.objects.update(pem="another")
    [problem] = guard.problems()
    assert "not pinned" in problem.what
    settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM = "hmac"
    assert "signs webhooks with jwt" in guard.problems()[0].what

"""The examples run as they stand, and say what their comments promise."""

import importlib

import pytest
from django.test.utils import override_settings
from django.utils import timezone

from lago_sync.setup import guard, installing
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http
from tests.factories.lago import lago, lago_process  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _installed(lago, settings):  # noqa: F811
    settings.SITE_URL = "http://127.0.0.1:9"
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())


def run(name: str, capsys) -> str:
    importlib.import_module(f"examples.{name}").main()
    return str(capsys.readouterr().out)


def test_new_company(capsys):
    said = run("new_company", capsys)
    assert "is on professional, active" in said
    assert "created_by_user_id: user_42" in said
    assert "crm_id: 1742" in said
    assert "api_call: 0" in said  # nothing is delivered yet


def test_plan_page(capsys):
    said = run("plan_page", capsys)
    for line in ("No plan yet", "starter (active)", "Now enterprise_yearly, then the same", "Now enterprise_yearly, then starter", "Not changed", "professional (active)"):  # fmt: skip
        assert line in said, said


def test_guarded_api(capsys):
    said = run("guarded_api", capsys)
    assert "without a plan: 403" in said
    assert "with one, and sent again: 200 200" in said
    assert "three calls are all: 200 200 429" in said


def test_migrate_user_and_health(capsys):
    said = run("migrate_user", capsys)
    assert said.count(": done") == 2
    assert run("health", capsys).startswith("healthy: ")
    with override_settings(LAGO_API_KEY="wrong"), pytest.raises(SystemExit):
        run("health", capsys)


def test_buy_credits(capsys):
    team = make.team(unlimited=False)
    make.grant(team, 300)
    http = Http(key=orgs.organization_key(team).text)

    def send(method, path, body=None, key=""):
        answer = http.send(method, path, body, **({"Idempotency_Key": key} if key else {}))
        return answer.status_code, answer.json()

    main = importlib.import_module("examples.buy_credits").main
    main(team.public_id, send)
    main(team.public_id, send)
    said = capsys.readouterr().out
    for line in ("300 credits available", "12500 credits for 100.00: pending", "done, 180 credits", "120 credits available", "stopped: "):  # fmt: skip
        assert line in said, said


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
def test_async_worker(capsys):
    """In a loop of its own, so on a connection of its own: it needs rows that are committed."""
    from asgiref.sync import sync_to_async
    from django.db import connections

    try:
        assert "recorded 5 calls of org_example_" in run("async_worker", capsys)
    finally:
        import asyncio

        async def end():
            await sync_to_async(connections.close_all)()

        asyncio.run(end())

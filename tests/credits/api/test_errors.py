"""What a gateway is told when the database is busy or gone, or when something broke: safe to retry, and no secrets."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test.utils import override_settings
from psycopg import errors as postgres

from credits.api import reports, sharing, usage
from tests.factories.api import error_of, refused, undone

pytestmark = pytest.mark.django_db
SPEND = {"transaction_id": "t", "credits": "1"}


def raising(error: Exception):
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


BUSY = [
    caused(OperationalError("lock"), postgres.LockNotAvailable("canceling statement due to lock timeout")),
    caused(
        OperationalError("statement"), postgres.QueryCanceled("canceling statement due to statement timeout")
    ),
    caused(OperationalError("deadlock"), postgres.DeadlockDetected("deadlock detected")),
    caused(OperationalError("stop"), postgres.AdminShutdown("terminating connection")),
    OperationalError(
        "connection to server at 10.0.0.1 failed: password authentication failed for user portal"
    ),
    InterfaceError("connection already closed"),
]


@pytest.mark.parametrize("error", BUSY, ids=str)
def test_a_busy_or_lost_database_is_503_try_again(scene, monkeypatch, error):
    monkeypatch.setattr(usage.combining, "submit", raising(error))
    monkeypatch.setattr(reports.usage, "breakdown", raising(error))
    monkeypatch.setattr(sharing.allocations, "assign_all", raising(error))
    owner = scene.http("owner")
    for answer in (
        scene.key("membership").post("/usage/holds", SPEND),
        owner.ask(f"{scene.credits}/usage"),
        owner.post(f"{scene.credits}/allocate", {"user_id": scene.id_of("member"), "credits": "1"}),
    ):
        assert refused(answer, 503, "try_again") == {}
        assert int(answer["Retry-After"]) >= 1
        assert b"10.0.0.1" not in answer.content


def test_a_real_statement_timeout_is_503(scene, monkeypatch):
    def sleep(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)")

    monkeypatch.setattr(reports.usage, "breakdown", sleep)
    client = scene.key("organization")
    with undone():
        answer = client.ask(f"{scene.credits}/usage")
    assert refused(answer, 503, "try_again") == {}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "error", [RuntimeError("secret-of-ours"), ValueError("SELECT * FROM secret-of-ours"), OperationalError]
)
def test_what_nobody_foresaw_is_500_with_a_request_id_and_no_trace(scene, monkeypatch, error, debug):
    if error is OperationalError:
        error = caused(
            OperationalError("secret-of-ours"), postgres.UndefinedTable('relation "secret-of-ours"')
        )
    monkeypatch.setattr(usage.combining, "submit", raising(error))
    with override_settings(DEBUG=debug):
        answer = scene.key("membership").post("/usage/holds", SPEND)
    details = refused(answer, 500, "internal_error")
    assert details["request_id"].startswith("req_")
    assert b"secret-of-ours" not in answer.content
    assert b"Traceback" not in answer.content


def test_a_page_of_the_api_that_nobody_serves_is_json_for_every_method(scene):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for client in (scene.http(), scene.http("owner", csrf=True), scene.key("platform")):
            for path in ("/nothing", "/usage/holds/", "/usage", "/", "/org-billing/credits/", "/models/"):
                answer = client.send(method, path)
                assert answer.status_code == 404, (method, path, answer.status_code, answer.content[:100])
                assert error_of(answer)["code"] == "not_found"


def test_a_client_that_accepts_no_json_is_told_so_in_json(scene):
    answer = scene.key("platform").send("GET", "/models", Accept="text/html")
    assert answer.status_code in (200, 406)
    assert answer["Content-Type"].startswith("application/json")


def test_options_tells_nothing_to_nobody_and_breaks_for_no_one(scene):
    refused(scene.http().send("OPTIONS", "/usage/holds"), 401)
    answer = scene.key("membership").send("OPTIONS", "/usage/holds")
    assert answer.status_code < 500

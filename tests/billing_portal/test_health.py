"""What a load balancer is told."""

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from django.utils import timezone

from lago_sync.models import HealthCheck

NOBODY_LISTENS = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "unix:///none.sock?db=0",
    }
}


def test_alive_answers_without_a_database(client):
    answer = client.get("/healthz")  # pytest-django fails a test that touches the database without its mark
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_when_database_migrations_and_redis_are(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    parts = dict.fromkeys(("database", "migrations", "triggers", "redis"), "ok") | {"lago": "unknown"}
    assert answer.json() == {"status": "ok", "parts": parts}
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_without_redis_it_is_degraded_and_still_served(client):
    with override_settings(CACHES=NOBODY_LISTENS):
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["parts"]["redis"]) == ("degraded", "down")


@pytest.mark.django_db
@pytest.mark.parametrize(("found", "status"), [("healthy", "ok"), ("unreachable", "degraded")])
def test_what_was_last_seen_of_lago_is_told_without_asking_it(client, found, status):
    HealthCheck.objects.create(checked_at=timezone.now(), status=found)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, status)


@pytest.mark.django_db
def test_books_that_could_be_changed_keep_requests_away(client):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credits_usagerecord DISABLE TRIGGER append_only")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["triggers"]) == (503, "down")


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_keeps_requests_away(client):
    MigrationRecorder(connection).record_unapplied("credits", last_migration("credits"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["migrations"] == "down"


@pytest.mark.django_db
def test_without_a_database_no_requests_are_wanted_and_no_reason_is_given(client, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("could not connect to db.internal as portal")

    with monkeypatch.context() as broken:
        broken.setattr(connection, "cursor", refuse)
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "db.internal" not in answer.content.decode()


def last_migration(app: str) -> str:
    from django.db.migrations.loader import MigrationLoader

    return max(name for label, name in MigrationLoader(connection).applied_migrations if label == app)

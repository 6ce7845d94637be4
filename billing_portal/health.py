"""What a load balancer asks: is the process alive, and may it be sent requests."""

import logging
from collections.abc import Callable
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from lago_sync.reconcile import health

logger = logging.getLogger(__name__)

APPEND_ONLY: Final = ("audit_auditevent", "credits_grant", "credits_ledgerentry", "credits_usagerecord")


@login_not_required
@require_safe
def alive(_request: HttpRequest) -> HttpResponse:
    """Say that the process answers; asks no other part, so a dead database does not get it restarted."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served: 503 without database, migrations or triggers.

    *Degraded*, but 200, without Redis, or where the last stored look at Lago found it away or wrongly set up.
    """
    database = outcome(check_database)
    parts = {"database": database} | {
        name: outcome(check) if database == "ok" else "unknown"
        for name, check in {"migrations": check_migrations, "triggers": check_triggers}.items()
    }
    served = all(state == "ok" for state in parts.values())
    parts |= {"redis": outcome(check_redis), "lago": outcome(check_lago) if served else "unknown"}
    is_whole = parts["redis"] == "ok" and parts["lago"] in {"ok", "unknown"}
    status = "unavailable" if not served else "ok" if is_whole else "degraded"
    answer = JsonResponse({"status": status, "parts": parts}, status=200 if served else 503)
    answer["Cache-Control"] = "no-store"
    return answer


def outcome(check: Callable[[], str]) -> str:
    """Return what a check says; its error goes to the log, since anybody may read the answer."""
    try:
        return check()
    except Exception:
        logger.warning("A part is not ready: %s", check.__name__, exc_info=True)
        return "down"


def check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def check_migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        raise DatabaseError(f"{len(plan)} migrations are not applied: run `manage.py migrate`")
    return "ok"


def check_triggers() -> str:
    """Say ok where the books still refuse to be changed; a restore that leaves triggers out must not serve."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT tgrelid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE tgname = 'append_only' AND tgenabled = 'A' AND relname = ANY(%s)",
            [list(APPEND_ONLY)],
        )
        row = cursor.fetchone()
    if row is None or row[0] != len(APPEND_ONLY):
        raise DatabaseError("the append-only triggers of the books are missing or off")
    return "ok"


def check_lago() -> str:
    """Return what the job that looks at Lago stored; no probe waits for Lago."""
    latest = health.latest()
    if latest is None:
        return "unknown"
    return "ok" if latest.status == "healthy" else latest.status


def check_redis() -> str:
    cache.get("readyz")
    return "ok"

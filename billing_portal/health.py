"""What a load balancer asks: is the process alive, and may it be sent requests."""

import logging
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)


@login_not_required
@require_safe
def alive(_request: HttpRequest) -> HttpResponse:
    """Say that the process answers; asks no other part, so a dead database does not get it restarted."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served: 503 without database or migrations, *degraded* but 200 without Redis."""
    database = outcome(check_database)
    parts = {"database": database, "migrations": outcome(check_migrations) if database == "ok" else "unknown"}
    served = all(state == "ok" for state in parts.values())
    parts["redis"] = outcome(check_redis)
    status = "unavailable" if not served else "ok" if parts["redis"] == "ok" else "degraded"
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


def check_redis() -> str:
    cache.get("readyz")
    return "ok"

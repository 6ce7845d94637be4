"""The check of Lago as a whole: made by a job, kept in one row, read by pages."""

import logging
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from kit import transactions
from lago_sync.client import organization
from lago_sync.errors import (
    LagoIntegrationError,
    LagoIsSandbox,
    LagoNotConfigured,
    LagoRefused,
    LagoUnavailable,
    Problem,
)
from lago_sync.models import HealthCheck
from lago_sync.reconcile import telling
from lago_sync.setup import guard

logger = logging.getLogger(__name__)

HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
UNREACHABLE: Final = "unreachable"

_KEPT: Final = ("checked_at", "status", "message", "version", "latency_ms", "problems", "last_healthy_at")
_WHAT_TO_DO: Final[dict[type[LagoIntegrationError], str]] = {
    LagoNotConfigured: "Set LAGO_API_URL and LAGO_API_KEY.",
    LagoIsSandbox: "Set LAGO_API_URL to a real Lago; the sandbox is for development.",
    LagoUnavailable: "See whether Lago runs at LAGO_API_URL and answers there; usage and purchases wait for it.",
}


def latest() -> HealthCheck | None:
    """Return what the last check found, None before the first."""
    return HealthCheck.objects.first()


def check(*, now: datetime) -> HealthCheck:
    """Look at Lago and keep what was found; raises nothing for a Lago that is away or wrong. Asks Lago."""
    row = HealthCheck(checked_at=now)
    was_seen = True
    try:
        _look(row)
    except LagoIntegrationError as error:
        was_seen = False
        _note(row, error)
    row.message = row.message[:500]
    with transactions.durable():
        before = HealthCheck.objects.select_for_update().first()
        if before is not None:
            row.last_healthy_at = before.last_healthy_at
            row.problems += [] if was_seen else _still_unknown(before)
        if row.status == HEALTHY:
            row.last_healthy_at = now
        HealthCheck.objects.update_or_create(pk=row.pk, defaults={name: getattr(row, name) for name in _KEPT})
        if row.status != HEALTHY:
            telling.of_health(row, is_away=row.status == UNREACHABLE, now=now)
    if row.status != HEALTHY:
        logger.error("Lago is %s: %s", row.status, "; ".join(one["what"] for one in row.problems))
    return row


def _look(row: HealthCheck) -> None:
    started = time.monotonic()
    row.version = str(organization.health().get("version") or "")[:64]
    row.latency_ms = round((time.monotonic() - started) * 1000)
    keeps_events_in = organization.get().get("events_store") or "postgres"  # proves the key
    found = guard.problems()
    row.problems = [asdict(problem) for problem in found]
    row.status = UNHEALTHY if found else HEALTHY
    row.message = found[0].what if found else f"Events are kept in {keeps_events_in}."


def _note(row: HealthCheck, error: LagoIntegrationError) -> None:
    row.status = UNREACHABLE if isinstance(error, LagoUnavailable) else UNHEALTHY
    row.message = error.message
    row.problems = [asdict(Problem(what=error.message, do=_what_to_do(error)))]


def _what_to_do(error: LagoIntegrationError) -> str:
    if isinstance(error, LagoRefused):
        if error.http_status == 401:
            return "LAGO_API_KEY is not, or no longer, a key of this Lago: make one there and set it."
        return "Look at what Lago says, and whether LAGO_API_URL is the address of its API."
    return next((do for kind, do in _WHAT_TO_DO.items() if isinstance(error, kind)), "")


def _still_unknown(before: HealthCheck) -> list[dict[str, Any]]:
    """Return what stopped purchases before Lago went away: nobody has seen it mended."""
    return [one for one in before.problems if one.get("stops_purchases")]

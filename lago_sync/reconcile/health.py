"""The check of Lago as a whole: made by a job, kept in one row, read by pages."""

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from kit import transactions
from lago_sync.client import keys, organization, transport
from lago_sync.client.transport import Json
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
PROVED_WITH: Final = (1, 51)
"""The version of Lago whose behaviour the portal is written and tested against."""

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
    shown = organization.get()  # proves that a key works
    licensed = organization.is_licensed()
    found = [*_keys(), *_traits(shown, licensed=licensed), *guard.problems()]
    row.problems = [asdict(problem) for problem in found]
    row.status = UNHEALTHY if found else HEALTHY
    row.message = found[0].what if found else _in_words(shown, licensed=licensed, version=row.version)


def _keys() -> Iterator[Problem]:
    """Look at both keys while they are rotated: the calls themselves do well with either."""
    rotated = keys.as_set()
    for place, key in enumerate(rotated if len(rotated) > 1 else ()):
        if transport.takes(key):
            continue
        if place == 0:
            yield Problem(
                what="Lago does not take the first key of LAGO_API_KEY; the portal still uses the old one",
                do="See at Lago that the new key is there and is the first, before the old one ends.",
            )
        else:
            yield Problem(
                what="Lago does not take the second key of LAGO_API_KEY any more",
                do="The rotation is over: take it out of LAGO_API_KEY and start the portal again.",
            )


def _traits(shown: Json, *, licensed: bool | None) -> Iterator[Problem]:
    """Tell what a licence turns on that changes what the portal promises (reference/lago.md §1.6)."""
    days = (shown.get("billing_configuration") or {}).get("invoice_grace_period") or 0
    if licensed and days:
        yield Problem(
            what=f"Lago keeps invoices as drafts for {days} days, so plan credits come that much later",
            do="In Lago, set the grace period of invoices to 0.",
        )


def _in_words(shown: Json, *, licensed: bool | None, version: str) -> str:
    said = [f"Events are kept in {shown.get('events_store') or 'postgres'}."]
    if licensed is not None:
        said.append("It has a licence." if licensed else "It has no licence; the portal needs none.")
    if _is_older(version):
        said.append(f"The portal is tested with Lago {PROVED_WITH[0]}.{PROVED_WITH[1]}; this one is older.")
    return " ".join(said)


def _is_older(version: str) -> bool:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < PROVED_WITH


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

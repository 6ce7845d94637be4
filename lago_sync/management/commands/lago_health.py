"""`manage.py lago_health`: configuration, key, version, latency and setup of Lago; exit 0 where all is well, else 1."""

import json
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from lago_sync.models import HealthCheck
from lago_sync.reconcile import health, lag


class Command(BaseCommand):
    help = "Check Lago: configuration, reachable, key, version, latency, metrics, plans, webhooks, wallets; says what to do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, with the figures of lag")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        found = health.check(now=now)
        if options["json"]:
            self.stdout.write(json.dumps(_plain(found, now), indent=2))
        else:
            self._say(found)
        if found.status != health.HEALTHY:
            sys.exit(1)

    def _say(self, found: HealthCheck) -> None:
        self.stdout.write(f"Lago is {found.status}: {found.message}")
        if found.latency_ms is not None:
            self.stdout.write(f"Version {found.version or 'unknown'}, answered in {found.latency_ms} ms.")
        for problem in found.problems:
            stops = " (purchases are stopped)" if problem["stops_purchases"] else ""
            self.stdout.write(f"- {problem['what']}{stops}\n  {problem['do']}")


def _plain(found: HealthCheck, now: datetime) -> dict[str, Any]:
    return {
        "status": found.status,
        "message": found.message,
        "version": found.version,
        "latency_ms": found.latency_ms,
        "checked_at": found.checked_at.isoformat(),
        "last_healthy_at": found.last_healthy_at.isoformat() if found.last_healthy_at else None,
        "stops_purchases": found.stops_purchases,
        "problems": found.problems,
        "lag": lag.measure(now=now).plain(),
    }

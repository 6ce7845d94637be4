"""`manage.py lago_health`: configuration, key, version, latency and setup of Lago; exit 0 where all is well, else 1."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from lago_sync.reconcile import health


class Command(BaseCommand):
    help = "Check Lago: configuration, reachable, key, version, latency, metrics, plans, webhooks, wallets; says what to do."

    def handle(self, *args: Any, **options: Any) -> None:
        found = health.check(now=timezone.now())
        self.stdout.write(f"Lago is {found.status}: {found.message}")
        if found.latency_ms is not None:
            self.stdout.write(f"Version {found.version or 'unknown'}, answered in {found.latency_ms} ms.")
        for problem in found.problems:
            stops = " (purchases are stopped)" if problem["stops_purchases"] else ""
            self.stdout.write(f"- {problem['what']}{stops}\n  {problem['do']}")
        if found.status != health.HEALTHY:
            sys.exit(1)

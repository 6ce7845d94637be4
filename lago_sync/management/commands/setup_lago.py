"""`manage.py setup_lago`: plans, metrics and webhook endpoint on an empty Lago; twice is once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from lago_sync.errors import LagoIntegrationError
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import catalogue


class Command(BaseCommand):
    help = (
        "Make the metrics, plans and the webhook endpoint that the portal needs at Lago; what is there stays."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            said = installing.install(webhook_url=guard.webhook_url(), now=now)
            catalogue.refresh(now=now)  # so that plans can be chosen at once
        except LagoIntegrationError as error:
            raise CommandError(error.message) from error
        for sentence in said:
            self.stdout.write(sentence)

"""`manage.py replay_webhooks`: webhooks whose handling failed too often are handled again."""

from datetime import datetime

from django.db.models import QuerySet

from lago_sync.inbox import handling
from lago_sync.management.replaying import OPERATOR, ReplayCommand
from lago_sync.models import WebhookMessage


class Command(ReplayCommand[WebhookMessage]):
    help = "Handle dead letters of the inbox again, oldest first, and print each with what went wrong; each only makes the portal look at Lago."

    def dead(self, *, organization: str, since: datetime | None) -> QuerySet[WebhookMessage]:
        return handling.dead(organization=organization, since=since)

    def replay(self, letter: WebhookMessage, now: datetime) -> None:
        handling.replay(message=letter, by=OPERATOR, now=now)

    def line(self, letter: WebhookMessage) -> str:
        came = f"{letter.received_at:%Y-%m-%d %H:%M:%S}"
        return f"{came} {letter.webhook_type or '(no type)'} {letter.unique_key}: {letter.last_error}"

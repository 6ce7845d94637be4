"""`manage.py replay_outbox`: events that were refused or failed too often are sent again, under the ids they always had."""

from datetime import datetime

from django.db.models import QuerySet

from lago_sync.management.replaying import OPERATOR, ReplayCommand
from lago_sync.models import OutboxEvent
from lago_sync.outbox import delivery


class Command(ReplayCommand[OutboxEvent]):
    help = "Send dead letters of the outbox again, oldest first, and print each with what Lago said; one that Lago has is no second event."

    def dead(self, *, organization: str, since: datetime | None) -> QuerySet[OutboxEvent]:
        return delivery.dead(organization=organization, since=since)

    def replay(self, letter: OutboxEvent, now: datetime) -> None:
        delivery.replay(event=letter, by=OPERATOR, now=now)

    def line(self, letter: OutboxEvent) -> str:
        made = f"{letter.created_at:%Y-%m-%d %H:%M:%S}"
        return f"{made} {letter.organization} {letter.code} {letter.transaction_id}: {letter.last_error}"

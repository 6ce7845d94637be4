"""Admin page of the outbox: seen, and dead letters sent again; an event is never edited."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from kit.admin import ReadOnlyAdmin
from lago_sync.models import OutboxEvent
from lago_sync.outbox import delivery
from orgs.admin.acts import actor


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin[OutboxEvent]):
    list_display = (
        "transaction_id",
        "organization",
        "code",
        "state",
        "attempts",
        "failures",
        "created_at",
        "due_at",
        "delivered_at",
        "last_error",
    )
    list_filter = ("state",)
    search_fields = ("transaction_id__exact", "organization__exact")
    ordering = ("-pk",)
    actions = ("replay",)

    @admin.action(description="Send dead letters again", permissions=["view"])
    def replay(self, request: HttpRequest, chosen: QuerySet[OutboxEvent]) -> None:
        by, now = actor(request), timezone.now()
        self.each(request, chosen, lambda one: delivery.replay(event=one, by=by, now=now))

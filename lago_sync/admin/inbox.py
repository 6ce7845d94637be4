"""Admin page of the inbox: webhooks as they came, and dead letters handled again."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from kit.admin import ReadOnlyAdmin
from lago_sync.inbox import handling
from lago_sync.models import WebhookMessage
from orgs.admin.acts import actor


@admin.register(WebhookMessage)
class WebhookMessageAdmin(ReadOnlyAdmin[WebhookMessage]):
    list_display = (
        "unique_key",
        "webhook_type",
        "state",
        "attempts",
        "failures",
        "received_at",
        "due_at",
        "handled_at",
        "last_error",
    )
    list_filter = ("state",)
    search_fields = ("unique_key__exact",)
    ordering = ("-pk",)
    actions = ("replay",)

    @admin.action(description="Handle dead letters again", permissions=["view"])
    def replay(self, request: HttpRequest, chosen: QuerySet[WebhookMessage]) -> None:
        by, now = actor(request), timezone.now()
        self.each(request, chosen, lambda one: handling.replay(message=one, by=by, now=now))

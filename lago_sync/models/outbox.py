"""The outbox: what Lago must be told, written in the transaction of what happened."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class OutboxEvent(models.Model):
    """One event on its way to Lago. `transaction_id` and the payload's timestamp are fixed here, once.

    `not_applicable` happened outside any subscription and is never sent; `dead` was refused or failed too often and
    waits for somebody to replay it; `bundled` is sent as part of the event `bundle`. `failures` counts, of all attempts, those in which Lago refused this event and those
    that nobody came back from: it goes up before sending and down again where Lago judged nothing.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        NOT_APPLICABLE = "not_applicable"
        DEAD = "dead"
        BUNDLED = "bundled"

    organization = models.CharField(max_length=64, help_text="public id")
    transaction_id = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=64)
    payload = models.JSONField()
    created_at = models.DateTimeField()
    state = models.CharField(
        max_length=16, choices=State.choices, default=State.WAITING, db_default="waiting"
    )
    due_at = models.DateTimeField(
        db_default=Now(), help_text="when it may be sent; while it is being sent, when it may be sent again"
    )
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    failures = models.PositiveSmallIntegerField(default=0, db_default=0)
    last_error = models.CharField(max_length=500, blank=True, default="", db_default="")
    delivered_at = models.DateTimeField(null=True, blank=True)
    bundle = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "delivered", "not_applicable", "dead", "bundled"]),
                name="outbox_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="bundled", bundle__isnull=False) | ~Q(state="bundled") & Q(bundle=None),
                name="outbox_bundled_says_in_what",
            ),
            models.CheckConstraint(
                condition=Q(state="delivered", delivered_at__isnull=False)
                | ~Q(state="delivered") & Q(delivered_at=None),
                name="outbox_delivered_says_when",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "id"], name="outbox_by_organization"),
            models.Index(fields=["due_at", "id"], condition=Q(state="waiting"), name="outbox_waiting_by_due"),
            models.Index(
                fields=["due_at", "id"],
                condition=Q(state="waiting", failures__gt=0),
                name="outbox_failed_by_due",
            ),
            models.Index(fields=["id"], condition=Q(state="dead"), name="outbox_dead"),
            models.Index(fields=["bundle"], condition=Q(state="bundled"), name="outbox_by_bundle"),
            models.Index(
                fields=["organization", "created_at", "code"],
                condition=~Q(code="credits_used"),
                name="outbox_other_events",
            ),
        ]

    def __str__(self) -> str:
        return self.transaction_id

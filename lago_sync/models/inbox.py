"""The inbox: webhooks as they came, kept until they are handled."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class WebhookMessage(models.Model):
    """One verified webhook of Lago. It says only that something changed: what is true is fetched from Lago.

    `unique_key` is the same on every repeat of a delivery. `ignored` is of a kind that changes nothing here. `failures`
    counts, of all attempts, those that raised and those that nobody came back from.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        HANDLED = "handled"
        IGNORED = "ignored"
        DEAD = "dead"

    unique_key = models.CharField(max_length=128, unique=True)
    webhook_type = models.CharField(max_length=64)
    body = models.TextField(help_text="as it was signed")
    body_digest = models.CharField(max_length=64, blank=True, db_default="", default="", help_text="SHA-256")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "handled", "ignored", "dead"]),
                name="webhook_state_is_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["due_at", "id"], condition=Q(state="waiting"), name="webhook_waiting_by_due"
            ),
            models.Index(fields=["-id"], condition=Q(state="dead"), name="webhook_dead"),
            models.Index(fields=["body_digest"], condition=~Q(body_digest=""), name="webhook_by_body"),
        ]

    def __str__(self) -> str:
        return f"{self.webhook_type} {self.unique_key}"


class WebhookKey(models.Model):
    """The public key that Lago signs webhooks with (RS256), pinned: another one is taken only by `setup_lago`."""

    address = models.CharField(
        primary_key=True, max_length=500, help_text="of Lago's API, which it was fetched from"
    )
    pem = models.TextField()
    pinned_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address

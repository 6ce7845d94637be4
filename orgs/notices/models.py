"""Notices, and which kinds of them a person wants by e-mail."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from kit.identifiers import uuid7
from orgs.models import Organization, User


class Notice(models.Model):
    """One thing that one person is told, once per crossing. Its words were written when it happened.

    `lines` are sentences; `action` and `path` are the one thing to do about it, an address within the portal.
    """

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        DANGER = "danger"
        SUCCESS = "success"

    class Mail(models.TextChoices):
        """What becomes of the mail: it waits, was sent, nobody wants it, or it could not be sent."""

        PENDING = "pending"
        SENT = "sent"
        OFF = "off"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=160)
    crossing = models.CharField(max_length=160)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    title = models.CharField(max_length=200)
    lines = models.JSONField(default=list)
    action = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=300, blank=True)
    attachment = models.CharField(max_length=200, blank=True, help_text="what the mail carries along")
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=8, choices=Mail.choices, default=Mail.PENDING)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mail_due_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["user", "kind", "subject", "crossing"], name="notice_once_per_crossing"
            ),
            models.CheckConstraint(
                condition=Q(mail__in=["pending", "sent", "off", "failed"])
                & Q(level__in=["info", "warning", "danger", "success"]),
                name="notice_words_are_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-id"], name="notice_newest_first"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notice_unread"),
            models.Index(fields=["mail_due_at"], condition=Q(mail="pending"), name="notice_to_mail"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.user_id}"


class Preference(models.Model):
    """A kind that a person switched off by e-mail; the inbox shows it all the same."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "kind"], name="preference_once_per_kind"),
        ]

    def __str__(self) -> str:
        return f"no mail about {self.kind} for {self.user_id}"

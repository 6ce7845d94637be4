"""Audit events and the head of each organization's chain."""

from typing import ClassVar

from django.db import models

PLATFORM = "platform"
"""The chain of what belongs to no organization."""


class AuditEvent(models.Model):
    """One act. Append-only by trigger; text and JSON only, no foreign keys, so that evidence outlives what it names."""

    organization = models.CharField(max_length=64, help_text="public id, or `platform`")
    sequence = models.BigIntegerField()
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor = models.CharField(max_length=64)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=128, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "sequence"], name="audit_sequence_once_per_organization"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "action", "-sequence"], name="audit_event_by_action"),
            models.Index(fields=["organization", "actor", "-sequence"], name="audit_event_by_actor"),
            models.Index(fields=["organization", "target", "-sequence"], name="audit_event_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.organization} #{self.sequence} {self.action}"


class AuditHead(models.Model):
    """The last link of one chain: the row that appending locks, last of all locks."""

    organization = models.CharField(max_length=64, primary_key=True)
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.organization} #{self.sequence}"

"""Changes of a subscription on their way to Lago: recorded first, so that a crash leaves nobody without a plan."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from kit.identifiers import uuid7
from orgs.models import Organization


class PlanChange(models.Model):
    """One change that somebody asked for: recorded, told to Lago, seen there.

    `pending` may or may not have reached Lago: whoever takes its lease looks there before sending anything. `applied`
    was seen at Lago; `refused` was not done, and `last_error` says why.
    """

    class Kind(models.TextChoices):
        SUBSCRIBE = "subscribe"
        UPGRADE = "upgrade"
        DOWNGRADE = "downgrade"
        CANCEL = "cancel"
        TAKE_BACK = "take_back"

    class Status(models.TextChoices):
        PENDING = "pending"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="plan_changes")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    from_plan_code = models.CharField(max_length=64, blank=True)
    plan_code = models.CharField(max_length=64, blank=True, help_text="Lago's code of the plan asked for")
    billing_time = models.CharField(max_length=16, blank=True)
    period_end = models.DateTimeField(null=True, help_text="of the period in which it was asked for")
    price_change = models.JSONField(default=dict, help_text="what the preview said when it was confirmed")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    made_by = models.CharField(max_length=64, help_text="public id of the user or key that asked")
    made_by_kind = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(kind__in=["subscribe", "upgrade", "downgrade", "cancel", "take_back"]),
                name="plan_change_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(status="pending", ended_at=None)
                | Q(status__in=["applied", "refused"], ended_at__isnull=False),
                name="plan_change_ended_says_when",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(status="pending"),
                name="plan_change_one_at_a_time",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="plan_change_newest_first"),
            models.Index(fields=["due_at"], condition=Q(status="pending"), name="plan_change_open_by_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.plan_code or 'none'}"

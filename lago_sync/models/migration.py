"""Customers moved from users to organizations, and organizations made from a list: a row for each, kept for ever."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from orgs.models import Organization


class CustomerMigration(models.Model):
    """One user-based customer on its way to an organization's: each step is noted once it was seen at Lago.

    `step` is the last one that is done; a run after a crash goes on behind it.
    """

    class Status(models.TextChoices):
        STARTED = "started"
        DONE = "done"
        FAILED = "failed"

    from_external_id = models.CharField(max_length=128, unique=True, help_text="Lago's customer before")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, null=True, related_name="+")
    organization_public_id = models.CharField(max_length=64)
    organization_name = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.STARTED)
    step = models.CharField(max_length=32, blank=True)
    plan_code = models.CharField(max_length=64, blank=True)
    wallet_credits = models.DecimalField(max_digits=24, decimal_places=6, default=0)
    wallet_cents = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    facts = models.JSONField(default=dict, help_text="what was found before and seen after, for --verify")
    last_error = models.CharField(max_length=500, blank=True)
    made_by = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(status__in=["started", "done", "failed"]), name="migration_status_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.from_external_id} to {self.organization_public_id}"


class Provision(models.Model):
    """One organization of a list that was provisioned; `name_key` makes a second run of the list find it."""

    name_key = models.CharField(max_length=160, unique=True, help_text="the list's own key of the line")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, null=True, related_name="+")
    line = models.JSONField(default=dict, help_text="as the list said it")
    step = models.CharField(max_length=32, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    made_by = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name_key

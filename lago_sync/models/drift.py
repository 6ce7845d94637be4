"""What differs between the portal and Lago, and how far the poll has read."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Watermark(models.Model):
    """How far one kind of Lago's objects was read: everything that Lago made before `through` has been seen here.

    A run that is cut short goes on at `page`; what it saw since `began_at` counts once it has come to its end.
    """

    name = models.CharField(
        max_length=32,
        primary_key=True,
        help_text="customers, subscriptions, invoices, payments, wallets, plans",
    )
    through = models.DateTimeField(null=True, blank=True)
    ran_at = models.DateTimeField(
        null=True, blank=True, help_text="when the last run ended that read to its end"
    )
    page = models.PositiveIntegerField(
        default=0, help_text="where a run that is not over goes on; 0: none is under way"
    )
    began_at = models.DateTimeField(null=True, blank=True, help_text="when that run began")
    seen = models.PositiveIntegerField(default=0, help_text="objects of that run")

    def __str__(self) -> str:
        return f"{self.name} through {self.through:%Y-%m-%d %H:%M}" if self.through else self.name


class Drift(models.Model):
    """One difference, open until it is found repaired; `subject` is the id of what differs."""

    kind = models.CharField(
        max_length=32, help_text="customer, subscription, invoice, payment, wallet or plan"
    )
    subject = models.CharField(max_length=128)
    organization = models.CharField(max_length=64, blank=True, help_text="public id")
    what = models.CharField(max_length=500)
    do = models.CharField(max_length=500, blank=True, help_text="empty where sync_lago repairs it")
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    repaired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(repaired_at=None), name="drift_open_once"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["-id"], condition=Q(repaired_at=None), name="drift_open")
        ]

    def __str__(self) -> str:
        return self.what

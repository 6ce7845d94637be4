"""Holds: credits reserved for one request before it is made."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from credits.amounts import LARGEST, CreditsField
from credits.models.payers import Allocation, CreditPool
from kit.identifiers import uuid7
from orgs.models import Organization, User


class HoldQuerySet(models.QuerySet["Hold"]):
    def active(self) -> Self:
        """Return holds that nobody has ended yet, overdue ones included."""
        return self.filter(status=Hold.Status.ACTIVE)

    def overdue(self) -> Self:
        """Return active holds whose time is over by the ledger's clock."""
        clock = models.Func(function="portal_clock", output_field=models.DateTimeField())
        return self.active().filter(expires_at__lte=clock)


class Hold(models.Model):
    """A reservation on one payer. It ends exactly once, and a trigger refuses to end it again.

    A zero-credit hold has no payer. Only the payer is a database foreign key, so that placing a hold takes no lock on
    rows that others share.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        CAPTURED = "captured"
        RELEASED = "released"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    department_id = models.BigIntegerField(null=True)
    key_id = models.BigIntegerField(null=True)
    placed_by = models.CharField(max_length=64, help_text="public id of the key or user that placed it")
    pool = models.ForeignKey(
        CreditPool, on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    allocation = models.ForeignKey(
        Allocation, on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    transaction_id = models.CharField(max_length=128)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    credits = CreditsField()
    service = models.CharField(max_length=64)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=128, blank=True)
    byok = models.BooleanField(default=False)
    day = models.DateField(help_text="of the organization's calendar: where its quota was counted")
    counts = models.BooleanField(default=False, help_text="whether a finite quota counted it")
    price = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    captured_content = models.CharField(
        max_length=64, blank=True, help_text="digest of the figures it was captured with"
    )

    objects = models.Manager.from_queryset(HoldQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(credits=0, pool__isnull=True, allocation__isnull=True)
                | Q(credits__gt=0, credits__lte=LARGEST, pool__isnull=False, allocation__isnull=True)
                | Q(credits__gt=0, credits__lte=LARGEST, pool__isnull=True, allocation__isnull=False),
                name="hold_has_one_payer_unless_it_is_free",
            ),
            models.CheckConstraint(
                condition=Q(status="active", ended_at__isnull=True)
                | (~Q(status="active") & Q(ended_at__isnull=False)),
                name="hold_ended_says_when",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "captured", "released", "expired"]),
                name="hold_status_is_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="hold_newest_first"),
            models.Index(fields=["expires_at"], condition=Q(status="active"), name="hold_active_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk} ({self.status})"

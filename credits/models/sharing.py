"""Sharing out: resets of allocations, what new members are given, and members who ask for more."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from credits.amounts import LARGEST, ZERO, CreditsField
from credits.models.payers import Allocation
from kit.identifiers import uuid7
from orgs.models import Department, Membership, Organization, User


class AllocationReset(models.Model):
    """The end of an allocation's period, once per allocation and date; missed dates collapse into the last. Append-only.

    `used` and `held` are those of the period that ended. remaining + `held` + `topped_up` − `returned` + `short` is
    `amount`, where remaining is what the period left: a pool that had too little left it `short`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    allocation = models.ForeignKey(Allocation, on_delete=models.PROTECT, related_name="resets")
    due_at = models.DateTimeField(help_text="the bound between the two periods")
    began_at = models.DateTimeField(help_text="when the period that ended began")
    amount = CreditsField()
    used = CreditsField()
    held = CreditsField()
    remaining = CreditsField()
    returned = CreditsField(default=ZERO)
    topped_up = CreditsField(default=ZERO)
    short = CreditsField(default=ZERO)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["allocation", "due_at"], name="allocation_reset_once_per_date"),
            models.CheckConstraint(
                condition=Q(used__gte=0, held__gte=0, remaining__gte=0, amount__gte=0, amount__lte=LARGEST)
                & Q(returned__gte=0, topped_up__gte=0, short__gte=0)
                & (Q(returned=0) | Q(topped_up=0, short=0)),
                name="allocation_reset_goes_one_way",
            ),
            models.CheckConstraint(
                condition=Q(
                    amount=models.F("remaining")
                    + models.F("held")
                    + models.F("topped_up")
                    + models.F("short")
                    - models.F("returned")
                )
                | Q(held__gt=models.F("amount")),
                name="allocation_reset_restores_the_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"reset of allocation {self.allocation_id} at {self.due_at}"


class StandardAllocation(models.Model):
    """What a new member of this role is given, if the pool can."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16, choices=Membership.Role.choices)
    credits = CreditsField()
    reset_period = models.CharField(
        max_length=8, choices=Allocation.ResetPeriod.choices, default=Allocation.ResetPeriod.NEVER
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "role"], name="standard_allocation_once_per_role"
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST), name="standard_allocation_above_zero"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "admin", "billing_admin", "member"])
                & Q(reset_period__in=["never", "daily", "weekly", "monthly"]),
                name="standard_allocation_words_are_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} in {self.organization_id}"


class CreditRequest(models.Model):
    """A member asks for more. One waits per organization and member; `given` is what was added when it was approved.

    `evidence` is what the form showed: burn rate, forecast and what was left, as of the request.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    department = models.ForeignKey(Department, on_delete=models.PROTECT, null=True, related_name="+")
    credits = CreditsField()
    reason = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    given = CreditsField(null=True)
    answer = models.CharField(max_length=500, blank=True)
    decided_by = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "user"],
                condition=Q(status="pending"),
                name="credit_request_one_waits_per_member",
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST), name="credit_request_above_zero"
            ),
            models.CheckConstraint(
                condition=Q(status="pending", decided_at=None, given=None, decided_by="")
                | (
                    Q(status__in=["declined", "withdrawn"], decided_at__isnull=False, given=None)
                    & ~Q(decided_by="")
                )
                | (
                    Q(status="approved", decided_at__isnull=False, given__isnull=False, given__gt=0)
                    & ~Q(decided_by="")
                ),
                name="credit_request_is_decided_whole",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="credit_request_newest_first"),
        ]

    def __str__(self) -> str:
        return f"request {self.pk} ({self.status})"

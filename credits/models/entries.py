"""Grants and ledger entries: every movement of credits that is not a charge, append-only."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from credits.amounts import LARGEST, CreditsField
from credits.models.payers import Allocation, CreditPool
from kit.identifiers import uuid7
from orgs.models import Organization


class Grant(models.Model):
    """Credits that entered an organization's pool, once per source and reference."""

    class Source(models.TextChoices):
        PURCHASE = "purchase"
        PLAN = "plan"
        PROMOTION = "promotion"
        GOODWILL = "goodwill"
        ADJUSTMENT = "adjustment"
        MIGRATION = "migration"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="grants")
    source = models.CharField(max_length=16, choices=Source.choices)
    credits = CreditsField()
    reference = models.CharField(max_length=128)
    reason = models.CharField(max_length=500, blank=True)
    granted_by = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "source", "reference"], name="grant_once_per_reference"
            ),
            models.CheckConstraint(condition=Q(credits__gt=0, credits__lte=LARGEST), name="grant_above_zero"),
            models.CheckConstraint(
                condition=Q(
                    source__in=["purchase", "plan", "promotion", "goodwill", "adjustment", "migration"]
                ),
                name="grant_source_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} grant {self.pk}"


_TO_POOL = Q(target_pool__isnull=False, target_allocation__isnull=True)
_TO_ALLOCATION = Q(target_pool__isnull=True, target_allocation__isnull=False)
_TO_NOWHERE = Q(target_pool__isnull=True, target_allocation__isnull=True)
_FROM_POOL = Q(source_pool__isnull=False, source_allocation__isnull=True)
_FROM_ALLOCATION = Q(source_pool__isnull=True, source_allocation__isnull=False)
_FROM_NOWHERE = Q(source_pool__isnull=True, source_allocation__isnull=True)


class LedgerEntry(models.Model):
    """One movement of credits between pools and allocations, or in or out of the organization.

    The meaning stands in the columns, not in a sign: `amount` is above zero and goes from the source to the target.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        TRANSFER = "transfer"
        ALLOCATE = "allocate"
        DEALLOCATE = "deallocate"
        EXPIRE = "expire"
        WITHDRAW = "withdraw"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    amount = CreditsField()
    source_pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, null=True, related_name="+")
    source_allocation = models.ForeignKey(Allocation, on_delete=models.PROTECT, null=True, related_name="+")
    target_pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, null=True, related_name="+")
    target_allocation = models.ForeignKey(Allocation, on_delete=models.PROTECT, null=True, related_name="+")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, null=True, related_name="entries")
    reason = models.CharField(max_length=500, blank=True)
    made_by = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, amount__lte=LARGEST), name="ledger_entry_above_zero"
            ),
            models.CheckConstraint(
                condition=(Q(kind="grant", grant__isnull=False) & _FROM_NOWHERE & _TO_POOL)
                | (Q(kind="transfer") & _FROM_POOL & _TO_POOL)
                | (Q(kind="allocate") & _FROM_POOL & _TO_ALLOCATION)
                | (Q(kind="deallocate") & _FROM_ALLOCATION & _TO_POOL)
                | (Q(kind__in=["expire", "withdraw"]) & (_FROM_POOL | _FROM_ALLOCATION) & _TO_NOWHERE),
                name="ledger_entry_goes_where_its_kind_goes",
            ),
            models.UniqueConstraint(
                fields=["grant"], condition=Q(kind="grant"), name="ledger_entry_one_grant_entry_per_grant"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="ledger_entry_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

"""Grants and ledger entries: every movement of credits that is not a charge, append-only."""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credits.amounts import LARGEST, ZERO, CreditsField
from credits.models.payers import Allocation, CreditPool
from credits.models.sharing import AllocationReset
from kit.identifiers import uuid7
from orgs.models import Organization


class Grant(models.Model):
    """Credits that entered an organization's pool, once per source and reference. Append-only.

    `paid_cents` is what was paid for it, in minor units of `currency`; null where nothing was. What is left of it stands
    in its `GrantBalance`.
    """

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
    priority = models.PositiveSmallIntegerField(help_text="lower ones are used first")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="as promised; empty is never")
    paid_cents = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    granted_by = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "source", "reference"], name="grant_once_per_reference"
            ),
            models.CheckConstraint(
                condition=Q(paid_cents__isnull=True, currency="")
                | (Q(paid_cents__isnull=False, paid_cents__gte=0) & ~Q(currency="")),
                name="grant_paid_names_its_currency",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
                name="grant_expires_after_it_was_made",
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


class GrantBalance(models.Model):
    """What became of a grant's credits: `credits` less what was consumed, expired and withdrawn is left.

    A cache that `grants.burn` fills from what payers have spent, and that `reconcile_credits` proves. `expires_at` is
    the one that counts: a renewal brings it forward.
    """

    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, primary_key=True, related_name="balance")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    credits = CreditsField()
    consumed = CreditsField(default=ZERO)
    expired = CreditsField(default=ZERO)
    withdrawn = CreditsField(default=ZERO)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(consumed__gte=0, expired__gte=0, withdrawn__gte=0, credits__lte=LARGEST)
                & Q(credits__gte=F("consumed") + F("expired") + F("withdrawn")),
                name="grant_balance_uses_no_more_than_was_granted",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["expires_at"],
                condition=Q(expires_at__isnull=False)
                & Q(credits__gt=F("consumed") + F("expired") + F("withdrawn")),
                name="grant_balance_next_to_expire",
            ),
        ]

    def __str__(self) -> str:
        return f"balance of grant {self.grant_id}"

    @property
    def left(self) -> Decimal:
        """What can still be spent, expire or be withdrawn, as of the last burn."""
        return self.credits - self.consumed - self.expired - self.withdrawn


class Withdrawal(models.Model):
    """Credits of a grant taken back because their payment was, once per reference. Append-only.

    `withdrawn` left the books; `owed` had been used already, and is not the ledger's to collect.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="withdrawals")
    reference = models.CharField(max_length=128)
    credits = CreditsField(help_text="asked for: withdrawn + owed")
    withdrawn = CreditsField()
    owed = CreditsField()
    reason = models.CharField(max_length=500)
    made_by = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "reference"], name="withdrawal_once_per_reference"
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST, withdrawn__gte=0, owed__gte=0)
                & Q(credits=F("withdrawn") + F("owed")),
                name="withdrawal_is_taken_or_owed",
            ),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"


class ProposedGrant(models.Model):
    """A grant above the threshold, which another system admin approves or declines."""

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DECLINED = "declined"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=16, choices=Grant.Source.choices)
    credits = CreditsField()
    reference = models.CharField(max_length=128)
    reason = models.CharField(max_length=500)
    expires_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    proposed_by = models.CharField(max_length=64)
    proposed_at = models.DateTimeField()
    decided_by = models.CharField(max_length=64, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "source", "reference"], name="proposed_grant_once_per_reference"
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST), name="proposed_grant_above_zero"
            ),
            models.CheckConstraint(
                condition=Q(status="pending", decided_by="", decided_at=None, grant=None)
                | (Q(status="declined", decided_at__isnull=False, grant=None) & ~Q(decided_by=""))
                | (Q(status="approved", decided_at__isnull=False, grant__isnull=False) & ~Q(decided_by="")),
                name="proposed_grant_is_decided_whole",
            ),
            models.CheckConstraint(
                condition=~Q(decided_by=F("proposed_by")), name="proposed_grant_is_decided_by_another"
            ),
        ]

    def __str__(self) -> str:
        return f"proposed grant {self.pk} ({self.status})"


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
        RESET = "reset"
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
    reset = models.OneToOneField(AllocationReset, on_delete=models.PROTECT, null=True, related_name="entry")
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
                | (
                    Q(kind="reset", reset__isnull=False)
                    & ((_FROM_POOL & _TO_ALLOCATION) | (_FROM_ALLOCATION & _TO_POOL))
                )
                | (Q(kind__in=["expire", "withdraw"]) & (_FROM_POOL | _FROM_ALLOCATION) & _TO_NOWHERE),
                name="ledger_entry_goes_where_its_kind_goes",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["expire", "withdraw"]) | Q(grant__isnull=False),
                name="ledger_entry_that_leaves_names_its_grant",
            ),
            models.CheckConstraint(
                condition=Q(kind="reset") | Q(reset__isnull=True), name="ledger_entry_only_a_reset_names_one"
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

"""The rows that pay: credit pools and allocations. Whoever spends locks exactly one of them.

Balances are a checked cache: `reconcile_credits` proves them against entries, holds and usage records.
"""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credits.amounts import LARGEST, ZERO, CreditsField
from orgs.models import Department, Organization, User


class CreditPool(models.Model):
    """Where credits lie: one for an organization, one for each department that was funded.

    `spent` is what charges took from this pool in its whole life, less reversals. Below `alert_below` available credits
    those who share it out are told; empty is never.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="credit_pools")
    department = models.OneToOneField(
        Department, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_pool"
    )
    available = CreditsField(default=ZERO)
    held = CreditsField(default=ZERO)
    spent = CreditsField(default=ZERO)
    overdraft_limit = CreditsField(default=ZERO)
    alert_below = CreditsField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(alert_below__isnull=True) | Q(alert_below__gt=0, alert_below__lte=LARGEST),
                name="credit_pool_alert_above_zero",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(department__isnull=True),
                name="credit_pool_one_per_organization",
            ),
            models.CheckConstraint(
                condition=Q(available__gte=-F("overdraft_limit"), available__lte=LARGEST),
                name="credit_pool_not_below_its_overdraft",
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0, held__lte=LARGEST), name="credit_pool_held_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(spent__gte=0, spent__lte=LARGEST), name="credit_pool_spent_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(overdraft_limit__gte=0, overdraft_limit__lte=LARGEST)
                & (Q(department__isnull=True) | Q(overdraft_limit=0)),
                name="credit_pool_overdraft_only_of_an_organization",
            ),
        ]

    def __str__(self) -> str:
        return f"pool {self.pk} of {self.organization_id}"


class Allocation(models.Model):
    """A member's share of a pool, moved out of the pool's available credits when it was given.

    `used` counts from `opened_at`, the start of the present period; `spent` is the whole life. A closed one (revoked,
    expired) is a limit of 0; only `is_limited = False` lets its member spend from a pool again.

    `amount` is what was set, and what a reset restores. Periods are counted from the date `anchored_on` in the
    organization's time zone; `resets_at` is the first instant after the present one, in UTC. `expires_at` stays after
    the allocation was closed by it.
    """

    class ResetPeriod(models.TextChoices):
        """How often the amount is restored."""

        NEVER = "never"
        DAILY = "daily"
        WEEKLY = "weekly"
        MONTHLY = "monthly"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="allocations")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="allocations")
    pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, related_name="allocations")
    remaining = CreditsField(default=ZERO)
    held = CreditsField(default=ZERO)
    used = CreditsField(default=ZERO)
    spent = CreditsField(default=ZERO)
    amount = CreditsField(default=ZERO)
    is_limited = models.BooleanField(default=True)
    notes = models.CharField(max_length=500, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    reset_period = models.CharField(max_length=8, choices=ResetPeriod.choices, default=ResetPeriod.NEVER)
    anchored_on = models.DateField(null=True, blank=True)
    resets_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(amount__gte=0, amount__lte=LARGEST), name="allocation_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(reset_period="never", anchored_on=None, resets_at=None)
                | Q(
                    reset_period__in=["daily", "weekly", "monthly"],
                    anchored_on__isnull=False,
                    resets_at__isnull=False,
                    closed_at=None,
                ),
                name="allocation_that_resets_is_open_and_says_when",
            ),
            models.UniqueConstraint(fields=["organization", "user"], name="allocation_one_per_member"),
            models.CheckConstraint(
                condition=Q(remaining__gte=0, remaining__lte=LARGEST),
                name="allocation_remaining_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0, held__lte=LARGEST), name="allocation_held_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(used__gte=0, used__lte=LARGEST), name="allocation_used_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(spent__gte=0, spent__lte=LARGEST), name="allocation_spent_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(remaining=0), name="allocation_closed_keeps_nothing"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["resets_at"], condition=Q(resets_at__isnull=False), name="allocation_next_to_reset"
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(expires_at__isnull=False, closed_at=None),
                name="allocation_next_to_expire",
            ),
        ]

    def __str__(self) -> str:
        return f"allocation {self.pk} of {self.user_id} in {self.organization_id}"

    @property
    def allocated(self) -> Decimal:
        """The amount set for the present period: used + held + remaining."""
        return self.used + self.held + self.remaining

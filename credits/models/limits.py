"""Limits: counters of quotas, budgets and what is used of hard ones, refusals, and thresholds that were crossed."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from credits.amounts import LARGEST, ZERO, CreditsField
from kit.identifiers import uuid7
from orgs.models import Department, Organization, User


class QuotaUsage(models.Model):
    """Calls counted in one period; only organizations on a plan with a finite quota have rows."""

    class Period(models.TextChoices):
        DAY = "day"
        MONTH = "month"

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    period = models.CharField(max_length=8, choices=Period.choices)
    starts_on = models.DateField()
    used = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "quota usage"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "period", "starts_on"], name="quota_usage_once_per_period"
            ),
            models.CheckConstraint(condition=models.Q(used__gte=0), name="quota_usage_not_negative"),
            models.CheckConstraint(
                condition=models.Q(period__in=["day", "month"]), name="quota_usage_period_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.period} {self.starts_on}"


class Budget(models.Model):
    """A ceiling on the credits of a calendar day, week or month that an organization sets itself.

    A hard one refuses holds and charges beyond it, a soft one only tells. `subject` names whose use counts: empty for
    the organization, else the department's key, the user's key in hex, or the model. `since` is the first day it counts.
    """

    class Scope(models.TextChoices):
        ORGANIZATION = "organization"
        DEPARTMENT = "department"
        MEMBER = "member"
        MODEL = "model"

    class Period(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=16, choices=Scope.choices)
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    model = models.CharField(max_length=128, blank=True)
    subject = models.CharField(max_length=128, blank=True)
    period = models.CharField(max_length=8, choices=Period.choices)
    credits = CreditsField()
    is_hard = models.BooleanField(default=False)
    since = models.DateField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "scope", "subject", "period", "is_hard"],
                condition=Q(archived_at=None),
                name="budget_once_per_subject_and_period",
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST), name="budget_above_zero"
            ),
            models.CheckConstraint(
                condition=Q(scope="organization", department=None, user=None, model="", subject="")
                | (Q(scope="department", department__isnull=False, user=None, model="") & ~Q(subject=""))
                | (Q(scope="member", department=None, user__isnull=False, model="") & ~Q(subject=""))
                | (Q(scope="model", department=None, user=None, subject=models.F("model")) & ~Q(model="")),
                name="budget_names_its_subject",
            ),
            models.CheckConstraint(
                condition=Q(period__in=["day", "week", "month"]), name="budget_period_is_known"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["organization"], condition=Q(is_hard=True, archived_at=None), name="budget_live_hard"
            ),
        ]

    def __str__(self) -> str:
        return f"budget {self.public_id}"


class BudgetUsage(models.Model):
    """What is used and held of a hard budget in one period: the row that its spenders share, locked after holds.

    A checked cache: `used` is the rollups' credits of the period and subject, `held` those of active holds.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="usage")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    starts_on = models.DateField()
    used = CreditsField(default=ZERO)
    held = CreditsField(default=ZERO)

    class Meta:
        verbose_name_plural = "budget usage"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["budget", "starts_on"], name="budget_usage_once_per_period"),
            models.CheckConstraint(condition=Q(held__gte=0), name="budget_usage_held_not_negative"),
        ]

    def __str__(self) -> str:
        return f"budget {self.budget_id} from {self.starts_on}"


class Refusal(models.Model):
    """Holds and charges refused in one hour, per organization, member and limit; becomes one audit event.

    `hour` is its first instant. Without a member it is the organization itself. `limit` is the kind of limit that bit
    (allocation, pool, quota, budget), or the error's code where no limit did.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    member = models.UUIDField(help_text="the user's key, zeros for the organization itself")
    code = models.CharField(max_length=64)
    limit = models.CharField(max_length=64)
    scope = models.CharField(max_length=128, blank=True)
    hour = models.DateTimeField()
    count = models.PositiveIntegerField()
    needed = models.CharField(max_length=40, blank=True, help_text="of the last one, as the answer said it")
    remaining = models.CharField(max_length=40, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    audited_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "member", "code", "limit", "scope", "hour"],
                name="refusal_once_per_limit_and_hour",
            ),
            models.CheckConstraint(condition=Q(count__gt=0), name="refusal_happened"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["hour"], condition=Q(audited_at=None), name="refusal_not_audited"),
        ]

    def __str__(self) -> str:
        return f"{self.count} × {self.code} in {self.organization_id}"


class Crossing(models.Model):
    """A threshold that is crossed now. Going back deletes the row, so that the next crossing is a new one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=160, help_text="what crossed it, in which period")
    step = models.PositiveSmallIntegerField(help_text="percent, or 0 where there is only one threshold")
    crossed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "kind", "subject", "step"], name="crossing_once_per_step"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.step}"

"""What was spent: usage records, their transaction keys, the rollups that pages read, and open shortfalls."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credits.amounts import LARGEST, ZERO, CreditsField
from credits.models.payers import Allocation, CreditPool
from kit.identifiers import uuid7
from orgs.models import Organization, User


class TransactionKey(models.Model):
    """The id of a hold or charge, once per organization: what makes a repeat harmless (law 5)."""

    class Kind(models.TextChoices):
        HOLD = "hold"
        CHARGE = "charge"

    pk = models.CompositePrimaryKey("organization_id", "transaction_id")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    transaction_id = models.CharField(max_length=128)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    subject = models.UUIDField(help_text="the hold or the usage record")
    content = models.CharField(max_length=64, help_text="digest of the parsed request")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(kind__in=["hold", "charge"]), name="transaction_key_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.transaction_id


class UsageRecord(models.Model):
    """A charge, its reversal, or what became of its shortfall. Append-only; answers "who spent what on which request".

    `cost` is the price in credits; `credits` is what the payer gave, `shortfall` the rest. A reversal gives `credits`
    back, and `corrects` names its charge; a settlement takes `credits` for the shortfall of the charge it names; a
    forgiveness moves nothing and cancels `shortfall` of it.
    """

    class Kind(models.TextChoices):
        CHARGE = "charge"
        REVERSAL = "reversal"
        SETTLEMENT = "settlement"
        FORGIVENESS = "forgiveness"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=12, choices=Kind.choices)
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    department_id = models.BigIntegerField(null=True)
    key_id = models.BigIntegerField(null=True)
    pool = models.ForeignKey(
        CreditPool, on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    allocation = models.ForeignKey(
        Allocation, on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    hold_id = models.UUIDField(null=True)
    corrects = models.UUIDField(null=True)
    transaction_id = models.CharField(max_length=128, blank=True)
    credits = CreditsField()
    cost = CreditsField()
    shortfall = CreditsField(default=ZERO)
    late = models.BooleanField(default=False)
    unpriced = models.BooleanField(default=False)
    byok = models.BooleanField(default=False)
    after_the_fact = models.BooleanField(default=False)
    service = models.CharField(max_length=64)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=128, blank=True)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_input_tokens = models.BigIntegerField(default=0)
    price = models.JSONField(default=dict, help_text="how the cost came about")
    metadata = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    made_by = models.CharField(max_length=64)
    day = models.DateField(help_text="of the organization's calendar")
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(credits__gte=0, credits__lte=LARGEST, shortfall__gte=0, shortfall__lte=LARGEST),
                name="usage_record_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(cost=F("credits") + F("shortfall")), name="usage_record_cost_is_taken_or_owed"
            ),
            models.CheckConstraint(
                condition=Q(pool__isnull=True, allocation__isnull=True, credits=0)
                | Q(pool__isnull=False, allocation__isnull=True)
                | Q(pool__isnull=True, allocation__isnull=False),
                name="usage_record_has_one_payer_unless_it_is_free",
            ),
            models.CheckConstraint(
                condition=Q(kind="charge", corrects__isnull=True)
                | (~Q(kind="charge") & Q(corrects__isnull=False)),
                name="usage_record_correction_names_its_charge",
            ),
            models.UniqueConstraint(
                fields=["hold_id"],
                condition=Q(kind="charge", hold_id__isnull=False),
                name="usage_record_one_charge_per_hold",
            ),
            models.UniqueConstraint(
                fields=["corrects"], condition=Q(kind="reversal"), name="usage_record_reversed_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["charge", "reversal", "settlement", "forgiveness"]),
                name="usage_record_kind_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind="forgiveness") | Q(credits=0, shortfall__gt=0),
                name="usage_record_forgiveness_moves_nothing",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="usage_record_newest_first"),
            models.Index(fields=["organization", "user", "-id"], name="usage_record_newest_of_member"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Shortfall(models.Model):
    """The part of a charge that its payer could not give: a debt of the organization until settled or forgiven."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="shortfalls")
    charge_id = models.UUIDField(unique=True)
    amount = CreditsField()
    settled = CreditsField(default=ZERO)
    forgiven = CreditsField(default=ZERO)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, amount__lte=LARGEST, settled__gte=0, forgiven__gte=0)
                & Q(amount__gte=F("settled") + F("forgiven")),
                name="shortfall_not_settled_beyond_its_amount",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["organization", "id"],
                condition=Q(amount__gt=F("settled") + F("forgiven")),
                name="shortfall_open_oldest_first",
            ),
        ]

    def __str__(self) -> str:
        return f"shortfall of {self.charge_id}"


class DailyUsage(models.Model):
    """The one rollup: a row per organization, day and everything usage is attributed to. Empty text and 0 are "none"."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    day = models.DateField()
    department_id = models.BigIntegerField(default=0)
    user_id = models.UUIDField()
    service = models.CharField(max_length=64)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=128, blank=True)
    requests = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    credits = CreditsField(default=ZERO)

    class Meta:
        verbose_name_plural = "daily usage"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "day", "department_id", "user_id", "service", "provider", "model"],
                name="daily_usage_one_row_per_grain",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["day", "organization"], name="daily_usage_of_day"),
            models.Index(fields=["organization", "user_id", "day"], name="daily_usage_of_member"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} on {self.day}"

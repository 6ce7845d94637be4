"""Plans and subscriptions: what the portal must know to count calls and mark up costs. Lago's ids stay in `lago_sync`."""

from typing import ClassVar, Final

from django.db import models
from django.utils import timezone

from orgs.models.organizations import Organization

NO_PLAN: Final = "none"
"""Code of the plan whose limits hold for an organization without a subscription."""


class Plan(models.Model):
    """The limits of a plan; its price is Lago's. A null limit is unlimited."""

    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    daily_calls = models.PositiveIntegerField(null=True, blank=True)
    monthly_calls = models.PositiveIntegerField(null=True, blank=True)
    seats = models.PositiveIntegerField(null=True, blank=True)
    markup_percent = models.DecimalField(max_digits=6, decimal_places=2, default=0)
    included_credits = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(markup_percent__gte=0), name="plan_markup_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The plan an organization is on. Written only by `orgs.subscriptions`."""

    class Status(models.TextChoices):
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due"
        PAUSED = "paused"
        CANCELED = "canceled"
        TERMINATED = "terminated"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    started_at = models.DateTimeField()
    current_period_start = models.DateTimeField()
    current_period_end = models.DateTimeField()
    past_due_since = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(ended_at__isnull=True),
                name="subscription_one_live_per_organization",
            ),
            models.CheckConstraint(
                condition=models.Q(current_period_end__gt=models.F("current_period_start")),
                name="subscription_period_runs_forward",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["trialing", "active", "past_due", "paused", "canceled"], ended_at=None
                )
                | models.Q(status="terminated", ended_at__isnull=False),
                name="subscription_is_terminated_when_it_ended",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="past_due") | models.Q(past_due_since__isnull=False),
                name="subscription_past_due_says_since_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} on {self.plan_id} ({self.status})"


class PlanFee(models.Model):
    """A paid fee, once per subscription, plan and period: what plan credits rest on.

    `full_amount_cents` is the plan's price of a whole period, of which `amount_cents` was due for this one. After an
    upgrade `credited_cents` of `replaced_full_cents`, the price of the `replaced_plan`, was given back for the rest.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="fees")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    amount_cents = models.BigIntegerField()
    full_amount_cents = models.BigIntegerField()
    replaced_plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    credited_cents = models.BigIntegerField(default=0)
    replaced_full_cents = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=128)
    paid_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["subscription", "plan", "period_start"], name="plan_fee_once_per_period"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_cents__gte=0)
                & models.Q(full_amount_cents__gte=models.F("amount_cents")),
                name="plan_fee_is_part_of_the_price",
            ),
            models.CheckConstraint(
                condition=models.Q(credited_cents__gte=0)
                & models.Q(replaced_full_cents__gte=models.F("credited_cents"))
                & (models.Q(replaced_plan__isnull=False) | models.Q(credited_cents=0)),
                name="plan_fee_credit_is_part_of_the_replaced_price",
            ),
            models.CheckConstraint(
                condition=models.Q(period_end__gt=models.F("period_start")),
                name="plan_fee_period_runs_forward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} from {self.period_start:%Y-%m-%d}"

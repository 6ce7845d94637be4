"""What Lago says about subscriptions; plan, status and period as the portal uses them are facts of `orgs`."""

from typing import ClassVar

from django.db import models

from orgs.models import Organization


class LagoSubscription(models.Model):
    """One subscription at Lago. A change of plan there makes a new row with the same `external_id`."""

    lago_id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="lago_subscriptions"
    )
    external_id = models.CharField(max_length=128)
    plan_code = models.CharField(max_length=64)
    plan_name = models.CharField(max_length=120)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    interval = models.CharField(max_length=16)
    billing_time = models.CharField(max_length=16)
    status = models.CharField(max_length=16)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    next_plan_code = models.CharField(max_length=64, blank=True)
    downgrade_at = models.DateField(null=True, blank=True)
    ending_at = models.DateTimeField(null=True, blank=True, help_text="when Lago ends it by itself")
    subscription_at = models.DateTimeField(
        null=True, blank=True, help_text="its periods count from this day, through every change of plan"
    )
    made_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when Lago made it; what began on an earlier day has no invoice of its first period",
    )
    synced_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-started_at"], name="lago_subscription_of_org")
        ]

    def __str__(self) -> str:
        return f"{self.external_id} on {self.plan_code}"

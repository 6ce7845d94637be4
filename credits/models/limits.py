"""Counters of quotas: calls made in a day or a month of the organization's calendar."""

from typing import ClassVar

from django.db import models

from orgs.models import Organization


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

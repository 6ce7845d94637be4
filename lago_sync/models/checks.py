"""What the last looks at Lago found: kept, so that no page has to ask Lago."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from orgs.models import Organization


class HealthCheck(models.Model):
    """The latest check of Lago as a whole; there is one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    checked_at = models.DateTimeField()
    status = models.CharField(max_length=16, help_text="healthy, unhealthy or unreachable")
    message = models.CharField(max_length=500, blank=True)
    version = models.CharField(max_length=64, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    problems = models.JSONField(default=list, help_text="[{what, do, stops_purchases}]")
    last_healthy_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(id=1), name="health_check_is_one_row"),
            models.CheckConstraint(
                condition=Q(status__in=["healthy", "unhealthy", "unreachable"]),
                name="health_check_status_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} at {self.checked_at:%Y-%m-%d %H:%M}"

    @property
    def stops_purchases(self) -> bool:
        """Whether something at Lago would bill credits twice, so that nobody may buy any."""
        return any(one.get("stops_purchases") and not one.get("organization") for one in self.problems)


class Identity(models.Model):
    """The latest comparison of an organization's books with Lago's (product.md §8), figure by figure."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="lago_identity", primary_key=True
    )
    checked_at = models.DateTimeField()
    figures = models.JSONField(help_text="{name: {ours, lagos}}")
    months = models.JSONField(default=dict, help_text="{2026-11: {name: {ours, lagos}}}, UTC")
    differences = models.JSONField(
        default=list, help_text="[{what, why, ours, lagos, month}], empty if all agree"
    )

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return f"{self.organization_id} at {self.checked_at:%Y-%m-%d %H:%M}"

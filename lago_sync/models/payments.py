"""Stored cards, and buying by itself when credits run low."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from credits.amounts import CreditsField
from lago_sync.models.purchases import Package
from orgs.models import Organization


class PaymentMethod(models.Model):
    """A card or account that the payment provider keeps for an organization, as Lago showed it last."""

    lago_id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="payment_methods")
    kind = models.CharField(max_length=32, blank=True)
    brand = models.CharField(max_length=32, blank=True)
    last4 = models.CharField(max_length=4, blank=True)
    expires = models.CharField(max_length=7, blank=True, help_text="2028-04")
    is_default = models.BooleanField(default=False)
    removed_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["organization"], condition=Q(removed_at=None), name="payment_method_of_organization"
            )
        ]

    def __str__(self) -> str:
        return f"{self.brand or self.kind} {self.last4}".strip()


class AutoTopUp(models.Model):
    """What an organization buys by itself once its available credits fall below a threshold.

    The row's lock is what counts against the caps: an automatic purchase is placed only while it is held. It stops
    after a declined payment, and stays stopped until somebody turns it on again.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="auto_top_up", primary_key=True
    )
    is_on = models.BooleanField(default=False)
    threshold = CreditsField(help_text="buys when the organization's pool has less available")
    package = models.ForeignKey(Package, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    credits = CreditsField(null=True, blank=True, help_text="a number of its own instead of a package")
    day_cap_cents = models.BigIntegerField(help_text="most that it orders in a day, in minor units")
    month_cap_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    changed_by = models.CharField(max_length=64)
    changed_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_because = models.CharField(max_length=300, blank=True)
    capped_on = models.DateField(null=True, blank=True, help_text="the last day that a cap held it back")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(package__isnull=False, credits=None)
                | Q(package=None, credits__isnull=False, credits__gt=0),
                name="auto_top_up_buys_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(threshold__gte=0, day_cap_cents__gt=0)
                & Q(month_cap_cents__gte=models.F("day_cap_cents")),
                name="auto_top_up_has_caps",
            ),
            models.CheckConstraint(
                condition=Q(is_on=False) | Q(stopped_at=None), name="auto_top_up_stopped_is_off"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization"], condition=Q(is_on=True), name="auto_top_up_on")
        ]

    def __str__(self) -> str:
        return f"auto top-up of {self.organization_id}"

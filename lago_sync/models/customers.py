"""Which customer and wallet of Lago an organization is."""

from django.db import models
from django.utils import timezone

from orgs.models import Organization


class LagoCustomer(models.Model):
    """An organization at Lago, made at its first purchase or subscription; its `external_id` there is the public id."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="lago_customer", primary_key=True
    )
    lago_id = models.UUIDField(unique=True)
    wallet_id = models.UUIDField(unique=True, null=True, blank=True)
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    subscribing_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="until then one request may be starting a subscription",
    )
    trial_claimed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when its one trial was asked for"
    )
    facts_digest = models.CharField(
        max_length=64, blank=True, default="", help_text="of the billing details that Lago was told last"
    )
    methods_synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    invoices_synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    body = models.JSONField(default=dict, blank=True, editable=False, help_text="as Lago showed it last")
    synced_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when Lago was asked for that"
    )

    def __str__(self) -> str:
        return f"customer {self.lago_id}"

"""Who has which plan, and what was used."""

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.db import models

from lago_sandbox.models.catalogue import Plan
from lago_sandbox.models.customers import Customer
from lago_sandbox.models.fields import Row

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from lago_sandbox.models.invoices import Fee


class Subscription(Row):
    external_id = models.CharField(max_length=255, db_index=True)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="subscriptions")
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="subscriptions")
    previous = models.ForeignKey("self", models.SET_NULL, null=True, related_name="following")
    status = models.CharField(max_length=12)  # pending, active, terminated, canceled
    billing_time = models.CharField(max_length=12)  # calendar, anniversary
    name = models.CharField(max_length=255, default="")
    subscription_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ending_at = models.DateTimeField(null=True)
    terminated_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    trial_ended_at = models.DateTimeField(null=True)
    entitlements = models.JSONField(default=dict)  # what differs from the plan's
    next_billing_at = models.DateTimeField(
        null=True, db_index=True
    )  # start of the next period, not yet invoiced
    on_termination_credit_note = models.CharField(max_length=10, default="credit")
    on_termination_invoice = models.CharField(max_length=10, default="generate")

    customer_id: UUID
    plan_id: UUID
    previous_id: UUID | None
    following: "RelatedManager[Subscription]"
    fees: "RelatedManager[Fee]"
    objects: ClassVar[models.Manager["Subscription"]] = models.Manager()


class Event(Row):
    transaction_id = models.CharField(max_length=255, db_index=True)
    code = models.CharField(max_length=255)
    external_subscription_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null is not deduplicated
    timestamp = models.DateTimeField()
    properties = models.JSONField(default=dict)
    precise_total_amount_cents = models.CharField(max_length=60, null=True)  # noqa: DJ001 - shown as null
    visible_at = models.DateTimeField()  # from when it counts in usage

    objects: ClassVar[models.Manager["Event"]] = models.Manager()

    class Meta:
        indexes = [models.Index(fields=["external_subscription_id", "code", "timestamp"], name="event_usage")]

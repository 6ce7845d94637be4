"""What is sold: metrics, plans and their charges."""

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.db import models

from lago_sandbox.models.fields import Row

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class BillableMetric(Row):
    code = models.CharField(max_length=255, db_index=True)
    name = models.CharField(max_length=255)
    aggregation_type = models.CharField(max_length=30)
    field_name = models.CharField(max_length=255, default="")
    details = models.JSONField(default=dict)
    deleted_at = models.DateTimeField(null=True)

    charges: "RelatedManager[Charge]"
    objects: ClassVar[models.Manager["BillableMetric"]] = models.Manager()


class Plan(Row):
    code = models.CharField(max_length=255, db_index=True)
    name = models.CharField(max_length=255)
    interval = models.CharField(max_length=20)
    amount_cents = models.BigIntegerField()
    amount_currency = models.CharField(max_length=3)
    pay_in_advance = models.BooleanField()
    trial_period = models.FloatField(default=0)
    details = models.JSONField(default=dict)
    entitlements = models.JSONField(default=dict)  # {feature code: {privilege code: value}}
    pending_deletion = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True)

    charges: "RelatedManager[Charge]"
    objects: ClassVar[models.Manager["Plan"]] = models.Manager()

    @property
    def yearly_amount_cents(self) -> int:
        """The price of a year, by which an upgrade is told from a downgrade."""
        times = {"weekly": 52, "monthly": 12, "quarterly": 4, "semiannual": 2, "yearly": 1}
        return self.amount_cents * times[self.interval]


class Charge(Row):
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="charges")
    metric = models.ForeignKey(BillableMetric, models.CASCADE, related_name="charges")
    code = models.CharField(max_length=255, default="")
    charge_model = models.CharField(max_length=30)
    pay_in_advance = models.BooleanField(default=False)
    invoiceable = models.BooleanField(default=True)
    prorated = models.BooleanField(default=False)
    properties = models.JSONField(default=dict)
    invoice_display_name = models.CharField(max_length=255, default="")
    deleted_at = models.DateTimeField(null=True)

    metric_id: UUID
    objects: ClassVar[models.Manager["Charge"]] = models.Manager()


class Feature(Row):
    code = models.CharField(max_length=255, db_index=True)
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    description = models.CharField(max_length=600, null=True)  # noqa: DJ001 - shown as null
    privileges = models.JSONField(default=list)  # [{code, name, value_type, config}]
    deleted_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Feature"]] = models.Manager()

"""Prepaid credits."""

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.db import models

from lago_sandbox import money
from lago_sandbox.models.customers import Customer
from lago_sandbox.models.fields import ExactDecimal, Row
from lago_sandbox.models.invoices import Invoice

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Wallet(Row):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="wallets")
    code = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    status = models.CharField(max_length=12, default="active")
    currency = models.CharField(max_length=3)
    rate_amount = ExactDecimal()
    priority = models.IntegerField(default=50)
    balance_cents = models.BigIntegerField(default=0)
    consumed_cents = models.BigIntegerField(default=0)
    ongoing_usage_cents = models.BigIntegerField(default=0)
    fee_types = models.JSONField(default=list)
    metric_codes = models.JSONField(default=list)
    invoice_requires_successful_payment = models.BooleanField(default=False)
    minimum_cents = models.BigIntegerField(null=True)
    maximum_cents = models.BigIntegerField(null=True)
    metadata = models.JSONField(null=True)
    rules = models.JSONField(
        default=list
    )  # recurring_transaction_rules as they are shown; only with a licence
    expiration_at = models.DateTimeField(null=True)
    terminated_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)
    consumed_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    customer_id: UUID
    transactions: "RelatedManager[WalletTransaction]"
    objects: ClassVar[models.Manager["Wallet"]] = models.Manager()

    def credits(self, cents: int) -> Decimal:
        return money.credits_of(cents, self.rate_amount, self.currency)


class Alert(Row):
    """A wish to be told when usage or a balance passes a threshold; looked at only with a licence."""

    external_subscription_id = models.CharField(max_length=255, default="", db_index=True)
    wallet = models.ForeignKey(Wallet, models.CASCADE, null=True, related_name="alerts")
    code = models.CharField(max_length=255)
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    alert_type = models.CharField(max_length=60)
    billable_metric_code = models.CharField(max_length=255, default="")
    thresholds = models.JSONField(default=list)  # [{code, value, recurring}]
    previous_value = ExactDecimal(default=Decimal(0))
    last_processed_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Alert"]] = models.Manager()

    @property
    def is_decreasing(self) -> bool:
        """A wallet's alert fires on the way down."""
        return self.wallet_id is not None

    wallet_id: UUID | None


class WalletTransaction(Row):
    wallet = models.ForeignKey(Wallet, models.CASCADE, related_name="transactions")
    status = models.CharField(max_length=12)  # pending, settled, failed
    transaction_status = models.CharField(max_length=12)  # purchased, granted, voided, invoiced
    transaction_type = models.CharField(max_length=12)  # inbound, outbound
    source = models.CharField(max_length=12, default="manual")
    amount_cents = models.BigIntegerField()
    credit_amount = ExactDecimal()
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    priority = models.IntegerField(default=50)
    metadata = models.JSONField(default=list)
    invoice_requires_successful_payment = models.BooleanField(default=False)
    invoice = models.ForeignKey(Invoice, models.SET_NULL, null=True, related_name="wallet_transactions")
    voided_invoice = models.ForeignKey(Invoice, models.SET_NULL, null=True, related_name="recredited")
    settled_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    wallet_id: UUID
    invoice_id: UUID | None
    voided_invoice_id: UUID | None
    objects: ClassVar[models.Manager["WalletTransaction"]] = models.Manager()

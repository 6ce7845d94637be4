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

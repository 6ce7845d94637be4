"""Invoices, what stands in them, and credit notes."""

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.db import models

from lago_sandbox.models.catalogue import Charge
from lago_sandbox.models.customers import Customer, PaymentMethod
from lago_sandbox.models.fields import ExactDecimal, Row
from lago_sandbox.models.subscriptions import Subscription

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from lago_sandbox.models.wallets import WalletTransaction

VISIBLE = ("draft", "finalized", "voided", "failed", "pending")  # open, generating and closed are never shown


class Invoice(Row):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="invoices")
    sequential_id = models.IntegerField()
    number = models.CharField(max_length=60)
    invoice_type = models.CharField(max_length=20)  # subscription, credit
    status = models.CharField(max_length=12)
    payment_status = models.CharField(max_length=12, default="pending")
    currency = models.CharField(max_length=3)
    issuing_date = models.DateField()
    payment_due_date = models.DateField()
    fees_amount_cents = models.BigIntegerField(default=0)
    credit_notes_amount_cents = models.BigIntegerField(default=0)
    prepaid_credit_amount_cents = models.BigIntegerField(default=0)
    prepaid_granted_cents = models.BigIntegerField(default=0)
    total_amount_cents = models.BigIntegerField(default=0)
    total_paid_amount_cents = models.BigIntegerField(default=0)
    payment_token = models.CharField(max_length=40, unique=True)
    file_url = models.CharField(max_length=255, null=True)  # noqa: DJ001 - shown as null
    voided_at = models.DateTimeField(null=True)
    payment_dispute_lost_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    customer_id: UUID
    fees: "RelatedManager[Fee]"
    credits: "RelatedManager[Credit]"
    periods: "RelatedManager[BillingPeriod]"
    metadata: "RelatedManager[InvoiceMetadata]"
    credit_notes: "RelatedManager[CreditNote]"
    payments: "RelatedManager[Payment]"
    wallet_transactions: "RelatedManager[WalletTransaction]"
    objects: ClassVar[models.Manager["Invoice"]] = models.Manager()

    @property
    def is_payable(self) -> bool:
        return self.status in ("finalized", "open") and self.payment_status != "succeeded"


class Fee(Row):
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="fees")
    fee_type = models.CharField(max_length=20)  # subscription, charge, credit
    subscription = models.ForeignKey(Subscription, models.CASCADE, null=True, related_name="fees")
    charge = models.ForeignKey(Charge, models.CASCADE, null=True, related_name="fees")
    item = models.JSONField(default=dict)
    amount_cents = models.BigIntegerField()
    precise_amount_cents = ExactDecimal()
    units = ExactDecimal()
    events_count = models.IntegerField(null=True)
    pay_in_advance = models.BooleanField(default=False)
    from_at = models.DateTimeField(null=True)
    to_at = models.DateTimeField(null=True)
    credited_cents = models.BigIntegerField(default=0)  # given back by credit notes

    charge_id: UUID | None
    invoice_id: UUID
    subscription_id: UUID | None
    objects: ClassVar[models.Manager["Fee"]] = models.Manager()


class BillingPeriod(Row):
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="periods")
    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="periods")
    reason = models.CharField(max_length=40)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    charges_from_at = models.DateTimeField()
    charges_to_at = models.DateTimeField()

    subscription_id: UUID
    invoice_id: UUID
    objects: ClassVar[models.Manager["BillingPeriod"]] = models.Manager()


class InvoiceMetadata(Row):
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="metadata")
    key = models.CharField(max_length=20)
    value = models.CharField(max_length=255)

    objects: ClassVar[models.Manager["InvoiceMetadata"]] = models.Manager()


class CreditNote(Row):
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="credit_notes")
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="credit_notes")
    fee = models.ForeignKey(Fee, models.CASCADE, related_name="credit_notes")
    sequential_id = models.IntegerField()
    number = models.CharField(max_length=60)
    credit_status = models.CharField(max_length=12, default="available")
    reason = models.CharField(max_length=30)
    currency = models.CharField(max_length=3)
    amount_cents = models.BigIntegerField()
    balance_cents = models.BigIntegerField()
    updated_at = models.DateTimeField()

    invoice_id: UUID
    objects: ClassVar[models.Manager["CreditNote"]] = models.Manager()


class Credit(Row):
    """What a credit note paid of an invoice."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="credits")
    credit_note = models.ForeignKey(CreditNote, models.CASCADE, related_name="uses")
    amount_cents = models.BigIntegerField()

    credit_note_id: UUID
    invoice_id: UUID
    objects: ClassVar[models.Manager["Credit"]] = models.Manager()


class Payment(Row):
    """One attempt at the payment provider, or money that a person says has come (`manual`)."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="payments")
    amount_cents = models.BigIntegerField()
    status = models.CharField(max_length=12)  # succeeded, failed
    payment_type = models.CharField(max_length=12)  # manual, provider
    reference = models.CharField(max_length=40, default="")
    provider_payment_id = models.CharField(max_length=40, default="")
    card = models.ForeignKey(PaymentMethod, models.SET_NULL, null=True, related_name="payments")

    invoice_id: UUID
    card_id: UUID | None
    objects: ClassVar[models.Manager["Payment"]] = models.Manager()

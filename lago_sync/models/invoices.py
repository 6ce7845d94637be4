"""Invoices and credit notes as Lago showed them last: what pages and API answer from while Lago is away."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from orgs.models import Organization


class LagoInvoice(models.Model):
    """One invoice of an organization; `synced_at` is its "as of", `body` Lago's whole answer with its fees.

    `mail` says whether it goes to the organization's billing address: as an invoice when it is ready, and a purchase's as
    a receipt once it is paid.
    """

    class Mail(models.TextChoices):
        OFF = "off"
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"

    lago_id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="lago_invoices")
    number = models.CharField(max_length=64)
    invoice_type = models.CharField(max_length=24, help_text="subscription, credit, one_off, …")
    status = models.CharField(max_length=16, help_text="draft, finalized, voided, failed or pending")
    payment_status = models.CharField(max_length=16, help_text="pending, succeeded or failed")
    is_overdue = models.BooleanField(default=False)
    is_disputed = models.BooleanField(default=False, help_text="a dispute over its payment was lost")
    currency = models.CharField(max_length=3)
    total_amount_cents = models.BigIntegerField()
    total_due_amount_cents = models.BigIntegerField(default=0)
    issuing_date = models.DateField()
    payment_due_date = models.DateField(null=True, blank=True)
    payment_url = models.URLField(max_length=2000, blank=True)
    body = models.JSONField(default=dict)
    updated_at = models.DateTimeField(null=True, blank=True, help_text="Lago's own")
    synced_at = models.DateTimeField()
    mail = models.CharField(max_length=8, choices=Mail.choices, default=Mail.OFF)
    mail_due_at = models.DateTimeField(null=True, blank=True)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mailed_to = models.CharField(max_length=254, blank=True)
    paid_to_tell_since = models.DateTimeField(
        null=True, blank=True, help_text="staff marked it as paid, and Lago has not confirmed it yet"
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(mail__in=["off", "pending", "sent", "failed"]), name="lago_invoice_mail_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(mail="pending") | Q(mail_due_at__isnull=False), name="lago_invoice_mail_is_due"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["mail_due_at"], condition=Q(mail="pending"), name="lago_invoice_mail_by_due"
            ),
            models.Index(
                fields=["organization", "-issuing_date", "-lago_id"], name="lago_invoice_newest_first"
            ),
            models.Index(
                fields=["synced_at"],
                condition=Q(status="finalized") & ~Q(payment_status="succeeded"),
                name="lago_invoice_unpaid_by_sync",
            ),
            models.Index(fields=["number"], name="lago_invoice_by_number"),
            models.Index(
                fields=["paid_to_tell_since"],
                condition=Q(paid_to_tell_since__isnull=False),
                name="lago_invoice_paid_to_tell",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class InvoiceDocument(models.Model):
    """The PDF of an invoice, fetched from Lago once; a finalized invoice does not change."""

    invoice = models.OneToOneField(
        LagoInvoice, on_delete=models.CASCADE, related_name="document", primary_key=True
    )
    content = models.BinaryField()
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"PDF of {self.invoice_id}"


class LagoCreditNote(models.Model):
    """What Lago gave back of an invoice's fees."""

    lago_id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="lago_credit_notes")
    invoice_id = models.UUIDField(
        null=True, blank=True, help_text="Lago's id of the invoice that it corrects"
    )
    number = models.CharField(max_length=64)
    reason = models.CharField(max_length=32)
    credit_status = models.CharField(max_length=16, help_text="available, consumed or voided")
    currency = models.CharField(max_length=3)
    total_amount_cents = models.BigIntegerField()
    balance_amount_cents = models.BigIntegerField(default=0)
    issuing_date = models.DateField()
    body = models.JSONField(default=dict)
    synced_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-issuing_date", "-lago_id"], name="lago_credit_note_newest")
        ]

    def __str__(self) -> str:
        return self.number

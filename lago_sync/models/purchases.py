"""Packages of credits, and purchases on their way from an order to a grant."""

from typing import ClassVar, Final
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from credits.amounts import LARGEST_REQUEST, CreditsField
from kit.identifiers import uuid7
from orgs.models import Organization

_KNOWN: Final = [
    "pending",
    "awaiting_payment",
    "declined",
    "abandoned",
    "completed",
    "failed",
    "refunded",
    "disputed",
]
_GRANTED: Final = ["completed", "refunded", "disputed"]


class Package(models.Model):
    """Credits at a price in one currency, edited by system admins."""

    code = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    credits = CreditsField()
    amount_cents = models.BigIntegerField(help_text="minor units of the currency")
    currency = models.CharField(max_length=3)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST_REQUEST), name="package_has_credits"
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="package_has_a_price"),
            models.UniqueConstraint(
                fields=["currency", "credits"],
                condition=Q(is_active=True),
                name="package_one_size_once_per_currency",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Purchase(models.Model):
    """One order of credits: recorded first, then topped up at Lago, paid, verified and granted once.

    `pending` is not known to be at Lago yet; `awaiting_payment` and `declined` have a wallet transaction there, which
    can still be paid; `abandoned` was given up and its invoice voided, and is completed all the same if its payment came
    first; `completed` has its grant; `failed` was refused by Lago, so nothing is owed. `refunded` and `disputed` had their
    grant, and its credits were taken back: all were refunded, or a dispute over the payment was lost.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Being ordered"
        AWAITING_PAYMENT = "awaiting_payment", "Waiting for payment"
        DECLINED = "declined", "Payment declined"
        ABANDONED = "abandoned", "Given up"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        REFUNDED = "refunded", "Refunded"
        DISPUTED = "disputed", "Dispute lost"

    OPEN: ClassVar = (Status.PENDING, Status.AWAITING_PAYMENT, Status.DECLINED)
    GRANTED: ClassVar = (Status.COMPLETED, Status.REFUNDED, Status.DISPUTED)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="purchases")
    package = models.ForeignKey(Package, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    credits = CreditsField()
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=24, choices=Status.choices, default=Status.PENDING)
    made_by = models.CharField(max_length=64, help_text="public id of the user or key that ordered")
    idempotency_key = models.CharField(max_length=128)
    return_url = models.CharField(max_length=500, blank=True)
    is_automatic = models.BooleanField(default=False, help_text="ordered by auto top-up")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    leased_until = models.DateTimeField(
        null=True, blank=True, help_text="until then one worker may be talking to Lago about it"
    )
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now, help_text="when it is looked at again")
    last_error = models.CharField(max_length=500, blank=True)
    drift = models.CharField(
        max_length=500, blank=True, help_text="what Lago has that was not ordered so; staff must look"
    )

    wallet_id = models.UUIDField(null=True, blank=True, help_text="the wallet that the top-up lies in")
    wallet_transaction_id = models.UUIDField(null=True, blank=True, unique=True)
    invoice_id = models.UUIDField(null=True, blank=True, unique=True)
    invoice_number = models.CharField(max_length=64, blank=True)
    payment_url = models.URLField(max_length=2000, blank=True)

    grant_id = models.UUIDField(null=True, blank=True, unique=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    abandoning_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="somebody gave it up, or it is too old; the void is on its way to Lago",
    )
    marked_paid_by = models.CharField(max_length=64, blank=True, help_text="public id of the system admin")
    payment_reference = models.CharField(
        max_length=200, blank=True, help_text="where money that Lago did not see is"
    )
    marked_paid_because = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "made_by", "idempotency_key"], name="purchase_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=LARGEST_REQUEST, amount_cents__gt=0),
                name="purchase_has_credits_and_a_price",
            ),
            models.CheckConstraint(condition=Q(status__in=_KNOWN), name="purchase_status_is_known"),
            models.CheckConstraint(
                condition=Q(
                    status__in=_GRANTED,
                    grant_id__isnull=False,
                    completed_at__isnull=False,
                    wallet_transaction_id__isnull=False,
                    invoice_id__isnull=False,
                )
                | Q(grant_id=None, completed_at=None) & ~Q(status__in=_GRANTED),
                name="purchase_completed_has_its_grant_and_payment",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["awaiting_payment", "declined"])
                | Q(wallet_transaction_id__isnull=False, wallet_id__isnull=False),
                name="purchase_waiting_is_known_to_lago",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(is_automatic=True, status__in=["pending", "awaiting_payment", "declined"]),
                name="purchase_one_open_automatic",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["organization", "-id"], name="purchase_newest_first"),
            models.Index(
                fields=["due_at"],
                condition=Q(status__in=["pending", "awaiting_payment", "declined"]),
                name="purchase_open_by_due",
            ),
            models.Index(fields=["made_by", "-id"], name="purchase_by_who_made_it"),
            models.Index(fields=["-id"], condition=~Q(drift=""), name="purchase_flagged"),
            models.Index(fields=["invoice_number"], name="purchase_by_invoice_number"),
        ]

    def __str__(self) -> str:
        return f"purchase {self.pk}"

    @property
    def key(self) -> str:
        """Return what names this purchase in the metadata of its wallet transaction."""
        return str(self.pk)

    @classmethod
    def parse_key(cls, text: str) -> UUID | None:
        """Return the primary key that a metadata value names, None if it is none of ours."""
        try:
            return UUID(text)
        except ValueError:
            return None


class Refund(models.Model):
    """Money given back for a purchase, or lost in a dispute: its credits are withdrawn, and Lago's wallet is told.

    `withdrawn` were still there, `owed` were spent. Staff return the money at the payment provider; `voided_at` says
    when Lago's wallet was told, by a transaction with the refund's id in its metadata.
    """

    class Kind(models.TextChoices):
        REFUND = "refund"
        DISPUTE = "dispute"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, related_name="refunds")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    credits = CreditsField()
    amount_cents = models.BigIntegerField(help_text="its part of the price, in minor units")
    withdrawn = CreditsField()
    owed = CreditsField()
    reference = models.CharField(
        max_length=128, help_text="of the refund at the payment provider, or our own"
    )
    reason = models.CharField(max_length=500)
    made_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    voided_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["purchase", "reference"], name="refund_once_per_reference"),
            models.CheckConstraint(
                condition=Q(credits__gt=0, amount_cents__gte=0, withdrawn__gte=0, owed__gte=0)
                & Q(credits=models.F("withdrawn") + models.F("owed")),
                name="refund_adds_up",
            ),
            models.CheckConstraint(condition=Q(kind__in=["refund", "dispute"]), name="refund_kind_is_known"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(voided_at=None), name="refund_to_tell_lago")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.purchase_id}"

"""Who pays."""

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from lago_sandbox.models.fields import Row

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from lago_sandbox.models.invoices import Invoice
    from lago_sandbox.models.subscriptions import Subscription
    from lago_sandbox.models.wallets import Wallet


class Customer(Row):
    external_id = models.CharField(max_length=255, db_index=True)
    sequential_id = models.IntegerField()
    details = models.JSONField(default=dict)  # the fields that are only kept and shown
    currency = models.CharField(max_length=3, default="")
    payment_provider = models.CharField(max_length=20, default="")
    payment_provider_code = models.CharField(max_length=80, default="")
    provider_customer_id = models.CharField(max_length=80, default="")
    token = models.CharField(max_length=40, unique=True)  # of the page where a card is stored
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    metadata: "RelatedManager[CustomerMetadata]"
    payment_methods: "RelatedManager[PaymentMethod]"
    wallets: "RelatedManager[Wallet]"
    invoices: "RelatedManager[Invoice]"
    subscriptions: "RelatedManager[Subscription]"
    objects: ClassVar[models.Manager["Customer"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"], condition=models.Q(deleted_at=None), name="one_kept_customer"
            )
        ]

    @property
    def slug(self) -> str:
        return f"SBX-{str(self.id)[:4].upper()}-{self.sequential_id:03d}"

    @property
    def has_card(self) -> bool:
        return self.payment_methods.exists()


class PaymentMethod(Row):
    """A card, stored on the payment provider's page."""

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="payment_methods")
    provider_method_id = models.CharField(max_length=40)
    is_default = models.BooleanField()

    objects: ClassVar[models.Manager["PaymentMethod"]] = models.Manager()


class CustomerMetadata(Row):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="metadata")
    key = models.CharField(max_length=20)
    value = models.CharField(max_length=100)
    display_in_invoice = models.BooleanField(default=False)

    objects: ClassVar[models.Manager["CustomerMetadata"]] = models.Manager()

"""The price table: what a token, an image or a unit of a service costs, in `PRICE_CURRENCY`, before markup."""

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import F, Q

from orgs.models import Organization

_TOO_MUCH: Final = Decimal(1_000_000_000)
"""No price comes near; the bound refuses NaN, which PostgreSQL sorts above every number."""


def price_field(**options: Any) -> "models.DecimalField[Any, Any]":
    """Return a column for a price per token, image or unit: prices of tokens need more places than credits."""
    return models.DecimalField(max_digits=24, decimal_places=15, **options)


class Price(models.Model):
    """A price that holds from `valid_from` until `valid_until`, for the model (or its prefix) or the unit it names.

    `*` names whatever has no other price. One of an organization is its own, and goes before those of everybody.
    """

    class Kind(models.TextChoices):
        TOKENS = "tokens"
        IMAGES = "images"
        UNITS = "units"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prices",
        help_text="whose own price it is; empty: everybody's",
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(
        max_length=128, help_text="model or the beginning of its name, unit of a service, or *"
    )
    size = models.CharField(max_length=32, blank=True, help_text="of an image; empty is any")
    quality = models.CharField(max_length=32, blank=True, help_text="of an image; empty is any")
    provider = models.CharField(max_length=64, blank=True)
    input_price = price_field(default=Decimal(0), help_text="per input token")
    output_price = price_field(default=Decimal(0), help_text="per output token")
    cached_input_price = price_field(
        null=True, blank=True, help_text="per cached input token; empty: as input"
    )
    each_price = price_field(default=Decimal(0), help_text="per image or unit")
    default_output_tokens = models.PositiveIntegerField(
        default=1024, help_text="an estimate without a maximum takes this"
    )
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["kind", "name", "size", "quality", "valid_from"],
                condition=Q(organization__isnull=True),
                name="price_once_per_start",
            ),
            models.UniqueConstraint(
                fields=["organization", "kind", "name", "size", "quality", "valid_from"],
                condition=Q(organization__isnull=False),
                name="price_of_organization_once_per_start",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                name="price_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(input_price__gte=0, input_price__lt=_TOO_MUCH)
                & Q(output_price__gte=0, output_price__lt=_TOO_MUCH)
                & Q(each_price__gte=0, each_price__lt=_TOO_MUCH)
                & (
                    Q(cached_input_price__isnull=True)
                    | Q(cached_input_price__gte=0, cached_input_price__lt=_TOO_MUCH)
                ),
                name="price_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["tokens", "images", "units"]), name="price_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class OutputSize(models.Model):
    """How many tokens a model's answers have: the 95th percentile of recent calls, of an organization or of everybody.

    Sizes a hold that names no maximum. A job refreshes it; a row of few calls is not used (`credits.pricing.sizes`).
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, related_name="+", help_text="empty: everybody's"
    )
    model = models.CharField(max_length=128)
    calls = models.PositiveIntegerField()
    percentile_95 = models.PositiveBigIntegerField()
    refreshed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["model"], condition=Q(organization__isnull=True), name="output_size_of_everybody"
            ),
            models.UniqueConstraint(
                fields=["organization", "model"],
                condition=Q(organization__isnull=False),
                name="output_size_of_organization",
            ),
        ]

    def __str__(self) -> str:
        return self.model


class UnpricedUse(models.Model):
    """Something that was asked for and has no price: what system admins add to the table, or see charged flat."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=Price.Kind.choices)
    name = models.CharField(max_length=128)
    refused = models.PositiveBigIntegerField(default=0)
    charged = models.PositiveBigIntegerField(
        default=0, help_text="held or charged flat, or at a hold's amount"
    )
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "unpriced uses"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["organization", "kind", "name"], name="unpriced_use_once_per_organization"
            ),
        ]

    def __str__(self) -> str:
        return self.name

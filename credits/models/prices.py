"""The price table: what a token, an image or a unit of a service costs, in `PRICE_CURRENCY`, before markup."""

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import Q

_TOO_MUCH: Final = Decimal(1_000_000_000)
"""No price comes near; the bound refuses NaN, which PostgreSQL sorts above every number."""


def price_field(**options: Any) -> "models.DecimalField[Any, Any]":
    """Return a column for a price per token, image or unit: prices of tokens need more places than credits."""
    return models.DecimalField(max_digits=24, decimal_places=15, **options)


class Price(models.Model):
    """A price that holds from `valid_from` until `valid_until`, for the model (or its prefix) or the unit it names."""

    class Kind(models.TextChoices):
        TOKENS = "tokens"
        IMAGES = "images"
        UNITS = "units"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=128, help_text="model, or unit of a service")
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

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["kind", "name", "size", "quality", "valid_from"], name="price_once_per_start"
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

"""Forms in which a cost is stated, and what each comes to in credits, with the explanation that is kept.

A cost comes as credits, as money, as tokens of a model, as images, or as units of a service (product.md §6).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings

from credits import amounts
from credits.pricing.table import PriceTable
from kit.errors import ValidationError


class Unpriced(ValidationError):
    """The price table has nothing for what was named, so its cost cannot be decided."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a cost comes to, and why: `explanation` is kept with the usage record and shown on screen."""

    credits: Decimal
    explanation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CreditsCost:
    """Stated in credits; no markup."""

    form: ClassVar[str] = "credits"
    credits: Decimal
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def price(self, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
        """Return the credits as they were stated."""
        return Priced(self.credits, {"form": "credits"})


@dataclass(frozen=True, slots=True)
class MoneyCost:
    """Stated in `PRICE_CURRENCY`; the plan's markup applies. Tokens may come with it, for attribution."""

    form: ClassVar[str] = "money"
    amount: Decimal
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def price(self, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
        """Return the money as credits, marked up."""
        return _marked_up(self.amount, markup_percent, form="money")


@dataclass(frozen=True, slots=True)
class TokensCost:
    """Tokens of a model. As an estimate `output_tokens` is the maximum asked for, or None for the model's default."""

    form: ClassVar[str] = "tokens"
    model: str
    input_tokens: int
    output_tokens: int | None
    cached_input_tokens: int = 0

    def price(self, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
        """Return tokens times prices, marked up; raises Unpriced where the table has no price for the model."""
        found = table.find("tokens", self.model, at=at)
        if found is None:
            raise Unpriced(model=f"{self.model} has no price")
        output = found.default_output_tokens if self.output_tokens is None else self.output_tokens
        cached_price = found.input_price if found.cached_input_price is None else found.cached_input_price
        fresh = self.input_tokens - self.cached_input_tokens
        cost = (
            fresh * found.input_price + self.cached_input_tokens * cached_price + output * found.output_price
        )
        lines = [["input", fresh, _text(found.input_price)], ["output", output, _text(found.output_price)]]
        if self.cached_input_tokens:
            lines.append(["cached_input", self.cached_input_tokens, _text(cached_price)])
        return _marked_up(cost, markup_percent, form="tokens", price=found.name, lines=lines)


@dataclass(frozen=True, slots=True)
class ImagesCost:
    """Images of a model, perhaps of one size and quality."""

    form: ClassVar[str] = "images"
    model: str
    count: int
    size: str = ""
    quality: str = ""
    input_tokens: ClassVar[int] = 0
    output_tokens: ClassVar[int] = 0
    cached_input_tokens: ClassVar[int] = 0

    def price(self, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
        """Return count times price each, marked up; raises Unpriced."""
        found = table.find("images", self.model, at=at, size=self.size, quality=self.quality)
        if found is None:
            raise Unpriced(model=f"{self.model} has no price for images of this size and quality")
        lines = [["images", self.count, _text(found.each_price)]]
        return _marked_up(
            self.count * found.each_price, markup_percent, form="images", price=found.name, lines=lines
        )


@dataclass(frozen=True, slots=True)
class UnitsCost:
    """Units of a priced service, such as `api_call` or `storage_gb`."""

    form: ClassVar[str] = "units"
    unit: str
    units: Decimal
    model: str = ""
    input_tokens: ClassVar[int] = 0
    output_tokens: ClassVar[int] = 0
    cached_input_tokens: ClassVar[int] = 0

    def price(self, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
        """Return units times price each, marked up; raises Unpriced."""
        found = table.find("units", self.unit, at=at)
        if found is None:
            raise Unpriced(unit=f"{self.unit} has no price")
        lines = [[self.unit, amounts.text(self.units), _text(found.each_price)]]
        return _marked_up(
            self.units * found.each_price, markup_percent, form="units", price=found.name, lines=lines
        )


Cost = CreditsCost | MoneyCost | TokensCost | ImagesCost | UnitsCost


def price(cost: Cost, *, table: PriceTable, at: datetime, markup_percent: Decimal) -> Priced:
    """Return what a cost comes to; raises ValidationError for what no request may move, Unpriced without a price."""
    priced = cost.price(table=table, at=at, markup_percent=markup_percent)
    if not amounts.is_movable(priced.credits):
        raise ValidationError(
            cost="must come to 0 or more credits, to at most 1,000,000,000, of at most 6 decimal places"
        )
    return priced


def with_model(cost: Cost, model: str) -> Cost:
    """Return the cost with the hold's model where the capture named none."""
    return replace(cost, model=model) if not cost.model and model else cost


def free(cost: Cost, *, table: PriceTable, at: datetime) -> Priced:
    """Return a BYOK request: 0 credits, with what the provider will have asked where the table knows it."""
    try:
        provider = cost.price(table=table, at=at, markup_percent=amounts.ZERO).explanation
    except Unpriced:
        provider = {"form": cost.form}
    return Priced(amounts.ZERO, {**provider, "byok": True})


def _marked_up(cost: Decimal, markup_percent: Decimal, **explanation: Any) -> Priced:
    credits = amounts.from_money(cost, markup_percent=markup_percent)
    explanation |= {
        "cost": _text(cost),
        "currency": settings.PRICE_CURRENCY,
        "markup_percent": _text(markup_percent),
        "credits_per_unit": settings.CREDITS_PER_CURRENCY_UNIT,
    }
    return Priced(credits, explanation)


def _text(value: Decimal) -> str:
    return amounts.text(value)

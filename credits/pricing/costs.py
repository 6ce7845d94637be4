"""Forms in which a cost is stated, and what each comes to in credits, with the explanation that is kept.

A cost comes as credits, as money, as tokens of a model, as images, or as units of a service (product.md §6).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings

from credits import amounts
from credits.models import Price
from credits.pricing import sizes
from credits.pricing.table import Listed, PriceTable
from kit.errors import ValidationError


class Unpriced(ValidationError):
    """The price table has nothing for what was named, so its cost cannot be decided."""

    def __init__(self, /, *, kind: str, name: str) -> None:
        field = "unit" if kind == Price.Kind.UNITS else "model"
        what = " for images of this size and quality" if kind == Price.Kind.IMAGES else ""
        super().__init__(**{field: f"{name} has no price{what}"})
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a request is priced: the table at an instant, whose own prices go first, and the plan's markup.

    `flat` is what the organization has its members charged for something without a price; None where it refuses that.
    """

    table: PriceTable
    at: datetime
    organization_id: int | None
    markup_percent: Decimal
    flat: Decimal | None = None

    def find(self, kind: str, name: str, *, size: str = "", quality: str = "") -> Listed:
        """Return the price of what is named; raises Unpriced."""
        found = self.table.find(
            kind, name, at=self.at, organization_id=self.organization_id, size=size, quality=quality
        )
        if found is None:
            raise Unpriced(kind=kind, name=name)
        return found


@dataclass(frozen=True, slots=True)
class Priced:
    """What a cost comes to, and why: `explanation` is kept with the usage record and shown on screen."""

    credits: Decimal
    explanation: dict[str, Any]

    @property
    def unpriced(self) -> bool:
        """Tell whether something had no price and was charged flat, or what was held for it."""
        return "unpriced" in self.explanation


@dataclass(frozen=True, slots=True)
class CreditsCost:
    """Stated in credits; no markup."""

    form: ClassVar[str] = "credits"
    credits: Decimal
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def price(self, terms: Terms) -> Priced:
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

    def price(self, terms: Terms) -> Priced:
        """Return the money as credits, marked up."""
        return _marked_up(self.amount, terms, form="money")


@dataclass(frozen=True, slots=True)
class TokensCost:
    """Tokens of a model. As an estimate `output_tokens` is the maximum asked for, or None where none was named."""

    form: ClassVar[str] = "tokens"
    model: str
    input_tokens: int
    output_tokens: int | None
    cached_input_tokens: int = 0

    def price(self, terms: Terms) -> Priced:
        """Return tokens times prices, marked up; raises Unpriced where the table has no price for the model.

        Without a maximum the output is as long as recent answers of the model were (`credits.pricing.sizes`).
        """
        found = terms.find("tokens", self.model)
        output, said = self.output_tokens, {}
        if output is None:
            size = sizes.of(terms.organization_id, self.model)
            output = found.default_output_tokens if size is None else size.tokens
            said = {"output_tokens_from": "model" if size is None else size.whose}
        cached_price = found.input_price if found.cached_input_price is None else found.cached_input_price
        fresh = self.input_tokens - self.cached_input_tokens
        cost = (
            fresh * found.input_price + self.cached_input_tokens * cached_price + output * found.output_price
        )
        lines = [["input", fresh, _text(found.input_price)], ["output", output, _text(found.output_price)]]
        if self.cached_input_tokens:
            lines.append(["cached_input", self.cached_input_tokens, _text(cached_price)])
        return _marked_up(cost, terms, form="tokens", **_named(found), lines=lines, **said)


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

    def price(self, terms: Terms) -> Priced:
        """Return count times price each, marked up; raises Unpriced."""
        found = terms.find("images", self.model, size=self.size, quality=self.quality)
        lines = [["images", self.count, _text(found.each_price)]]
        kind = {"size": found.size, "quality": found.quality}
        said = {name: value for name, value in kind.items() if value}
        cost = self.count * found.each_price
        return _marked_up(cost, terms, form="images", **_named(found), lines=lines, **said)


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

    def price(self, terms: Terms) -> Priced:
        """Return units times price each, marked up; raises Unpriced."""
        found = terms.find("units", self.unit)
        lines = [[self.unit, _text(self.units), _text(found.each_price)]]
        return _marked_up(self.units * found.each_price, terms, form="units", **_named(found), lines=lines)


Cost = CreditsCost | MoneyCost | TokensCost | ImagesCost | UnitsCost


def price(cost: Cost, terms: Terms, *, byok: bool = False, held: Decimal | None = None) -> Priced:
    """Return what a cost comes to.

    What has no price is charged `held`, where it was reserved before; else flat, where the organization wants that; else
    it is refused: raises Unpriced. Raises ValidationError for what no request may move.
    """
    if byok:
        return _provided(cost, terms)
    try:
        priced = cost.price(terms)
    except Unpriced as unpriced:
        priced = _instead(unpriced, cost, terms, held)
    if not amounts.is_movable(priced.credits):
        raise ValidationError(
            cost="must come to 0 or more credits, to at most 1,000,000,000, of at most 6 decimal places"
        )
    return priced


def with_model(cost: Cost, model: str) -> Cost:
    """Return the cost with the hold's model where the capture named none."""
    return replace(cost, model=model) if not cost.model and model else cost


def _instead(unpriced: Unpriced, cost: Cost, terms: Terms, held: Decimal | None) -> Priced:
    """Return what something without a price is charged; raises Unpriced where the organization refuses it."""
    charged, how = (held, "the held amount") if held is not None else (terms.flat, "flat")
    if charged is None:
        raise unpriced
    return Priced(charged, {"form": cost.form, "unpriced": unpriced.name, "charged": how})


def _provided(cost: Cost, terms: Terms) -> Priced:
    """Return a BYOK request: 0 credits, with what the provider asks for it as far as that was stated or is in the table."""
    try:
        explanation = cost.price(replace(terms, markup_percent=amounts.ZERO)).explanation
    except Unpriced:
        explanation = {"form": cost.form}
    if isinstance(cost, CreditsCost):
        explanation["stated_credits"] = _text(cost.credits)
    return Priced(amounts.ZERO, {**explanation, "byok": True})


def _named(found: Listed) -> dict[str, Any]:
    """Return which price it is: its name in the table, and whether it is the organization's own."""
    return {"price": found.name} | ({"own": True} if found.organization_id is not None else {})


def _marked_up(cost: Decimal, terms: Terms, **explanation: Any) -> Priced:
    credits = amounts.from_money(cost, markup_percent=terms.markup_percent)
    explanation |= {
        "cost": _text(cost),
        "currency": settings.PRICE_CURRENCY,
        "markup_percent": _text(terms.markup_percent),
        "credits_per_unit": settings.CREDITS_PER_CURRENCY_UNIT,
    }
    return Priced(credits, explanation)


def _text(value: Decimal) -> str:
    return amounts.text(value)

"""What the usage API reads: one strict parse from JSON to a command's values. The schema is made from the same shapes.

Unknown fields, floats, signs, exponents and a second form of cost are refused by name (422), so that a gateway's typing
error never becomes an amount.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from django.conf import settings
from django.utils.dateparse import parse_datetime

from credits import amounts
from credits.pricing.costs import Cost, CreditsCost, ImagesCost, MoneyCost, TokensCost, UnitsCost
from kit.errors import ValidationError
from kit.rest.schema import Shape

LONGEST_TTL: Final = 24 * 3600
MOST_CHARGES: Final = 1000
_METADATA_BYTES: Final = 4096
_MOST_TOKENS: Final = 1_000_000_000
_MONEY_PLACES: Final = 15
_TRANSACTION_ID: Final = re.compile(r"[\x20-\x7e]{1,128}")
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Money(Shape):
    amount: Annotated[str, "decimal in a string"]
    currency: Annotated[str, "`PRICE_CURRENCY`; another is 422"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Shape):
    count: int
    size: str = ""
    quality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFields(Shape):
    """One form of cost: `credits`, or `cost`, or `model` with tokens or `images`, or `unit` with `units`.

    With `credits` or `cost`, model and tokens may come along: they are kept for attribution and price nothing.
    """

    credits: Annotated[str | None, "decimal in a string, at most 6 places"] = None
    cost: Money | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: Annotated[int | None, "part of input_tokens"] = None
    images: Images | None = None
    unit: str | None = None
    units: Annotated[str | None, "decimal in a string"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest(CostFields):
    """An estimate to reserve. `max_output_tokens` bounds the output; without it the model's default is taken."""

    transaction_id: Annotated[str, "1-128 printable ASCII characters, unique in the organization"]
    max_output_tokens: int | None = None
    org_id: Annotated[str | None, "for keys that are not bound to one"] = None
    user_id: Annotated[str | None, "for platform and organization keys"] = None
    service: Annotated[str, "what was used, for attribution"] = "api"
    provider: str | None = None
    ttl_seconds: Annotated[int | None, "1 to 86400"] = None
    metadata: Annotated[dict[str, Any] | None, "flat JSON, at most 4 KiB"] = None
    byok: Annotated[
        bool, "made with the customer's own provider key; platform and organization keys only"
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequest(CostFields):
    """What the request really cost; the hold's model is taken where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRequest(CostFields):
    """Hold and capture in one."""

    transaction_id: Annotated[str, "1-128 printable ASCII characters, unique in the organization"]
    org_id: Annotated[str | None, "for keys that are not bound to one"] = None
    user_id: Annotated[str | None, "for platform and organization keys"] = None
    service: Annotated[str, "what was used, for attribution"] = "api"
    provider: str | None = None
    metadata: Annotated[dict[str, Any] | None, "flat JSON, at most 4 KiB"] = None
    byok: bool = False
    after_the_fact: Annotated[bool, "the call has happened: never refused for funds; platform keys only"] = (
        False
    )
    occurred_at: Annotated[datetime | None, "with after_the_fact, at most 7 days back"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest(Shape):
    charges: Annotated[list[ChargeRequest], "at most 1,000"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalRequest(Shape):
    reason: str
    credits: Annotated[str | None, "all it cost when left out"] = None


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """A hold or charge as it was parsed; who and where is resolved by `credits.api.spenders`."""

    transaction_id: str
    cost: Cost
    org_id: str | None
    user_id: str | None
    service: str
    provider: str
    metadata: dict[str, Any]
    byok: bool
    ttl_seconds: int
    after_the_fact: bool
    occurred_at: datetime | None

    @classmethod
    def parse(
        cls, given: Mapping[str, Any], *, shape: type[CostFields], needs_id: bool = True
    ) -> "UsageRequest":
        """Read a body of the given shape; raises ValidationError (422) with a sentence for every field that is wrong."""
        body = Body(given, allowed=frozenset(shape.__dataclass_fields__))
        request = cls(
            transaction_id=body.transaction_id(needed=needs_id),
            cost=cost_of(body, estimate=shape is HoldRequest),
            org_id=body.line("org_id", longest=64) or None,
            user_id=body.line("user_id", longest=64) or None,
            service=body.line("service", longest=64) or "api",
            provider=body.line("provider", longest=64),
            metadata=body.metadata(),
            byok=body.flag("byok"),
            ttl_seconds=body.whole("ttl_seconds", least=1, most=LONGEST_TTL) or settings.HOLD_TTL_SECONDS,
            after_the_fact=body.flag("after_the_fact"),
            occurred_at=body.instant("occurred_at"),
        )
        body.done()
        return request


def parse_capture(given: Mapping[str, Any]) -> Cost:
    """Read the figures of a capture."""
    body = Body(given, allowed=frozenset(CaptureRequest.__dataclass_fields__))
    cost = cost_of(body, estimate=False, needs_model=False)
    body.done()
    return cost


def parse_reversal(given: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """Read how much to give back (None is all) and why."""
    body = Body(given, allowed=frozenset(ReversalRequest.__dataclass_fields__))
    credits = body.amount("credits")
    reason = body.line("reason", longest=500)
    if not reason:
        body.wrong["reason"] = "is needed"
    body.done()
    return credits, reason


class Body:
    """The fields of one body; reading notes what is wrong, `done` raises for all of it at once."""

    def __init__(self, given: Mapping[str, Any], *, allowed: frozenset[str]) -> None:
        self.given = given
        self.wrong: dict[str, str] = {str(name): "is not known here" for name in given if name not in allowed}

    def done(self) -> None:
        """Raise ValidationError (422) for everything that was wrong."""
        if self.wrong:
            raise ValidationError(**self.wrong)

    def has(self, name: str) -> bool:
        """Tell whether the field was given; null is not given."""
        return self.given.get(name) is not None

    def transaction_id(self, *, needed: bool) -> str:
        value = self.given.get("transaction_id")
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or not _TRANSACTION_ID.fullmatch(value):
            self.wrong["transaction_id"] = "must be 1 to 128 printable ASCII characters"
            return ""
        return value

    def line(self, name: str, *, longest: int) -> str:
        """Return one line of text; empty where it was not given."""
        value = self.given.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest or not _LINE.fullmatch(value):
            self.wrong[name] = f"must be text of at most {longest} characters without control characters"
            return ""
        return value

    def flag(self, name: str) -> bool:
        value = self.given.get(name, False)
        if not isinstance(value, bool):
            self.wrong[name] = "must be true or false"
            return False
        return value

    def whole(self, name: str, *, least: int = 0, most: int = _MOST_TOKENS) -> int | None:
        """Return a whole number within its bounds; None where it was not given."""
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong[name] = f"must be a whole number from {least} to {most}"
            return None
        return value

    def amount(self, name: str, *, places: int = amounts.PLACES) -> Decimal | None:
        """Return a decimal of 0 or more; None where it was not given."""
        value = self.given.get(name)
        return None if value is None else self._parsed(name, value, places)

    def money(self) -> Decimal | None:
        """Return the amount of `cost`, in `PRICE_CURRENCY`."""
        value = self.given.get("cost")
        if not isinstance(value, dict) or not value.keys() <= {"amount", "currency"}:
            self.wrong["cost"] = "must be an object of amount and currency"
            return None
        if value.get("currency") != settings.PRICE_CURRENCY:
            self.wrong["cost"] = f"must be in {settings.PRICE_CURRENCY}"
            return None
        return self._parsed("cost", value.get("amount"), _MONEY_PLACES)

    def images(self) -> "Body":
        """Return the fields of `images`, noting what is wrong with them as its own."""
        value = self.given.get("images")
        if not isinstance(value, dict):
            self.wrong["images"] = "must be an object with a count"
            value = {}
        inner = Body(value, allowed=frozenset(Images.__dataclass_fields__))
        if inner.wrong:
            self.wrong["images"] = "has only count, size and quality"
        return inner

    def instant(self, name: str) -> datetime | None:
        value = self.given.get(name)
        if value is None:
            return None
        try:
            at = parse_datetime(value) if isinstance(value, str) else None
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self.wrong[name] = "must be a time such as 2027-01-31T12:00:00Z"
            return None
        return at

    def metadata(self) -> dict[str, Any]:
        value = self.given.get("metadata")
        if value is None:
            return {}
        if not isinstance(value, dict) or any(isinstance(inner, (dict, list)) for inner in value.values()):
            self.wrong["metadata"] = "must be an object without objects or lists inside"
            return {}
        if len(repr(value).encode("utf-8", "replace")) > _METADATA_BYTES:
            self.wrong["metadata"] = "must have at most 4 KiB"
            return {}
        return value

    def _parsed(self, name: str, value: object, places: int) -> Decimal | None:
        try:
            return amounts.parse(value, places=places)
        except ValueError as error:
            self.wrong[name] = str(error)
            return None


def cost_of(body: Body, *, estimate: bool, needs_model: bool = True) -> Cost:
    """Return the one form of cost that the body states; what is wrong is noted in the body."""
    model = body.line("model", longest=128)
    used = {name: body.whole(name) or 0 for name in ("input_tokens", "output_tokens", "cached_input_tokens")}
    if used["cached_input_tokens"] > used["input_tokens"]:
        body.wrong["cached_input_tokens"] = "must be a part of input_tokens"
    form = _form(body, needs_model=needs_model)
    if form == "credits":
        return CreditsCost(body.amount("credits") or amounts.ZERO, model, **used)
    if form == "cost":
        return MoneyCost(body.money() or amounts.ZERO, model, **used)
    if form == "images":
        return _images(body, model)
    if form == "unit":
        units = body.amount("units")
        if units is None and "units" not in body.wrong:
            body.wrong["units"] = "is needed with unit"
        return UnitsCost(body.line("unit", longest=128), units or amounts.ZERO, model)
    return TokensCost(
        model, used["input_tokens"], _output(body, estimate=estimate), used["cached_input_tokens"]
    )


def _output(body: Body, *, estimate: bool) -> int | None:
    """Return the output tokens: those used, or for an estimate the most there may be (None: the model's default)."""
    if not estimate:
        return body.whole("output_tokens") or 0
    most = body.whole("max_output_tokens")
    return body.whole("output_tokens") if most is None else most


def _images(body: Body, model: str) -> ImagesCost:
    images = body.images()
    count = images.whole("count", least=1, most=10_000)
    size, quality = images.line("size", longest=32), images.line("quality", longest=32)
    if count is None or images.wrong:
        body.wrong["images"] = "must have a count of 1 to 10000, and size and quality as text"
    return ImagesCost(model, count or 0, size, quality)


def _form(body: Body, *, needs_model: bool) -> str:
    """Return which form of cost the body states, noting none, or more than one."""
    stated = [name for name in ("credits", "cost", "images", "unit") if body.has(name)]
    if body.has("units") and not body.has("unit"):
        stated.append("unit")
        body.wrong["unit"] = "is needed with units"
    tokens = body.has("input_tokens") or body.has("output_tokens") or body.has("max_output_tokens")
    if tokens and stated not in (["credits"], ["cost"]):
        stated.append("tokens")
    if len(stated) != 1:
        body.wrong.setdefault(
            "cost", "state one cost: credits, or cost, or model with tokens or images, or unit and units"
        )
        return "tokens"
    if stated[0] in ("tokens", "images") and needs_model and not body.has("model"):
        body.wrong["model"] = "is needed with tokens or images"
    return stated[0]

"""What the usage API reads: one strict parse from JSON to a command's values. The schema is made from the same shapes.

Unknown fields, floats, signs, exponents and a second form of cost are refused by name (422), so that a gateway's typing
error never becomes an amount.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from django.conf import settings

from credits import amounts
from credits.api.fields import Body
from credits.pricing.costs import Cost, CreditsCost, ImagesCost, MoneyCost, TokensCost, UnitsCost
from kit.rest.schema import Shape

LONGEST_TTL: Final = 24 * 3600
MOST_CHARGES: Final = 1000


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
    """An estimate to reserve. `max_output_tokens` bounds the output; without it recent answers of the model tell how much to expect."""

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


_NAMES: Final[dict[type[Shape], frozenset[str]]] = {
    shape: frozenset(shape.__dataclass_fields__)
    for shape in (HoldRequest, ChargeRequest, CaptureRequest, ReversalRequest)
}


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
        body = Body(given, allowed=_NAMES[shape])
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
    body = Body(given, allowed=_NAMES[CaptureRequest])
    cost = cost_of(body, estimate=False, needs_model=False)
    body.done()
    return cost


def parse_reversal(given: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """Read how much to give back (None is all) and why."""
    body = Body(given, allowed=_NAMES[ReversalRequest])
    credits = body.amount("credits")
    reason = body.line("reason", longest=500)
    if not reason:
        body.wrong["reason"] = "is needed"
    body.done()
    return credits, reason


def cost_of(body: Body, *, estimate: bool, needs_model: bool = True) -> Cost:
    """Return the one form of cost that the body states; what is wrong is noted in the body."""
    model = body.line("model", longest=128)
    used = {name: body.tokens(name) or 0 for name in ("input_tokens", "output_tokens", "cached_input_tokens")}
    if used["cached_input_tokens"] > used["input_tokens"]:
        body.wrong["cached_input_tokens"] = "must be a part of input_tokens"
    form = _form(body, needs_model=needs_model)
    if form == "credits":
        return CreditsCost(body.amount("credits") or amounts.ZERO, model, **used)
    if form == "cost":
        return MoneyCost(body.money() or amounts.ZERO, model, **used)
    if form == "images":
        return ImagesCost(model, *body.images())
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
        return body.tokens("output_tokens") or 0
    most = body.tokens("max_output_tokens")
    return body.tokens("output_tokens") if most is None else most


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

"""LiteLLM's model cost map, read into offers.

The map (`model_prices_and_context_window.json` of LiteLLM) is one JSON object: a model's name → its facts, of which
there are more than 160 kinds. What this portal meters is tokens in, out and cached, and images; what is priced only by
the second, the character, the page or the query is skipped with its reason. No float touches a price.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from credits import amounts
from credits.models import Price
from credits.pricing import offers
from credits.pricing.offers import BadPrices, Offer, PriceList

SPECIMEN: Final = "sample_spec"
"""The map's own explanation of its fields."""

_DRAWS: Final = frozenset({"image_generation", "image_edit"})
_SAYS_NOTHING: Final = frozenset({"embedding", "rerank", "moderation"})
"""Modes whose answers have no output tokens, so that one price is the whole."""
_QUALITIES: Final = frozenset({"low", "medium", "high", "standard", "hd", "auto"})
_SIZE: Final = re.compile(r"([0-9]{1,5})-x-([0-9]{1,5})", re.ASCII)
_STEPS: Final = re.compile(r"([0-9]+|max)-steps", re.ASCII)
_OTHERWISE: Final = "priced by something else than tokens or images"
_NAMED: Final = re.compile(r"[^\x00-\x1f\x7f]+")


class _Unusable(Exception):
    """The entry has no price that this portal meters; the text is the reason that is counted."""


def read(raw: bytes) -> PriceList:
    """Return what the map offers; raises BadPrices for what is no such map, or for entries that are wrong, by name."""
    found = PriceList()
    for name, facts in _loads(raw).items():
        found.entries += 1
        try:
            for offer in _offers(name, facts):
                if found.offers.setdefault(offer.key, offer) is not offer:
                    found.skipped["another entry has the same model, size and quality"].append(name)
        except _Unusable as reason:
            found.skipped[str(reason)].append(name)
        except ValueError as wrong:
            found.wrong.append(f"{name[:120]!r}: {wrong}")
    return found.checked()


def _loads(raw: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(
            raw.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except UnicodeDecodeError:
        raise BadPrices("The file is not UTF-8.") from None
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise BadPrices(f"The file is not JSON: {error}") from None
    if not isinstance(parsed, dict) or not parsed:
        raise BadPrices("The file must be one JSON object: a model's name and its facts, many times.")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a model or a price that stands twice and differs; LiteLLM's own map repeats a fact now and then."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and found[name] != value and ("cost" in name or isinstance(value, dict)):
            raise ValueError(f"{name!r} stands twice in one object, and differs")
        found[name] = value
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _offers(name: str, facts: object) -> Iterator[Offer]:
    """Return the prices of one entry; raises _Unusable where there are none, ValueError where they are wrong."""
    if not isinstance(facts, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - one kind of "wrong"
    _check_name(name)
    provider = facts.get("litellm_provider") or ""
    if not isinstance(provider, str):
        raise ValueError("litellm_provider must be a text")  # noqa: TRY004
    image = _image(name, facts, provider[:64]) if facts.get("mode") in _DRAWS else None
    if image is not None:
        yield image
    try:
        yield _tokens(name, facts, provider[:64])
    except _Unusable:
        if image is None:
            raise


def _check_name(name: str) -> None:
    if name == SPECIMEN:
        raise _Unusable("the map's own specimen")
    if not _NAMED.fullmatch(name):
        raise ValueError("a name of one line is expected")
    if len(name) > offers.LONGEST_NAME or "*" in name:
        raise _Unusable(f"the name is longer than {offers.LONGEST_NAME} characters, or a pattern")


def _tokens(name: str, facts: Mapping[str, Any], provider: str) -> Offer:
    """Return the price of tokens; two prices of 0 are a free model, unless the map asks for something else there."""
    asked, answered = _price(facts, "input_cost_per_token"), _price(facts, "output_cost_per_token")
    cached = _price(facts, "cache_read_input_token_cost")
    if asked is not None and answered is None and facts.get("mode") in _SAYS_NOTHING:
        answered = amounts.ZERO
    if asked is None or answered is None:
        half = asked is not None or answered is not None
        raise _Unusable("only one of the prices of input and output tokens" if half else _why_none(facts))
    if not (asked or answered) and _asks_otherwise(facts):
        raise _Unusable(_OTHERWISE)
    return Offer(
        kind=Price.Kind.TOKENS,
        name=name,
        provider=provider,
        input_price=asked,
        output_price=answered,
        cached_input_price=cached,
        expected_output_tokens=_expected(facts),
    )


def _image(name: str, facts: Mapping[str, Any], provider: str) -> Offer | None:
    """Return the price of an image that the model draws, None where the map asks nothing for one.

    Size and quality stand in the name, before the model's: `hd/1024-x-1792/dall-e-3`, `azure/low/1024-x-1024/…`,
    `512-x-512/50-steps/…`. In other modes a price per image is one that the model is shown.
    """
    parts = name.split("/")
    sized = next((at for at, part in enumerate(parts) if _SIZE.fullmatch(part)), None)
    size = quality = ""
    pixels = 0
    if sized is not None:
        width, height = parts.pop(sized).split("-x-")
        size, pixels = f"{width}x{height}", int(width) * int(height)
        if sized < len(parts) and _STEPS.fullmatch(parts[sized]):
            quality = parts.pop(sized)
        elif sized and parts[sized - 1] in _QUALITIES:
            quality = parts.pop(sized - 1)
    each = _each(facts, pixels)
    if not each:
        return None
    return Offer(
        kind=Price.Kind.IMAGES,
        name="/".join(parts),
        size=size,
        quality=quality,
        provider=provider,
        each_price=each,
    )


def _each(facts: Mapping[str, Any], pixels: int) -> Decimal:
    """Return the price of one image: stated as such, or by its pixels."""
    for field in ("output_cost_per_image", "input_cost_per_image"):
        if each := _price(facts, field):
            return each
    per_pixel = [_price(facts, field) for field in ("output_cost_per_pixel", "input_cost_per_pixel")]
    return amounts.price(amounts.times(pixels, sum((one for one in per_pixel if one), amounts.ZERO)))


def _price(facts: Mapping[str, Any], field: str) -> Decimal | None:
    value = facts.get(field)
    if value is None:
        return None
    try:
        return offers.price(value)
    except ValueError as wrong:
        raise ValueError(f"{field} {wrong}") from None


def _expected(facts: Mapping[str, Any]) -> int:
    """Return how long an answer is expected to be: no longer than the longest that there can be."""
    longest = facts.get("max_output_tokens")
    if isinstance(longest, int) and not isinstance(longest, bool) and longest > 0:
        return min(longest, offers.DEFAULT_OUTPUT_TOKENS)
    return offers.DEFAULT_OUTPUT_TOKENS


def _why_none(facts: Mapping[str, Any]) -> str:
    return _OTHERWISE if _asks_otherwise(facts) else "no price at all"


def _asks_otherwise(facts: Mapping[str, Any]) -> bool:
    """Tell whether any other cost above 0 stands in the entry, however deep."""
    return any("cost" in field and _above_zero(value) for field, value in facts.items())


def _above_zero(value: object) -> bool:
    if isinstance(value, dict):
        return any(_above_zero(one) for one in value.values())
    if isinstance(value, list):
        return any(_above_zero(one) for one in value)
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool) and value > 0

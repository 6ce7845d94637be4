"""A price list of one's own: a CSV file, read into offers (columns: docs/prices.md).

One price a line. Amounts are in `PRICE_CURRENCY`, per token or, where the line says `per` = `million`, per million tokens.
Unlike LiteLLM's map it may name units of services and `*`, and nothing of it is skipped: a line is right or wrong.
"""

import csv
import io
import re
from decimal import Decimal
from typing import Final

from credits import amounts
from credits.models import Price
from credits.pricing import offers
from credits.pricing.offers import BadPrices, Offer, PriceList

COLUMNS: Final = (
    "kind",
    "name",
    "size",
    "quality",
    "provider",
    "input_price",
    "output_price",
    "cached_input_price",
    "each_price",
    "per",
    "default_output_tokens",
)

_PRICES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # kind: columns it needs, columns it may have beside them
    "tokens": (
        frozenset({"input_price", "output_price"}),
        frozenset({"cached_input_price", "per", "default_output_tokens"}),
    ),
    "images": (frozenset({"each_price"}), frozenset({"size", "quality"})),
    "units": (frozenset({"each_price"}), frozenset()),
}
_ALWAYS: Final = frozenset({"kind", "name", "provider"})
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,24})?([eE]-[0-9]{1,2})?", re.ASCII)
_LONGEST: Final = {"name": offers.LONGEST_NAME, "size": 32, "quality": 32, "provider": 64}
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")


def read(raw: bytes) -> PriceList:
    """Return what the sheet offers; raises BadPrices that names each wrong line."""
    found = PriceList()
    for number, line in _lines(raw):
        found.entries += 1
        try:
            offer = _offer(line)
            if found.offers.setdefault(offer.key, offer) is not offer:
                raise ValueError("an earlier line has the same kind, name, size and quality")
        except ValueError as wrong:
            found.wrong.append(f"line {number} ({line.get('name', '')[:120]!r}): {wrong}")
    return found.checked()


def _lines(raw: bytes) -> list[tuple[int, dict[str, str]]]:
    """Return the lines with their numbers, each as its filled-in columns; raises BadPrices for what is no such sheet."""
    try:
        rows = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        header = [one.strip() for one in next(rows, [])]
        lines = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except UnicodeDecodeError:
        raise BadPrices("The file is not UTF-8.") from None
    except csv.Error as error:
        raise BadPrices(f"The file is not CSV: {error}") from None
    unknown = [one for one in header if one not in COLUMNS]
    if "name" not in header or unknown or len(set(header)) != len(header):
        what = (
            f"has unknown columns ({', '.join(unknown)})"
            if unknown
            else "must name each column once, and `name`"
        )
        raise BadPrices(f"The first line {what}; columns are {', '.join(COLUMNS)}.")
    wrong = [number for number, row in lines if len(row) != len(header)]
    if wrong or not lines:
        raise BadPrices(
            f"Line {wrong[0]} has not {len(header)} columns."
            if wrong
            else "The file has no lines below its first."
        )
    return [
        (number, {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()})
        for number, row in lines
    ]


def _offer(line: dict[str, str]) -> Offer:
    """Return the price of one line; raises ValueError."""
    kind = line.get("kind", "tokens")
    if kind not in _PRICES:
        raise ValueError(f"kind must be one of {', '.join(_PRICES)}")
    _check_columns(line, kind)
    cached = "cached_input_price" in line
    return Offer(
        kind=Price.Kind(kind),
        name=line["name"],
        size=line.get("size", ""),
        quality=line.get("quality", ""),
        provider=line.get("provider", ""),
        input_price=_price(line, "input_price"),
        output_price=_price(line, "output_price"),
        cached_input_price=_price(line, "cached_input_price") if cached else None,
        each_price=_price(line, "each_price"),
        default_output_tokens=_tokens(line.get("default_output_tokens")),
    )


def _check_columns(line: dict[str, str], kind: str) -> None:
    needed, allowed = _PRICES[kind]
    if missing := sorted((needed | {"name"}) - line.keys()):
        raise ValueError(f"{', '.join(missing)} must be filled in for {kind}")
    if odd := sorted(line.keys() - needed - allowed - _ALWAYS):
        raise ValueError(f"{', '.join(odd)} must be empty for {kind}")
    for name, longest in _LONGEST.items():
        if len(line.get(name, "")) > longest or not _LINE.fullmatch(line.get(name, "")):
            raise ValueError(f"{name} must be one line of at most {longest} characters")
    if line.get("per", "token") not in ("token", "million"):
        raise ValueError("per must be token or million")


def _price(line: dict[str, str], name: str) -> Decimal:
    """Return a price of one token, image or unit; 0 for a column that this kind leaves empty."""
    text = line.get(name, "0")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a price of 0 or more in plain digits, not {text[:40]!r}")
    number = offers.price(Decimal(text))
    return amounts.per_million(Decimal(text)) if line.get("per") == "million" else number


def _tokens(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) > 0):
        raise ValueError("default_output_tokens must be a whole number above 0")
    return int(text)

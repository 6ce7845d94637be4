"""Credits as numbers: the one place that parses, rounds, converts or shows an amount of credits.

A credit is a `Decimal` with 6 places. Turning a cost into credits rounds up, so that no cost above zero is free.
"""

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import models

PLACES: Final = 6
MAX_DIGITS: Final = 24
LARGEST: Final = Decimal("999999999999999999.999999")
"""Above any balance. PostgreSQL sorts NaN above every number, so a CHECK against this bound refuses NaN too."""
LARGEST_REQUEST: Final = Decimal(1_000_000_000)
"""The most that one request may move: far below where sums could leave the column."""
ZERO: Final = Decimal(0)
STEP: Final = Decimal(1).scaleb(-PLACES)
"""The smallest amount."""

PRICE_PLACES: Final = 15
"""Of a price per token, image or unit, in `PRICE_CURRENCY`."""

_CENT = Decimal(1).scaleb(-2)
_TENTH = Decimal(1).scaleb(-1)
_EXACT = Context(prec=60)
_FINE = Context(prec=90)
_PLAIN = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)


_Set_contra = TypeVar("_Set_contra", contravariant=True)
_Get_co = TypeVar("_Get_co", covariant=True)


class CreditsField(models.DecimalField[_Set_contra, _Get_co]):
    """A column of credits: NUMERIC(24, 6)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = MAX_DIGITS, PLACES
        super().__init__(*args, **kwargs)


def parse(value: object, *, places: int = PLACES) -> Decimal:
    """Return an amount that came from outside: a string such as `"12.5"` or an integer, 0 or more.

    Raises ValueError with a sentence for anything else: floats, signs, exponents, other digits than 0-9, more than
    `places` decimals, or more than a billion. Equal amounts come back with equal spelling.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError('must be a decimal in a string, such as "12.5"')  # noqa: TRY004 - one kind of "unreadable"
    text = str(value) if isinstance(value, str) or 0 <= value < 10**15 else ""
    if not _PLAIN.fullmatch(text):
        raise ValueError('must be a decimal of 0 or more in plain digits, such as "12.5"')
    amount = Decimal(text)
    if len(text.partition(".")[2]) > places:
        raise ValueError(f"must have at most {places} decimal places")
    if amount > LARGEST_REQUEST:
        raise ValueError("must be at most 1,000,000,000")
    return amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)


def is_movable(amount: Decimal) -> bool:
    """Tell whether one request may move this much: a number from 0 to a billion, of at most 6 places."""
    return amount.is_finite() and ZERO <= amount <= LARGEST_REQUEST and amount == round_up(amount)


def from_money(cost: Decimal, *, markup_percent: Decimal = ZERO) -> Decimal:
    """Return the credits that a cost in `PRICE_CURRENCY` comes to, marked up, rounded up to the 6th place."""
    marked_up = _EXACT.multiply(cost, _EXACT.divide(100 + markup_percent, Decimal(100)))
    return round_up(_EXACT.multiply(marked_up, Decimal(settings.CREDITS_PER_CURRENCY_UNIT)))


def round_up(amount: Decimal) -> Decimal:
    """Return the amount rounded up to 6 places."""
    return amount.quantize(STEP, rounding=ROUND_CEILING, context=_EXACT)


def price(amount: Decimal) -> Decimal:
    """Return a price per token, image or unit with its 15 places: half up, but what is above zero stays above it.

    Lists of prices carry the dust of binary fractions (`1.0000000000000001e-07`), which no rounding up may turn into a
    price of its own.
    """
    rounded = amount.quantize(Decimal(1).scaleb(-PRICE_PLACES), rounding=ROUND_HALF_UP, context=_EXACT)
    return rounded if rounded or not amount else Decimal(1).scaleb(-PRICE_PLACES)


def per_million(amount: Decimal) -> Decimal:
    """Return the price of one where `amount` is the price of a million."""
    return price(_EXACT.divide(amount, Decimal(1_000_000)))


def times(count: Decimal | int, each: Decimal) -> Decimal:
    """Return an exact product: for showing how a cost came about."""
    return _EXACT.multiply(Decimal(count), each)


def share(percent: Decimal, whole: Decimal) -> Decimal:
    """Return that many percent of the whole, exactly: for showing what a markup came to."""
    return _EXACT.divide(_EXACT.multiply(percent, whole), Decimal(100))


def portion(amount: Decimal, part: Decimal | int, whole: Decimal | int) -> Decimal:
    """Return that part of the whole of an amount, rounded down to 6 places: plan credits, means, forecasts."""
    exact = _EXACT.divide(_EXACT.multiply(amount, Decimal(part)), Decimal(whole))
    return exact.quantize(STEP, rounding=ROUND_FLOOR, context=_EXACT)


def worth_cents(parts: Iterable[tuple[Decimal, Decimal, int]]) -> int:
    """Return what (left, granted, minor units paid) are worth together in minor units, rounded half up once: for showing.

    Divided to 90 digits and cut to 40 places, so that half a cent stays half a cent whatever the parts were.
    """
    worth = ZERO
    for left, granted, cents in parts:
        worth = _FINE.add(worth, _FINE.divide(_FINE.multiply(left, Decimal(cents)), granted))
    cut = worth.quantize(Decimal(1).scaleb(-40), context=_FINE)
    return int(cut.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=_FINE))


def value_cents(credits: Decimal) -> int:
    """Return what credits are worth in cents of `PRICE_CURRENCY`, rounded half up: for showing, never stored back."""
    cents = _EXACT.divide(credits * 100, Decimal(settings.CREDITS_PER_CURRENCY_UNIT))
    return int(cents.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percentage(part: Decimal, whole: Decimal) -> Decimal:
    """Return part of whole in percent with one place, rounded half up; 0 of nothing is 0."""
    if not whole:
        return Decimal("0.0")
    return _EXACT.divide(part * 100, whole).quantize(_TENTH, rounding=ROUND_HALF_UP)


def tidy(amount: Decimal) -> Decimal:
    """Return the amount rounded up to a figure that people would choose: three digits at most, the third a 0 or a 5.

    1,234 becomes 1,250 and 8,420 becomes 8,450; never below 1, and 0 stays 0.
    """
    if amount <= 0:
        return ZERO
    step = max(Decimal(5).scaleb(amount.adjusted() - 2), Decimal(1))
    return (amount / step).quantize(Decimal(1), rounding=ROUND_CEILING, context=_EXACT) * step


def text(amount: Decimal) -> str:
    """Return the amount as JSON carries it: plain digits without trailing zeros (`"0"`, `"1234.5"`)."""
    try:
        return f"{amount.normalize(_EXACT):f}" if amount else "0"
    except InvalidOperation as error:
        raise ValueError(f"{amount!r} is no amount") from error


def display(amount: Decimal) -> str:
    """Return the amount as screens show it: thousands separated, no trailing zeros (`1,234.5`)."""
    plain = text(amount)
    whole, dot, decimals = plain.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{dot}{decimals}"


def display_short(amount: Decimal) -> str:
    """Return the amount with at most 2 decimals, rounded half up: for lists and charts, where the title has it whole."""
    return display(amount.quantize(_CENT, rounding=ROUND_HALF_UP))

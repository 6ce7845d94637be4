"""Money: integers of minor units with a currency. The one place that rounds, converts or shows it.

How many minor units a currency has follows Lago's own table, not ISO 4217 (reference/lago.md §1.5).
"""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

_NONE: Final = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "HUF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
_PLACES: Final = {**dict.fromkeys(_NONE, 0), "BHD": 3, "JOD": 3, "KWD": 3, "CLF": 4}
_SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£"}
_EXACT = Context(prec=60)
_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def places(currency: str) -> int:
    """Return how many decimals a currency has at Lago."""
    return _PLACES.get(currency, 2)


def major(cents: int, currency: str) -> Decimal:
    """Return an amount in major units, exact: 1999 cents are 19.99."""
    return Decimal(cents).scaleb(-places(currency), context=_EXACT)


def cents(text: str, currency: str) -> int | None:
    """Return an amount that somebody wrote in major units ("19.99") in minor ones; None for what is no such amount."""
    if _AMOUNT.fullmatch(text) is None:
        return None
    minor = Decimal(text).scaleb(places(currency), context=_EXACT)
    return int(minor) if minor == minor.to_integral_value() else None


def major_text(cents: int, currency: str) -> str:
    """Return the amount as Lago's decimal strings spell it ("19.99", "500" of a currency without minor units)."""
    return f"{major(cents, currency):f}"


def minor(amount: Decimal, currency: str) -> int:
    """Return an amount of major units in minor ones; raises ValueError for one that is no whole number of them."""
    exact = amount.scaleb(places(currency), context=_EXACT)
    if not exact.is_finite() or exact != exact.to_integral_value():
        raise ValueError(f"{currency} has {places(currency)} decimals")
    return int(exact)


def share(cents: int, part: Decimal, whole: Decimal) -> int:
    """Return `part` of `whole` of an amount, rounded half up to the minor unit: for showing."""
    exact = _EXACT.divide(_EXACT.multiply(Decimal(cents), part), whole) if whole else Decimal(0)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def display(cents: int, currency: str) -> str:
    """Return the amount as screens show it: `$1,234.50`, `-$3.00`, `HUF 5,000`."""
    sign = "-" if cents < 0 else ""
    figure = f"{major(abs(cents), currency):,f}"
    symbol = _SIGNS.get(currency)
    return f"{sign}{symbol}{figure}" if symbol else f"{sign}{currency} {figure}"

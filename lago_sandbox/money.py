"""Money as Lago counts it: integers of minor units, by the table of the Ruby money gem (not ISO 4217)."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final

_ONE: Final = (
    "BIF CLP DJF GNF HUF ISK JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"  # HUF and MGA too, unlike ISO
)
_THOUSAND: Final = "BHD JOD KWD"
_HUNDRED: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG IDR ILS INR IRR JMD KES "
    "KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB "
    "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLL SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH "
    "USD UYU UZS WST XCD YER ZAR ZMW"
)
SUBUNITS: Final[dict[str, int]] = (
    dict.fromkeys(_HUNDRED.split(), 100)
    | dict.fromkeys(_ONE.split(), 1)
    | dict.fromkeys(_THOUSAND.split(), 1000)
    | {"CLF": 10000, "MRO": 5}
)
_FIVE_PLACES: Final = Decimal("0.00001")


def is_known(currency: object) -> bool:
    """Say whether Lago accepts a currency."""
    return isinstance(currency, str) and currency in SUBUNITS


def round_half_up(amount: Decimal) -> int:
    """Return whole minor units."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in units of the currency as minor units, rounded half up."""
    return round_half_up(amount * SUBUNITS[currency])


def to_major(cents: int, currency: str) -> Decimal:
    """Return minor units as an amount in units of the currency."""
    return Decimal(cents) / SUBUNITS[currency]


def top_up(credits_asked: Decimal, rate: Decimal, currency: str) -> tuple[int, Decimal]:
    """Return (minor units, credits) of a top-up: credits floored to 5 places, the amount rounded, the credits derived anew."""
    floored = credits_asked.quantize(_FIVE_PLACES, ROUND_DOWN)
    cents = to_minor(floored * rate, currency)
    return cents, credits_of(cents, rate, currency)


def credits_of(cents: int, rate: Decimal, currency: str) -> Decimal:
    """Return how many credits an amount is at a rate, with 5 places."""
    return (to_major(cents, currency) / rate).quantize(_FIVE_PLACES, ROUND_HALF_UP)


def text(amount: Decimal) -> str:
    """Return a decimal as Ruby prints it: no exponent, at least one place ("10.0")."""
    plain = format(amount.normalize(), "f")
    return plain if "." in plain else f"{plain}.0"

"""Packages of credits: what is offered in a currency, and what any number of credits costs in it."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from credits import amounts
from kit.errors import ValidationError
from lago_sync import money
from lago_sync.models import Package

_MILLION: Final = 1_000_000
FEWEST: Final = Decimal(100)
"""The smallest custom amount, in credits."""


def offered(*, currency: str) -> list[Package]:
    """Return the active packages with a price in this currency, the smallest first."""
    return list(Package.objects.filter(currency=currency, is_active=True).order_by("credits"))


def price_of(*, credits: Decimal, currency: str) -> int:
    """Return the price of a custom amount in minor units: at the rate of the largest package that it reaches.

    Below the smallest package the smallest one's rate holds. Nothing is rounded: raises ValidationError for an amount
    that does not come to a whole minor unit, lies below 100 credits, or where the currency has no package.
    """
    packages = offered(currency=currency)
    if not packages:
        raise ValidationError(credits=f"Nothing is offered in {currency}.")
    if not amounts.is_movable(credits) or credits < FEWEST:
        raise ValidationError(credits=f"From {FEWEST} to {amounts.LARGEST_REQUEST:,} credits can be bought.")
    reached = [package for package in packages if package.credits <= credits] or packages[:1]
    rate = Fraction(reached[-1].amount_cents) / Fraction(reached[-1].credits)
    price = rate * Fraction(credits)
    if price.denominator != 1:
        raise ValidationError(
            credits=f"The price would have more than {_decimals(currency)}; give a multiple of {rate.denominator}."
        )
    return price.numerator


def credits_for(*, amount_cents: int, currency: str) -> Decimal:
    """Return the credits that a price in minor units buys: at the rate of the largest package that they reach.

    Rounded down to what can be counted. Raises ValidationError for a price that buys fewer than 100 credits or more than
    can be bought at once, or where the currency has no package.
    """
    packages = offered(currency=currency)
    if not packages:
        raise ValidationError(credits=f"Nothing is offered in {currency}.")
    bought = [_bought(amount_cents, package) for package in packages]
    reached = [
        credits for credits, package in zip(bought, packages, strict=True) if credits >= package.credits
    ]
    credits = (reached or bought[:1])[-1]
    if not amounts.is_movable(credits) or credits < FEWEST:
        raise ValidationError(credits=f"From {FEWEST} to {amounts.LARGEST_REQUEST:,} credits can be bought.")
    return credits


def _decimals(currency: str) -> str:
    return (
        f"the {places} decimals of {currency}" if (places := money.places(currency)) else f"whole {currency}"
    )


def _bought(amount_cents: int, package: Package) -> Decimal:
    millionths = (
        Fraction(amount_cents) * Fraction(package.credits) * _MILLION / Fraction(package.amount_cents)
    )
    return Decimal(int(millionths)) / _MILLION

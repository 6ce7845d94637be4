"""What is offered in a currency, and what any number of credits costs: exactly, or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from kit.errors import ValidationError
from lago_sync.models import Package
from lago_sync.purchases import packages

pytestmark = pytest.mark.django_db


def price(credits: str, currency: str = "USD") -> int:
    return packages.price_of(credits=Decimal(credits), currency=currency)


def test_offers_the_active_packages_of_the_currency_smallest_first():
    Package.objects.create(code="eur", name="E", credits=500, amount_cents=450, currency="EUR")
    Package.objects.filter(code="credits-10000").update(is_active=False)
    offered = packages.offered(currency="USD")
    assert [(one.code, one.credits, one.amount_cents) for one in offered] == [
        ("credits-1000", 1000, 1000),
        ("credits-5000", 5000, 4500),
        ("credits-50000", 50000, 35000),
    ]
    assert [one.code for one in packages.offered(currency="EUR")] == ["eur"]
    assert packages.offered(currency="HUF") == []


@pytest.mark.parametrize(
    ("credits", "cents"),
    [
        ("100", 100),  # below the smallest package: its rate
        ("999", 999),
        ("1000", 1000),
        ("4999", 4999),
        ("5000", 4500),  # 0.9 cents from here
        ("5010", 4509),
        ("10000", 8000),  # 0.8
        ("12345", 9876),
        ("50000", 35000),  # 0.7
        ("1000000000", 700_000_000),
    ],
)
def test_a_custom_amount_has_the_rate_of_the_largest_package_it_reaches(credits, cents):
    assert price(credits) == cents


@pytest.mark.parametrize("credits", ["5001", "10001", "100.5", "100.000001"])
def test_an_amount_between_two_minor_units_is_refused_and_told_what_would_do(credits):
    with pytest.raises(ValidationError) as refused:
        price(credits)
    assert "a multiple of" in refused.value.details["credits"]


def test_the_multiple_that_is_told_comes_to_a_whole_minor_unit():
    with pytest.raises(ValidationError, match="the 2 decimals of USD; give a multiple of 10"):
        price("5003")
    assert price("5000") == 4500
    assert price("5010") == 4509


@pytest.mark.parametrize(
    "credits", ["0", "99.999999", "1000000001", "-100", "NaN", "Infinity", "100.0000001"]
)
def test_nothing_below_100_nor_beyond_a_billion_nor_no_number_has_a_price(credits):
    with pytest.raises(ValidationError):
        price(credits)


def test_a_currency_without_packages_sells_nothing():
    with pytest.raises(ValidationError, match="EUR"):
        price("1000", "EUR")


def test_a_currency_without_minor_units_is_priced_in_whole_ones():
    Package.objects.create(code="huf", name="H", credits=1000, amount_cents=350, currency="HUF")
    assert price("2000", "HUF") == 700
    with pytest.raises(ValidationError, match="more than whole HUF; give a multiple of 20"):
        price("1001", "HUF")


class TestAnyAmount(TestCase):
    @given(some.integers(100, 10**9))
    def test_costs_its_exact_share_or_nothing(self, credits):
        reached = [one for one in packages.offered(currency="USD") if one.credits <= credits]
        package = reached[-1] if reached else packages.offered(currency="USD")[0]
        try:
            cents = packages.price_of(credits=Decimal(credits), currency="USD")
        except ValidationError:
            assert credits * package.amount_cents % package.credits != 0
        else:
            assert cents * package.credits == credits * package.amount_cents

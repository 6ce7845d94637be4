"""Money: integers of minor units, as many to the unit as Lago says."""

from decimal import Decimal

import pytest

from lago_sync import money


@pytest.mark.parametrize(
    ("cents", "currency", "major", "text", "shown"),
    [
        (1999, "USD", "19.99", "19.99", "$19.99"),
        (123_450, "USD", "1234.50", "1234.50", "$1,234.50"),
        (-300, "EUR", "-3.00", "-3.00", "-€3.00"),
        (5, "GBP", "0.05", "0.05", "£0.05"),
        (0, "USD", "0.00", "0.00", "$0.00"),
        (5000, "HUF", "5000", "5000", "HUF 5,000"),
        (5000, "MGA", "5000", "5000", "MGA 5,000"),
        (5000, "JPY", "5000", "5000", "JPY 5,000"),
        (5000, "KWD", "5.000", "5.000", "KWD 5.000"),
        (5000, "CLF", "0.5000", "0.5000", "CLF 0.5000"),
        (10**20, "USD", "1000000000000000000.00", "1000000000000000000.00", "$1,000,000,000,000,000,000.00"),
    ],
)
def test_major_units_are_exact_and_shown_in_full(cents, currency, major, text, shown):
    assert money.major(cents, currency) == Decimal(major)
    assert money.major_text(cents, currency) == text
    assert money.display(cents, currency) == shown
    assert money.minor(Decimal(major), currency) == cents


@pytest.mark.parametrize(
    ("amount", "currency", "cents"),
    [
        ("10.005", "USD", None),
        ("0.5", "HUF", None),
        ("10.0050", "KWD", 10_005),
        ("1E+3", "USD", 100_000),
        ("NaN", "USD", None),
        ("Infinity", "USD", None),
    ],
)
def test_what_comes_to_no_whole_minor_unit_is_none(amount, currency, cents):
    assert money.minor(Decimal(amount), currency) == cents


@pytest.mark.parametrize(
    ("cents", "part", "whole", "share"),
    [(100, "1", "3", 33), (100, "2", "3", 67), (1, "1", "2", 1), (99, "0", "3", 0), (5, "1", "0", 0), (7, "3", "3", 7)],
)  # fmt: skip
def test_a_share_is_rounded_half_up(cents, part, whole, share):
    assert money.share(cents, Decimal(part), Decimal(whole)) == share

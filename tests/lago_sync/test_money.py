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


@pytest.mark.parametrize(
    ("cents", "part", "whole", "share"),
    [(100, "1", "3", 33), (100, "2", "3", 67), (1, "1", "2", 1), (99, "0", "3", 0), (5, "1", "0", 0), (7, "3", "3", 7)],
)  # fmt: skip
def test_a_share_is_rounded_half_up(cents, part, whole, share):
    assert money.share(cents, Decimal(part), Decimal(whole)) == share

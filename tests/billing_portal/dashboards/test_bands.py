"""A word for how full something is."""

from decimal import Decimal

import pytest

from billing_portal.dashboards.bands import band


@pytest.mark.parametrize(
    ("percentage", "word"),
    [
        ("0.0", "Normal"),
        ("74.9", "Normal"),
        ("75.0", "Watch"),
        ("89.9", "Watch"),
        ("90.0", "Near limit"),
        ("99.9", "Near limit"),
        ("100.0", "Exhausted"),
    ],
)
def test_says_how_full_it_is(percentage: str, word: str):
    assert band(percentage=Decimal(percentage), remaining=Decimal(1)).word == word


def test_is_exhausted_where_holds_leave_nothing_although_little_is_used():
    assert band(percentage=Decimal("10.0"), remaining=Decimal(0)).word == "Exhausted"


def test_a_closed_one_is_neither_full_nor_empty():
    assert band(percentage=Decimal("100.0"), remaining=Decimal(0), is_active=False).word == "Closed"

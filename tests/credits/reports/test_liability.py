"""What was paid for credits that are not used yet (product.md §12): per currency, exact, right between two burns."""

from decimal import Decimal

import pytest

from credits.ledger.grants import Paid
from credits.models import GrantBalance
from credits.reports import liability
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def bought(team, credits, cents, *, currency="USD", source="purchase"):
    return make.grant(team, credits, source=source, paid=Paid(cents=cents, currency=currency))


def figures():
    return {one.currency: (one.credits, one.cents) for one in liability.figures()}


def test_of_nothing_is_nothing():
    make.team(100)
    assert figures() == {}


def test_is_what_is_left_times_what_was_paid_by_what_was_granted():
    team = make.team()
    bought(team, 5000, 4500)
    make.charged(team, None, 1250)
    make.burn(team)
    assert figures() == {"USD": (3750, 3375)}


def test_counts_purchases_and_migrations_and_nothing_else():
    team = make.team()
    bought(team, 100, 100)
    bought(team, 100, 50, source="migration")
    for source in ("plan", "promotion", "goodwill", "adjustment"):
        bought(team, 1000, 1000, source=source)
    make.grant(team, 1000, source="purchase")
    assert figures() == {"USD": (200, 150)}


def test_stands_per_currency():
    team, other = make.team(), make.team()
    bought(team, 100, 100)
    bought(other, 100, 30000, currency="HUF")
    bought(other, 10, 7, currency="USD")
    assert figures() == {"HUF": (100, 30000), "USD": (110, 107)}


def test_is_right_before_the_burn_and_writes_nothing():
    team, member_of = make.team(), make.team()
    bought(team, 100, 1000)
    bought(member_of, 100, 1000)
    make.charged(team, None, 30)
    make.charged(member_of, make.member(member_of, 50), 20)
    assert figures() == {"USD": (150, 1500)}
    assert not GrantBalance.objects.filter(consumed__gt=0).exists()


def test_before_the_burn_uses_presents_first():
    team = make.team()
    bought(team, 100, 1000)
    make.grant(team, 25)
    make.charged(team, None, 30)
    assert figures() == {"USD": (95, 950)}


def test_adds_exactly_and_rounds_once_half_up():
    """Three thirds of a cent and a half are one cent and a half: two, not one by rounding each."""
    team = make.team()
    for _ in range(3):
        bought(team, 3, 1)
    bought(team, 2, 1)
    make.charged(team, None, 2 + 2 + 2 + 1)
    assert figures() == {"USD": (4, 2)}


def test_of_a_part_that_no_decimal_holds_is_rounded_half_up():
    team = make.team()
    bought(team, 7, 100)
    make.charged(team, None, "3.5")
    assert figures() == {"USD": (Decimal("3.5"), 50)}
    make.charged(team, None, "0.000001")
    assert figures() == {"USD": (Decimal("3.499999"), 50)}
    make.charged(team, None, "0.069999")
    assert figures() == {"USD": (Decimal("3.43"), 49)}


def test_is_less_by_what_was_withdrawn_or_expired_and_returns_with_a_reversal():
    team = make.team()
    bought(team, 100, 1000)
    charge = make.charged(team, None, 40)
    assert figures() == {"USD": (60, 600)}
    make.reversal(charge, 10)
    assert figures() == {"USD": (70, 700)}

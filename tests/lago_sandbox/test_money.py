"""Minor units and rounding: B38, B39, B50."""

from decimal import Decimal

import pytest

from lago_sandbox import money


@pytest.mark.parametrize(
    ("currency", "units"),
    [("USD", 100), ("EUR", 100), ("HUF", 1), ("MGA", 1), ("JPY", 1), ("KRW", 1), ("BHD", 1000), ("CLF", 10000), ("MRO", 5)],
)  # fmt: skip
def test_b50_minor_units_are_lagos_and_not_isos(currency, units):
    assert money.SUBUNITS[currency] == units
    assert money.to_minor(Decimal("12.5"), currency) == money.round_half_up(Decimal("12.5") * units)


def test_b50_a_wallet_in_forint_has_no_minor_unit(shop):
    shop.customer(currency="HUF")
    wallet = shop.wallet(currency="HUF")
    shop.fill(wallet, "3500")
    [invoice] = shop.invoices()
    assert (invoice["total_amount_cents"], invoice["currency"]) == (3500, "HUF")


def test_b39_credits_are_floored_the_amount_rounded_and_the_credits_derived_again():
    assert money.top_up(Decimal("10.34567"), Decimal("1.375"), "USD") == (1423, Decimal("10.34909"))


def test_an_unknown_currency_is_422(shop):
    shop.customer(currency=None)
    body = {"wallet": {"external_customer_id": "org_1", "rate_amount": "1", "currency": "XXX"}}
    assert shop.refused("POST", "wallets", json=body) == (422, {"currency": ["value_is_invalid"]})

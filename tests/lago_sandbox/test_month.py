"""A month of the sandbox's clock: the fee is due in full, usage is billed nowhere, and only a restricted wallet keeps out."""

import pytest


@pytest.fixture
def used(shop):
    shop.lago.set_clock("2027-11-10T15:30:00Z")
    shop.plan("starter", 1900)
    shop.customer()
    shop.subscribe("starter")
    shop.lago.drain()
    return shop


def spend(shop):
    for number in range(5):
        events = [
            {
                "transaction_id": f"use_{number}_{n}",
                "code": code,
                "external_subscription_id": "sub_1",
                "properties": {"credits": "12.345678"},
            }
            for n, code in enumerate(["credits_used", "credits_used", "api_call"])
        ]
        shop.post("events/batch", events=events)
        shop.lago.advance(86400)
    shop.lago.set_clock("2027-12-10T01:00:00Z")
    shop.lago.drain()
    return shop.invoices()[0]


def test_with_the_restricted_wallet_the_fee_is_due_and_the_balance_untouched(used):
    wallet = used.wallet(restricted=True)
    used.fill(wallet, "45")
    renewal = spend(used)
    assert (renewal["fees_amount_cents"], renewal["total_amount_cents"]) == (1900, 1900)
    assert (renewal["prepaid_credit_amount_cents"], renewal["payment_status"]) == (0, "pending")
    fees = {one["item"]["code"]: (one["units"], one["amount_cents"]) for one in renewal["fees"]}
    assert fees == {"starter": ("1.0", 1900), "credits_used": ("123.45678", 0), "api_call": ("5.0", 0)}
    found = used.get(f"wallets/{wallet['lago_id']}")["wallet"]
    assert (found["credits_balance"], found["consumed_credits"]) == ("45.0", "0.0")


def test_control_a_wallet_without_restriction_eats_the_plan_fee(used):
    wallet = used.wallet(restricted=False)
    used.fill(wallet, "45")
    renewal = spend(used)
    assert (renewal["fees_amount_cents"], renewal["total_amount_cents"]) == (1900, 0)
    assert (renewal["prepaid_credit_amount_cents"], renewal["payment_status"]) == (1900, "succeeded")
    found = used.get(f"wallets/{wallet['lago_id']}")["wallet"]
    assert (found["credits_balance"], found["consumed_credits"]) == ("26.0", "19.0")


def test_twelve_months_are_twelve_renewals(used):
    used.lago.set_clock("2028-11-10T01:00:00Z")
    used.lago.drain()
    found = used.invoices()
    assert len(found) == 13
    starts = [one["billing_periods"][0]["subscription_from_datetime"][:10] for one in found]
    assert starts[:3] == ["2028-11-10", "2028-10-10", "2028-09-10"]
    assert sum(one["total_amount_cents"] for one in found) == 13 * 1900

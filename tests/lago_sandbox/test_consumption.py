"""Invoices that eat wallets: B43, B44, B47."""


def test_b43_wallets_pay_by_priority_and_granted_credits_go_first(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("starter", 1900)
    shop.customer()
    later = shop.wallet(restricted=False, priority=20, granted_credits="10")
    first = shop.wallet(restricted=False, priority=10, granted_credits="3")
    shop.lago.drain()
    shop.fill(first, "12")
    shop.subscribe("starter")
    shop.lago.drain()
    invoice = shop.invoices()[0]
    assert (shop.balance(first), shop.balance(later)) == ("0.0", "6.0")
    assert invoice["prepaid_credit_amount_cents"] == 1900
    assert invoice["prepaid_granted_credit_amount_cents"] == 700  # 3 of the first, 4 of the second
    assert (invoice["total_amount_cents"], invoice["payment_status"]) == (0, "succeeded")


def test_b44_a_wallet_moves_only_at_invoicing_and_what_it_lacks_remains_due(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("priced", 0, price="1")
    shop.customer()
    wallet = shop.wallet(granted_credits="10")
    shop.subscribe("priced")
    shop.lago.drain()
    shop.event("t1", properties={"credits": "25"})
    shop.lago.drain()
    assert shop.balance(wallet) == "10.0"
    shop.lago.set_clock("2027-12-01T01:00:00Z")
    shop.lago.drain()
    invoice = shop.invoices()[0]
    assert (invoice["prepaid_credit_amount_cents"], invoice["total_amount_cents"]) == (1000, 1500)
    assert shop.balance(wallet) == "0.0"
    [_, taken] = sorted(
        shop.get(f"wallets/{wallet['lago_id']}/wallet_transactions")["wallet_transactions"],
        key=lambda one: one["created_at"],
    )
    assert (taken["transaction_status"], taken["transaction_type"], taken["amount"]) == (
        "invoiced",
        "outbound",
        "10.0",
    )


def test_b47_voiding_an_invoice_gives_the_wallet_granted_credits(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("starter", 1900)
    shop.customer()
    wallet = shop.wallet(restricted=False, granted_credits="10")
    shop.lago.drain()
    shop.subscribe("starter")
    shop.lago.drain()
    [invoice] = shop.invoices()
    assert (invoice["total_amount_cents"], shop.balance(wallet)) == (900, "0.0")
    assert shop.post(f"invoices/{invoice['lago_id']}/void")["invoice"]["status"] == "voided"
    assert shop.balance(wallet) == "10.0"
    newest = shop.get(f"wallets/{wallet['lago_id']}/wallet_transactions")["wallet_transactions"]
    back = next(one for one in newest if one["lago_voided_invoice_id"] == invoice["lago_id"])
    assert (back["transaction_status"], back["credit_amount"]) == ("granted", "10.0")

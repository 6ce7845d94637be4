"""Two top-ups with one purchase's key: what was paid is kept, the rest is void, and one is granted."""

import logging

import pytest

pytestmark = pytest.mark.django_db


class TestDoubles:
    """Two top-ups with our key, as a worker that stood still for longer than its lease could make them."""

    def test_the_later_one_is_void_and_the_first_is_paid(self, shop):
        purchase = shop.waiting()
        double = shop.top_up(purchase)
        purchase = shop.advance(purchase)
        assert shop.invoice(double)["status"] == "voided"
        assert str(purchase.wallet_transaction_id) != double
        assert shop.lago.requested("POST", "/api/v1/invoices/<id>/void") == 1
        shop.advance(purchase)
        assert shop.lago.requested("POST", "/api/v1/invoices/<id>/void") == 1
        shop.pay(purchase.invoice_id)
        purchase = shop.advance(purchase)
        assert (purchase.status, shop.granted(), purchase.drift) == ("completed", [5000], "")
        assert "credits.purchase_double_voided" in shop.audited()

    def test_if_the_later_one_was_paid_it_is_kept_and_the_first_is_void(self, shop):
        purchase = shop.waiting()
        first = purchase.wallet_transaction_id
        double = shop.top_up(purchase)
        shop.pay(shop.at_lago(double)["lago_invoice_id"])
        purchase = shop.advance(purchase)
        assert (purchase.status, str(purchase.wallet_transaction_id)) == ("completed", double)
        assert purchase.invoice_number == shop.invoice(double)["number"]
        assert (shop.invoice(first)["status"], shop.granted()) == ("voided", [5000])

    def test_if_both_were_paid_one_is_granted_and_people_must_look(self, shop, caplog):
        purchase = shop.waiting()
        double = shop.top_up(purchase)
        shop.pay(purchase.invoice_id)
        shop.pay(shop.at_lago(double)["lago_invoice_id"])
        with caplog.at_level(logging.ERROR):
            purchase = shop.advance(purchase)
        assert (purchase.status, shop.granted()) == ("completed", [5000])
        assert "paid twice" in purchase.drift
        assert "not as ordered" in caplog.text
        assert shop.audited().count("credits.purchase_flagged") == 1

    def test_one_that_is_paid_while_it_is_made_void_is_left_to_the_next_look(self, shop):
        purchase = shop.waiting()
        double = shop.top_up(purchase)
        refused = {"status": 405, "body": '{"status": 405, "error": "x", "code": "not_voidable"}', "times": 1}
        shop.lago.faults({"method": "POST", "path": "/void"} | refused)
        assert shop.advance(purchase).status == "awaiting_payment"
        shop.pay(shop.at_lago(double)["lago_invoice_id"])
        assert shop.advance(purchase).status == "completed"
        assert shop.granted() == [5000]

"""Lago down, slow, lying or refusing, and answers that were lost: nothing is bought twice, and no order is lost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from lago_sync.errors import PurchasesStopped
from lago_sync.models import HealthCheck, LagoCustomer, Purchase
from lago_sync.purchases import advancing, leases, topups
from tests.lago_sync.purchases.story import ordered

pytestmark = pytest.mark.django_db

TOP_UP = {"method": "POST", "path": "/wallet_transactions$"}
AWAY = [
    {"status": 502, "body": "<html>bad gateway</html>"},
    {"status": 200, "body": "{}"},
    {"status": 500, "body": "oops"},
    {"status": 200, "body": "garbage"},
    {"status": 200, "body": "[]"},
    {"status": 302, "body": ""},
    {"status": 429, "body": "{}"},
    {"drop": True, "after_commit": False},
]
LEASE_OVER = leases.LASTS + timedelta(seconds=1)


class TestAnAnswerThatNeverCame:
    def test_a_top_up_that_lago_made_is_found_at_once_and_never_sent_again(self, shop):
        shop.lago.faults(TOP_UP | {"times": 1, "drop": True})
        purchase = shop.advance(shop.order())
        assert purchase.status == "awaiting_payment"
        purchase = shop.advance(purchase)
        shop.pay(purchase.invoice_id)
        assert shop.advance(purchase).status == "completed"
        assert (len(shop.top_ups(purchase)), shop.granted()) == (1, [5000])

    @pytest.mark.parametrize("body", ["{}", "<html>", '{"wallet_transactions": [{}]}', "[]", ""])
    def test_an_answer_that_says_nothing_is_no_answer(self, shop, body):
        shop.lago.faults(TOP_UP | {"times": 1, "status": 200, "body": body, "after_commit": True})
        purchase = shop.advance(shop.order())
        assert (purchase.status, len(shop.top_ups(purchase))) == ("awaiting_payment", 1)

    def test_while_it_is_unknown_nothing_is_sent_before_the_lease_is_over(self, shop):
        """The top-up did not reach Lago, which we cannot know; two others try meanwhile."""
        shop.lago.faults(TOP_UP | {"times": 1, "drop": True, "after_commit": False})
        purchase = shop.advance(shop.order())
        assert (purchase.status, purchase.leased_until is not None) == ("pending", True)
        assert "unknown" in purchase.last_error
        for seconds in (1, 60, 299):
            shop.advance(purchase, later=timedelta(seconds=seconds))
        assert shop.lago.requested("POST", "/api/v1/wallet_transactions") == 1
        assert shop.top_ups(purchase) == []
        purchase = shop.advance(purchase, later=LEASE_OVER)
        assert (purchase.status, len(shop.top_ups(purchase))) == ("awaiting_payment", 1)

    def test_one_that_shows_late_is_adopted_when_the_lease_is_over(self, shop):
        """Lago commits, but neither the answer nor the look after it comes through."""
        wallet = {"method": "GET", "path": "/wallets/.*/wallet_transactions", "status": 502, "body": "<html>"}
        shop.advance(shop.order(key="first"))  # so that the look before the next top-up needs no new wallet
        purchase = shop.order(key="second")
        shop.lago.faults(TOP_UP | {"times": 1, "drop": True})
        original, looks = topups.of_purchase, []

        def blind_after_sending(*arguments, **named):
            looks.append(1)
            if len(looks) == 2:
                shop.lago.faults(wallet | {"times": 3})
            return original(*arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(topups, "of_purchase", blind_after_sending)
            purchase = shop.advance(purchase)
        assert (purchase.status, len(shop.top_ups(purchase))) == ("pending", 1)
        purchase = shop.advance(purchase, later=LEASE_OVER)
        assert (purchase.status, len(shop.top_ups(purchase))) == ("awaiting_payment", 1)

    def test_without_the_look_up_it_would_be_bought_twice(self, shop, monkeypatch):
        """The control: the same lost answer, and nobody looks."""
        monkeypatch.setattr(topups, "of_purchase", lambda *_, **__: topups.Found(None))
        shop.lago.faults(TOP_UP | {"times": 1, "drop": True})
        purchase = shop.advance(shop.order())
        shop.advance(purchase, later=LEASE_OVER)
        assert len(shop.top_ups(purchase)) == 2


class TestLagoAway:
    def test_down_costs_no_order_and_gives_the_lease_back_at_once(self, shop, settings):
        there, settings.LAGO_API_URL = settings.LAGO_API_URL, "http://127.0.0.1:9"
        purchase = shop.advance(shop.order())
        assert (purchase.status, purchase.leased_until, purchase.attempts) == ("pending", None, 1)
        assert "reached" in purchase.last_error
        settings.LAGO_API_URL = there
        assert shop.advance(purchase).status == "awaiting_payment"

    @pytest.mark.parametrize(
        ("where", "fault"),
        [
            *(("/wallet_transactions", fault) for fault in AWAY),
            *(
                (where, fault)
                for where in ("/customers", "/wallets", "/invoices", "payment_url")
                for fault in AWAY[:2]
            ),
        ],
    )
    def test_whatever_it_answers_the_order_is_topped_up_once_when_it_is_back(self, shop, where, fault):
        shop.lago.faults({"method": ".*", "path": where, "times": 6} | fault)
        purchase = shop.order()
        for _ in range(3):
            assert shop.advance(purchase).status in {"pending", "awaiting_payment"}
        shop.lago.faults()
        for _ in range(3):
            purchase = shop.advance(purchase, later=LEASE_OVER)
        assert (purchase.status, len(shop.top_ups(purchase))) == ("awaiting_payment", 1)
        assert purchase.invoice_number
        shop.lago.faults({"method": ".*", "path": where, "times": 6} | fault)
        shop.pay(purchase.invoice_id)
        for _ in range(2):
            shop.advance(purchase)
        shop.lago.faults()
        assert shop.advance(purchase).status == "completed"
        assert (shop.granted(), len(shop.top_ups(purchase))) == ([5000], 1)

    def test_slow_is_given_up_and_known_when_the_lease_is_over(self, shop, settings):
        shop.advance(shop.order(key="first"))
        settings.LAGO_TIMEOUT_SECONDS = 0.3
        shop.lago.faults(TOP_UP | {"times": 1, "latency": 1.0, "after_commit": False})
        purchase = shop.advance(shop.order(key="slow"))
        shop.lago.faults()
        assert purchase.status == "pending"
        settings.LAGO_TIMEOUT_SECONDS = 30
        purchase = shop.advance(purchase, later=LEASE_OVER)
        assert (purchase.status, len(shop.top_ups(purchase))) == ("awaiting_payment", 1)

    def test_a_wrong_key_keeps_the_order_waiting(self, shop, settings):
        right, settings.LAGO_API_KEY = settings.LAGO_API_KEY, "wrong"
        purchase = shop.advance(shop.order())
        assert (purchase.status, purchase.leased_until) == ("pending", None)
        assert "401" in purchase.last_error
        settings.LAGO_API_KEY = right
        assert shop.advance(purchase).status == "awaiting_payment"


class TestRefusals:
    def test_a_refused_top_up_has_failed_with_lagos_words(self, shop):
        body = '{"status": 422, "error": "Unprocessable Entity", "code": "validation_errors", "error_details": {"paid_credits": ["amount_above_maximum"]}}'
        shop.lago.faults(TOP_UP | {"times": 1, "status": 422, "body": body})
        purchase = shop.advance(shop.order())
        assert (purchase.status, purchase.leased_until) == ("failed", None)
        assert "amount_above_maximum" in purchase.last_error
        assert shop.audited() == ["credits.purchase_ordered", "credits.purchase_failed"]
        assert advancing.advance_due(now=timezone.now() + timedelta(days=1)) == 0
        assert shop.advance(purchase).status == "failed"

    def test_a_failed_one_that_lago_has_after_all_is_taken_up_again(self, shop):
        """Told by its webhook, say: the top-up was on its way when a second try was refused."""
        shop.advance(shop.order(key="first"))
        purchase = shop.order(key="second")
        Purchase.objects.filter(pk=purchase.pk).update(status="failed")
        shop.top_up(purchase)
        purchase = shop.advance(purchase)
        assert purchase.status == "awaiting_payment"
        shop.pay(shop.advance(purchase).invoice_id)
        assert shop.advance(purchase).status == "completed"

    def test_what_lago_has_already_is_found_before_anything_may_be_refused(self, shop):
        """A customer that Lago does not take any more must not make a purchase fail that can still be paid."""
        shop.advance(shop.order(key="first"))
        purchase = shop.order(key="second")
        shop.top_up(purchase)
        refused = {"status": 422, "body": '{"status": 422, "code": "validation_errors", "error_details": {}}'}
        shop.lago.faults({"method": ".*", "path": "/customers", "times": 9} | refused)
        assert shop.advance(purchase).status == "awaiting_payment"
        assert len(shop.top_ups(purchase)) == 1

    def test_a_wallet_in_another_currency_buys_nothing(self, shop):
        shop.advance(shop.order(key="first"))
        LagoCustomer.objects.update(currency="EUR")
        purchase = shop.advance(shop.order(key="second"))
        assert (purchase.status, shop.top_ups(purchase)) == ("pending", [])
        assert "USD" in purchase.last_error

    def test_what_would_be_billed_twice_is_not_sent_though_it_was_ordered_before(self, shop):
        purchase = shop.order()
        problem = {"what": "A plan charges credits_used.", "do": "Look.", "stops_purchases": True}
        HealthCheck.objects.create(checked_at=timezone.now(), status="unhealthy", problems=[problem])
        purchase = shop.advance(purchase)
        assert (purchase.status, purchase.leased_until) == ("pending", None)
        assert shop.lago.dump()["wallettransaction"] == []
        with pytest.raises(PurchasesStopped):
            ordered(shop.organization, key="another")

    def test_a_worker_that_stood_still_sends_nothing_any_more(self, shop, monkeypatch):
        monkeypatch.setattr(leases, "SENDS_WITHIN", timedelta(seconds=-1))
        purchase = shop.advance(shop.order())
        assert (purchase.status, shop.lago.dump()["wallettransaction"]) == ("pending", [])

"""From an order to one top-up, one payment and one grant, against the real sandbox: also when Lago is away, slow or lies."""

import logging
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync.errors import PurchasesStopped
from lago_sync.models import HealthCheck, LagoCustomer, Package, Purchase
from lago_sync.purchases import advancing, leases, schedule, topups
from orgs.models import Organization
from tests.factories import credits as books
from tests.lago_sync.purchases.story import custom, ordered

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


class TestTheStraightWay:
    def test_an_order_is_topped_up_invoiced_paid_and_granted_once(self, shop):
        purchase = shop.advance(shop.order())
        assert (purchase.status, purchase.leased_until) == ("awaiting_payment", None)
        purchase = shop.advance(purchase)
        assert purchase.invoice_number == shop.invoice(purchase.wallet_transaction_id)["number"]
        assert purchase.payment_url.startswith(f"{shop.lago.url}/pay/")
        assert shop.granted() == []
        shop.pay(purchase.invoice_id)
        purchase = shop.advance(purchase)
        assert purchase.status == "completed"
        assert purchase.completed_at is not None
        assert shop.granted() == [5000]
        assert books.pool(shop.organization).available == 5000
        assert [shop.advance(purchase).status for _ in range(3)] == ["completed"] * 3
        assert (shop.granted(), len(shop.top_ups(purchase))) == ([5000], 1)
        assert shop.audited() == ["credits.purchase_ordered", "credits.purchased"]

    def test_the_top_up_is_the_price_in_major_units_with_our_key_and_no_gift(self, shop):
        purchase = shop.waiting(custom("12345"))
        [row] = shop.top_ups(purchase)
        assert (row["amount_cents"], row["transaction_status"]) == (9876, "purchased")
        assert row["metadata"] == [
            {"key": "purchase", "value": purchase.key},
            {"key": "credits", "value": "12345"},
        ]
        assert len(shop.lago.dump()["wallettransaction"]) == 1

    def test_a_currency_without_minor_units_is_not_sold_a_hundredfold(self, shop):
        Package.objects.create(code="huf", name="H", credits=1000, amount_cents=3500, currency="HUF")
        Organization.objects.filter(pk=shop.organization.pk).update(currency="HUF")
        shop.organization.refresh_from_db()
        purchase = shop.waiting(custom("1000"))
        assert shop.invoice(purchase.wallet_transaction_id)["total_amount_cents"] == 3500
        shop.pay(purchase.invoice_id)
        assert shop.advance(purchase).status == "completed"

    def test_a_second_purchase_uses_the_same_customer_and_wallet(self, shop):
        shop.pay(shop.waiting().invoice_id)
        other = shop.advance(shop.order(key="again"))
        assert other.status == "awaiting_payment"
        rows = shop.lago.dump()
        assert (len(rows["customer"]), len(rows["wallet"]), len(rows["wallettransaction"])) == (1, 1, 2)

    def test_without_a_payment_provider_there_is_an_invoice_and_no_page(self, shop, settings):
        settings.LAGO_PAYMENT_PROVIDER = ""
        purchase = shop.waiting()
        assert purchase.invoice_number
        assert purchase.payment_url == ""
        assert shop.lago.requested("POST", "/api/v1/wallet_transactions/<id>/payment_url") == 0

    def test_a_provider_that_is_not_linked_gives_no_page_and_harms_nothing(self, shop):
        shop.lago.settings(psp=False)
        purchase = shop.waiting()
        assert (purchase.payment_url, purchase.last_error) == ("", "")

    def test_a_page_that_may_have_ended_is_asked_for_again_after_a_day(self, shop):
        purchase = shop.waiting()
        Purchase.objects.filter(pk=purchase.pk).update(payment_url="https://pay.example/ended")
        assert shop.advance(purchase).payment_url == "https://pay.example/ended"
        assert shop.advance(purchase, later=timedelta(hours=25)).payment_url.startswith(shop.lago.url)

    def test_a_debt_is_settled_from_what_is_bought(self, shop):
        books.subscribe(shop.organization, "enterprise")
        books.settle(books.charge(shop.organization, None, 7, after_the_fact=True))
        shop.pay(shop.waiting().invoice_id)
        assert shop.advance(Purchase.objects.get()).status == "completed"


class TestPayment:
    def test_declined_is_shown_and_a_late_success_still_completes(self, shop):
        purchase = shop.waiting()
        shop.decline(purchase.invoice_id)
        assert [shop.advance(purchase).status for _ in range(2)] == ["declined", "declined"]
        assert shop.granted() == []
        shop.pay(purchase.invoice_id)
        purchase = shop.advance(purchase)
        assert (purchase.status, shop.granted()) == ("completed", [5000])
        assert shop.audited() == [
            "credits.purchase_ordered",
            "credits.purchase_declined",
            "credits.purchased",
        ]

    def test_is_found_by_the_schedule_if_no_webhook_ever_comes(self, shop):
        purchase = shop.order()
        now = timezone.now()
        for _ in range(5):
            now += timedelta(seconds=10)
            assert advancing.advance_due(now=now) == 1
            shop.lago.drain()
            purchase.refresh_from_db()
            if purchase.status == "awaiting_payment" and purchase.invoice_id:
                break
        shop.pay(purchase.invoice_id)
        assert advancing.advance_due(now=now + timedelta(seconds=40)) == 1
        purchase.refresh_from_db()
        assert (purchase.status, shop.granted()) == ("completed", [5000])
        assert advancing.advance_due(now=now + timedelta(days=9)) == 0

    def test_of_a_suspended_organization_is_granted_too_for_the_money_came(self, shop):
        purchase = shop.waiting()
        Organization.objects.filter(pk=shop.organization.pk).update(status="suspended")
        shop.pay(purchase.invoice_id)
        assert shop.advance(purchase).status == "completed"


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
        monkeypatch.setattr(leases, "_SENDS_WITHIN", timedelta(seconds=-1))
        purchase = shop.advance(shop.order())
        assert (purchase.status, shop.lago.dump()["wallettransaction"]) == ("pending", [])


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


class TestTheSchedule:
    def test_looks_every_few_seconds_at_first_seldom_later_and_for_ever(self, db):
        now = timezone.now()
        purchase = Purchase(created_at=now)
        waits = []
        for attempts, age in [
            *((n, timedelta(seconds=n)) for n in range(40)),
            (41, timedelta(minutes=11)),
            (42, timedelta(hours=25)),
            (43, timedelta(days=400)),
        ]:
            purchase.attempts = attempts
            waits.append((schedule.next_look(purchase=purchase, now=now + age) - now - age).total_seconds())
        assert waits[:3] == [1, 2, 3]
        assert waits[39] == 30
        assert waits[40:] == [120, 3600, 3600]
        assert all(after >= before for before, after in pairwise(waits))

    def test_takes_what_is_due_and_leaves_what_is_not_or_is_over(self, shop, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        due, later, over = (shop.order(key=key) for key in ("due", "later", "over"))
        now = timezone.now()
        Purchase.objects.filter(pk=due.pk).update(due_at=now)
        Purchase.objects.filter(pk=later.pk).update(due_at=now + timedelta(seconds=1))
        Purchase.objects.filter(pk=over.pk).update(status="failed", due_at=now)
        assert advancing.advance_due(now=now) == 1
        assert [Purchase.objects.get(pk=one.pk).attempts for one in (due, later, over)] == [1, 0, 0]

    def test_one_that_breaks_is_looked_at_again_and_stops_no_other(self, shop):
        for number in range(3):
            shop.order(key=f"{number}")
        shop.lago.faults({"method": ".*", "path": "/customers", "times": 1, "status": 200, "body": "{"})
        now = timezone.now()
        assert advancing.advance_due(now=now) == 3
        assert sorted(Purchase.objects.values_list("status", flat=True)) == [
            "awaiting_payment",
            "awaiting_payment",
            "pending",
        ]
        assert advancing.advance_due(now=now + timedelta(seconds=30)) == 3
        assert set(Purchase.objects.values_list("status", flat=True)) == {"awaiting_payment"}

    def test_a_purchase_that_is_not_there_is_an_error(self, db):
        with pytest.raises(Purchase.DoesNotExist):
            advancing.advance(purchase_id=uuid4(), now=timezone.now())

"""From an order to one top-up, one payment and one grant, against the real sandbox."""

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync.models import Package, Purchase
from lago_sync.purchases import advancing, schedule
from orgs.models import Organization
from tests.factories import credits as books
from tests.lago_sync.purchases.story import custom

pytestmark = pytest.mark.django_db


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

"""Verified means fetched from Lago by our key: what is forged, unpaid, another's or another amount grants nothing, ever."""

import json
import logging
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from credits.models import Grant
from lago_sync.models import Purchase
from lago_sync.purchases import completion
from lago_sync.purchases.completion import NotAsOrdered, Payment
from tests.concurrency.racing import in_another_session, race, wait_for_a_lock
from tests.factories import credits as books
from tests.lago_sync.purchases.story import Shop


@pytest.fixture
def waiting(shop):
    return shop.waiting()


def paid(shop):
    """Return a purchase whose payment Lago has, and we have not looked at."""
    purchase = shop.waiting()
    shop.pay(purchase.invoice_id)
    return purchase


def lies(shop, what, **changes):
    """Let the sandbox answer one kind of question with other values; the rest of each answer is true."""
    path, found = what
    root, inside = next(iter(found.items()))
    body = json.dumps({root: inside | changes})
    shop.lago.faults({"method": "GET", "path": path, "times": 9, "status": 200, "body": body})


def the_invoice(shop, purchase):
    path = f"invoices/{purchase.invoice_id}"
    return f"/{path}$", shop.lago.api("GET", path).json()


def the_wallet(shop, purchase):
    path = f"wallets/{purchase.wallet_id}"
    return f"/{path}$", shop.lago.api("GET", path).json()


@pytest.mark.django_db
class TestForged:
    @pytest.mark.parametrize("amount", ["44.99", "45.01", "0.01", "4500.00"])
    def test_a_paid_top_up_by_hand_over_another_amount(self, shop, waiting, amount, caplog):
        forged = shop.top_up(waiting, amount=amount)
        shop.pay(shop.at_lago(forged)["lago_invoice_id"])
        with caplog.at_level(logging.ERROR):
            purchase = shop.advance(waiting)
        assert (purchase.status, shop.granted()) == ("awaiting_payment", [])
        assert f"is over {amount.rstrip('0').rstrip('.')}" in purchase.drift
        assert "not as ordered" in caplog.text
        assert shop.invoice(forged)["status"] == "finalized"  # not ours, so not for us to void
        shop.pay(purchase.invoice_id)
        assert shop.advance(purchase).status == "completed"
        assert shop.granted() == [5000]

    def test_a_settled_gift_with_our_key(self, shop, waiting):
        shop.top_up(waiting, kind="granted")
        purchase = shop.advance(waiting)
        assert (purchase.status, shop.granted()) == ("awaiting_payment", [])
        assert "granted, not purchased" in purchase.drift

    def test_a_paid_top_up_in_another_wallet_of_the_same_customer(self, shop, waiting):
        fields = {
            "external_customer_id": shop.organization.public_id,
            "rate_amount": "1",
            "currency": "USD",
            "code": "other",
            "applies_to": {"billable_metric_codes": ["credits_used"]},
        }
        other = shop.lago.api("POST", "wallets", json={"wallet": fields}).json()["wallet"]["lago_id"]
        shop.pay(shop.at_lago(shop.top_up(waiting, wallet_id=other))["lago_invoice_id"])
        assert (shop.advance(waiting).status, shop.granted()) == ("awaiting_payment", [])

    def test_a_paid_top_up_in_another_organizations_wallet(self, shop, waiting):
        other = Shop(shop.lago)
        other.waiting()
        shop.pay(shop.at_lago(shop.top_up(waiting, wallet_id=other.wallet_id))["lago_invoice_id"])
        assert (shop.advance(waiting).status, shop.granted(), other.granted()) == ("awaiting_payment", [], [])

    def test_before_the_order_is_sent_keeps_it_from_being_sent_and_is_flagged(self, shop):
        shop.advance(shop.order(key="first"))
        purchase = shop.order(key="second")
        forged = shop.top_up(purchase, amount="0.01")
        shop.pay(shop.at_lago(forged)["lago_invoice_id"])
        for later in range(3):
            purchase = shop.advance(purchase, later=timedelta(minutes=6 * later))
        assert (purchase.status, shop.granted(), len(shop.top_ups(purchase))) == ("pending", [], 1)
        assert "is over 0.01 instead of 45.00 USD" in purchase.drift
        assert shop.audited().count("credits.purchase_flagged") == 1

    @pytest.mark.parametrize("becomes", ["unpaid", "declined"])
    def test_one_that_is_not_paid(self, shop, waiting, becomes):
        if becomes == "declined":
            shop.decline(waiting.invoice_id)
        assert shop.advance(waiting).status in {"awaiting_payment", "declined"}
        with pytest.raises(NotAsOrdered):
            completion.verify(Purchase.objects.get(pk=waiting.pk))
        assert shop.granted() == []


@pytest.mark.django_db
class TestWhatLagoSaysOfThePaymentIsCompared:
    @pytest.mark.parametrize(
        ("what", "changes"),
        [
            (the_invoice, {"payment_status": "pending"}),
            (the_invoice, {"payment_status": "failed"}),
            (the_invoice, {"status": "voided"}),
            (the_invoice, {"invoice_type": "one_off"}),
            (the_invoice, {"currency": "EUR"}),
            (the_invoice, {"total_amount_cents": 4499}),
            (the_invoice, {"customer": {"external_id": "org_other"}}),
            (the_wallet, {"external_customer_id": "org_other"}),
            (the_wallet, {"currency": "EUR"}),
        ],
    )
    def test_a_settled_top_up_whose_invoice_or_wallet_says_otherwise_grants_nothing(
        self, shop, what, changes
    ):
        purchase = paid(shop)
        lies(shop, what(shop, purchase), **changes)
        purchase = shop.advance(purchase)
        assert (purchase.status, shop.granted()) == ("awaiting_payment", [])
        assert purchase.drift
        assert purchase.last_error == purchase.drift
        shop.lago.faults()
        assert shop.advance(purchase).status == "completed"

    @pytest.mark.parametrize("body", ['{"invoice": {}}', "{}", '{"invoice": {"customer": null}}', "x"])
    def test_an_invoice_of_another_shape_says_nothing_and_is_asked_for_again(self, shop, body):
        purchase = paid(shop)
        shop.lago.faults({"method": "GET", "path": "/invoices/", "times": 9, "status": 200, "body": body})
        purchase = shop.advance(purchase)
        assert (purchase.status, purchase.drift, shop.granted()) == ("awaiting_payment", "", [])
        assert purchase.last_error
        shop.lago.faults()
        assert shop.advance(purchase).status == "completed"

    def test_one_that_was_never_ordered_at_lago_has_no_payment(self, shop):
        with pytest.raises(NotAsOrdered):
            completion.verify(shop.order())


@pytest.mark.django_db
class TestTheRow:
    def test_another_purchases_payment_is_refused(self, shop):
        purchase = paid(shop)
        payment = completion.verify(Purchase.objects.get(pk=purchase.pk))
        other = shop.order(key="other")
        with pytest.raises(NotAsOrdered), transaction.atomic():
            completion.complete(purchase_id=other.pk, payment=payment, now=timezone.now())
        assert shop.granted() == []

    def test_one_transaction_at_lago_completes_one_purchase(self, shop):
        purchase, other = paid(shop), shop.order(key="other")
        shop.advance(purchase)
        done = Purchase.objects.get(pk=purchase.pk)
        forged = Payment(
            purchase_id=other.pk,
            wallet_id=done.wallet_id,
            transaction_id=done.wallet_transaction_id,
            invoice_id=uuid4(),
            invoice_number="X",
        )
        with pytest.raises(IntegrityError, match="wallet_transaction_id"), transaction.atomic():
            completion.complete(purchase_id=other.pk, payment=forged, now=timezone.now())

    def test_says_in_the_grant_what_was_paid_for_it(self, shop):
        shop.advance(paid(shop))
        grant = Grant.objects.get(organization=shop.organization, source="purchase")
        assert (grant.paid_cents, grant.currency) == (4500, "USD")

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({"status": "completed"}, "purchase_completed_has_its_grant_and_payment"),
            ({"grant_id": uuid4()}, "purchase_completed_has_its_grant_and_payment"),
            ({"status": "awaiting_payment"}, "purchase_waiting_is_known_to_lago"),
            ({"status": "lost"}, "purchase_status_is_known"),
            ({"amount_cents": 0}, "purchase_has_credits_and_a_price"),
            ({"credits": 0}, "purchase_has_credits_and_a_price"),
        ],
    )
    def test_cannot_say_what_is_not_so(self, shop, values, name):
        purchase = shop.order()
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Purchase.objects.filter(pk=purchase.pk).update(**values)


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
class TestAtOnce:
    def test_completing_locks_the_purchase_and_then_the_pool(self, shop):
        """Whoever has the pool makes it wait, and the purchase's row is taken by then."""
        purchase = paid(shop)
        payment = completion.verify(Purchase.objects.get(pk=purchase.pk))
        books.grant(shop.organization, 1)
        pool = books.pool(shop.organization)

        def complete():
            with transaction.atomic():
                return completion.complete(purchase_id=purchase.pk, payment=payment, now=timezone.now())

        def see_that_the_row_is_locked():
            wait_for_a_lock()
            with transaction.atomic():
                rows = Purchase.objects.select_for_update(skip_locked=True, no_key=True)
                return rows.filter(pk=purchase.pk).exists()

        with in_another_session(lambda: type(pool).objects.select_for_update().get(pk=pool.pk)) as commit:

            def look_and_let_go():
                found = see_that_the_row_is_locked()
                commit()
                return found

            done, was_free = race([complete, look_and_let_go])
        assert (done.status, was_free, shop.granted()) == ("completed", False, [5000])

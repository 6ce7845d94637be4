"""Giving an order up: the invoice is voided before the order is abandoned, and a payment that came first completes it."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from kit.errors import Conflict
from lago_sync.models import Purchase
from lago_sync.purchases import abandoning, topups
from orgs.notices.models import Notice
from tests.lago_sync.purchases.story import BUYER

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=6)
WEEK = timedelta(days=7)


def give_up(purchase):
    with transaction.atomic():
        return abandoning.give_up(purchase=purchase, by=BUYER, now=timezone.now())


def test_the_invoice_is_voided_first_and_then_the_order_is_abandoned(shop):
    purchase = shop.waiting()
    give_up(purchase)
    assert Purchase.objects.get().status == "awaiting_payment"  # nothing is over before Lago says so
    assert shop.advance(purchase).status == "abandoned"
    assert shop.invoice(purchase.wallet_transaction_id)["status"] == "voided"
    assert shop.audited()[-2:] == ["credits.purchase_given_up", "credits.purchase_abandoned"]
    asked = shop.lago.requested("POST", "/api/v1/invoices/<id>/void")
    give_up(purchase)  # again changes nothing
    assert shop.advance(purchase).status == "abandoned"
    assert (shop.granted(), shop.audited().count("credits.purchase_given_up")) == ([], 1)
    assert shop.lago.requested("POST", "/api/v1/invoices/<id>/void") <= asked + 1


def test_what_lago_never_heard_of_is_abandoned_without_a_top_up(shop):
    purchase = shop.order()
    give_up(purchase)
    assert shop.advance(purchase).status == "abandoned"
    assert not shop.lago.dump()["wallettransaction"]


@pytest.mark.parametrize("arrived", [True, False])
def test_while_it_is_unknown_whether_lago_took_the_order_nothing_is_over(shop, monkeypatch, arrived):
    shop.advance(shop.order(key="earlier"))
    shop.lago.faults(
        {"method": "POST", "path": "wallet_transactions", "times": 1, "drop": True, "after_commit": arrived}
    )
    with monkeypatch.context() as blind:
        blind.setattr(topups, "of_purchase", lambda *_, **__: topups.Found(None))
        purchase = shop.advance(shop.order())
    give_up(purchase)
    assert shop.advance(purchase).status == "pending"  # the lease of the unknown order is not over
    assert shop.advance(purchase, later=LATER).status == "abandoned"
    assert [shop.invoice(one["id"])["status"] for one in shop.top_ups(purchase)] == ["voided"] * arrived


def test_a_void_refused_because_it_was_paid_completes_the_purchase(shop):
    purchase = shop.waiting()
    give_up(purchase)
    shop.lago.pay(str(purchase.invoice_id))  # the provider is first; Lago settles it a moment later
    shop.advance(purchase)
    assert shop.advance(purchase).status == "completed"
    assert shop.granted() == [5000]
    assert shop.audited().count("credits.purchase_abandoned") == 0
    with pytest.raises(Conflict, match="is completed"):
        give_up(purchase)


def test_a_void_whose_answer_was_lost_is_found_out(shop):
    purchase = shop.waiting()
    give_up(purchase)
    shop.lago.faults({"method": "POST", "path": "/void", "times": 1, "drop": True})
    assert shop.advance(purchase).status == "awaiting_payment"
    assert Purchase.objects.get().last_error
    assert shop.advance(purchase).status == "abandoned"
    assert shop.audited().count("credits.purchase_abandoned") == 1


def test_a_declined_one_is_given_up_too_and_can_still_not_be_paid(shop):
    purchase = shop.waiting()
    shop.decline(purchase.invoice_id)
    assert shop.advance(purchase).status == "declined"
    give_up(purchase)
    assert shop.advance(purchase).status == "abandoned"
    assert shop.lago.api("PUT", f"invoices/{purchase.invoice_id}", json={"invoice": {"payment_status": "succeeded"}}).status_code == 405  # fmt: skip


def test_a_top_up_that_shows_up_paid_after_all_is_granted(shop):
    """Sent before the order was given up, shown by Lago only long after: the money came, so the credits do."""
    shop.advance(shop.order(key="earlier"))
    purchase = shop.order()
    give_up(purchase)
    assert shop.advance(purchase).status == "abandoned"
    top_up = shop.top_up(purchase)
    shop.pay(shop.at_lago(top_up)["lago_invoice_id"])
    assert shop.advance(purchase).status == "completed"
    assert shop.granted() == [5000]


def test_a_top_up_that_shows_up_unpaid_is_voided(shop):
    shop.advance(shop.order(key="earlier"))
    purchase = shop.order()
    give_up(purchase)
    shop.advance(purchase)
    top_up = shop.top_up(purchase)
    assert shop.advance(purchase).status == "abandoned"
    assert shop.invoice(top_up)["status"] == "voided"


def test_after_seven_days_nobody_waits_any_more(shop):
    purchase = shop.waiting()
    assert shop.advance(purchase, later=WEEK - timedelta(minutes=1)).status == "awaiting_payment"
    assert shop.advance(purchase, later=WEEK).status == "abandoned"
    assert shop.invoice(purchase.wallet_transaction_id)["status"] == "voided"
    owner = shop.organization.memberships.get(role="owner").user
    [told] = Notice.objects.filter(user=owner)
    assert "is given up" in told.title
    shop.advance(purchase, later=WEEK)
    assert Notice.objects.filter(user=owner).count() == 1

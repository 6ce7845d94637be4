"""Who buys and who may buy are told what became of a purchase, once."""

import pytest

from lago_sync.models import Purchase
from orgs.notices.models import Notice
from tests.factories import orgs

pytestmark = pytest.mark.django_db


def told():
    rows = Notice.objects.filter(kind__startswith="purchase").order_by("id")
    return [(one.kind, one.level, one.title) for one in rows]


def test_a_paid_purchase_is_told_once_however_often_it_is_looked_at(shop):
    purchase = shop.waiting()
    assert told() == []
    buyer = orgs.member(shop.organization).user
    Purchase.objects.filter(pk=purchase.pk).update(made_by=buyer.public_id)
    shop.pay(purchase.invoice_id)
    for _ in range(3):
        shop.advance(purchase)
    paid = ("purchase_paid", "success", "5,000 credits were added to Acme")
    assert told() == [paid] * 2  # the owner and who ordered
    notice = Notice.objects.filter(user=buyer).get()
    number = Purchase.objects.get().invoice_number
    assert notice.lines == [f"Invoice {number} of $45.00 is paid.", "The credits can be spent now."]
    assert notice.path == f"/orgs/{shop.organization.slug}/credits/buy/{purchase.pk}/"


def test_a_declined_payment_is_told_once_and_a_late_success_too(shop):
    purchase = shop.waiting()
    shop.decline(purchase.invoice_id)
    for _ in range(2):
        shop.advance(purchase)
    declined = ("purchase_failed", "warning", "The payment for 5,000 credits was declined")
    assert told() == [declined]
    shop.pay(purchase.invoice_id)
    shop.advance(purchase)
    assert told() == [declined, ("purchase_paid", "success", "5,000 credits were added to Acme")]


def test_an_order_that_lago_refuses_is_told(shop):
    purchase = shop.order()
    refusal = (
        '{"status": 422, "error": "Unprocessable Entity", "code": "validation_errors", "error_details": {}}'
    )
    shop.lago.faults({"method": "POST", "path": "/wallet_transactions$", "status": 422, "body": refusal})
    for _ in range(2):
        shop.advance(purchase)
    assert told() == [("purchase_failed", "danger", "The order of 5,000 credits failed")]

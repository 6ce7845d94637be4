"""Mark as paid: a note of a system admin, told to Lago, and granted only once Lago shows the invoice paid."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from kit.errors import Conflict
from lago_sync.models import AutoTopUp, Purchase
from lago_sync.purchases import abandoning, auto_orders, marking
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from tests.lago_sync.purchases.story import BUYER
from tests.lago_sync.purchases.test_auto_top_up import card, configure

pytestmark = pytest.mark.django_db
ADMIN = Actor(kind="system_admin", public_id="usr_admin")


def mark(purchase, reference="SEPA 4711", **more):
    with transaction.atomic():
        return marking.mark_paid(
            purchase=purchase, reference=reference, reason="bank transfer", by=ADMIN, **more
        )


@pytest.fixture
def bare(shop, settings):
    """Return a shop without a payment provider."""
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = ""
    shop.lago.settings(psp=False)
    return shop


def test_lago_is_told_and_what_it_then_shows_is_granted_once(bare):
    purchase = bare.waiting()
    assert purchase.payment_url == ""
    mark(purchase)
    assert bare.granted() == []  # the note alone is worth nothing
    bare.advance(purchase)
    assert bare.advance(purchase).status == "completed"
    assert bare.invoice(purchase.wallet_transaction_id)["payment_status"] == "succeeded"
    assert bare.granted() == [5000]
    kept = Purchase.objects.get()
    assert (kept.marked_paid_by, kept.payment_reference, kept.marked_paid_because) == (
        "usr_admin",
        "SEPA 4711",
        "bank transfer",
    )
    event = AuditEvent.objects.get(action="credits.purchase_marked_paid")
    assert (event.actor_kind, event.after["reference"], event.after["reason"]) == (
        "system_admin",
        "SEPA 4711",
        "bank transfer",
    )


def test_an_answer_that_was_lost_is_made_up_for(bare):
    purchase = bare.waiting()
    mark(purchase)
    bare.lago.faults({"method": "PUT", "path": "invoices", "times": 3, "drop": True, "after_commit": False})
    assert bare.advance(purchase).status == "awaiting_payment"
    bare.lago.faults()
    bare.advance(purchase)
    assert bare.advance(purchase).status == "completed"
    assert bare.granted() == [5000]


def test_beside_a_payment_provider_it_must_be_said(shop):
    purchase = shop.waiting()
    with pytest.raises(Conflict, match="payment provider"):
        mark(purchase)
    mark(purchase, beside_provider=True)
    shop.advance(purchase)
    assert shop.advance(purchase).status == "completed"


def test_only_what_waits_for_a_payment_is_marked_and_once(bare):
    with pytest.raises(Conflict, match="is pending"):
        mark(bare.order(key="not at Lago yet"))
    purchase = bare.waiting()
    mark(purchase)
    mark(purchase)  # the same click again
    with pytest.raises(Conflict, match="marked as paid before"):
        mark(purchase, "another reference")
    with pytest.raises(Conflict, match="marked as paid"), transaction.atomic():
        abandoning.give_up(purchase=purchase, by=BUYER, now=timezone.now())
    assert AuditEvent.objects.filter(action="credits.purchase_marked_paid").count() == 1


def test_what_was_given_up_is_not_marked_and_a_voided_invoice_is_for_people(bare):
    purchase = bare.waiting()
    with transaction.atomic():
        abandoning.give_up(purchase=purchase, by=BUYER, now=timezone.now())
    with pytest.raises(Conflict, match="given up"):
        mark(purchase)
    other = bare.advance(bare.advance(bare.order(key="two")))
    mark(other)
    bare.lago.api("POST", f"invoices/{other.invoice_id}/void")
    bare.advance(other)
    assert "does not take its invoice for paid" in Purchase.objects.get(pk=other.pk).drift
    assert bare.granted() == []


def test_one_whose_invoice_is_void_is_abandoned_with_its_flag_and_buys_nothing_more_by_itself(shop):
    card(shop.organization)
    configure(shop.organization)
    with transaction.atomic():
        purchase = auto_orders.place(organization=shop.organization, now=timezone.now())
    purchase = shop.advance(shop.advance(purchase))
    mark(purchase, beside_provider=True)
    shop.lago.void(str(purchase.invoice_id))
    found = shop.advance(purchase, later=timedelta(days=30))
    assert (found.status, shop.granted()) == ("abandoned", [])
    assert "does not take its invoice for paid" in found.drift
    assert auto_orders.open_purchase(organization=shop.organization) is None
    assert AutoTopUp.objects.get().stopped_because == "The invoice of its order is void."
    configure(shop.organization)
    assert shop.advance(purchase).status == "abandoned"
    assert AutoTopUp.objects.get().is_on  # stopped once
    assert shop.audited().count("credits.purchase_abandoned") == 1

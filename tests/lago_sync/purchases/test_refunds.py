"""Refunds and lost disputes: credits go back once, what was spent is owed, and Lago's wallet is told once."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from kit.errors import Conflict, ValidationError
from lago_sync import tasks
from lago_sync.inbox import handling
from lago_sync.models import LagoInvoice, Purchase, Refund, WebhookMessage
from lago_sync.purchases import disputes, refunds, voids
from lago_sync.purchases.refunds import RefundConflict
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from orgs.notices.models import Notice
from tests.factories import credits as books

pytestmark = pytest.mark.django_db
ADMIN = Actor(kind="system_admin", public_id="usr_admin")
LATER = timedelta(minutes=6)


@pytest.fixture
def bought(shop):
    """Return a completed purchase of 5,000 credits for $45.00."""
    purchase = shop.waiting()
    shop.pay(purchase.invoice_id)
    purchase = shop.advance(purchase)
    assert purchase.status == "completed"
    return purchase


def refund(purchase, credits=None, reference="re_1"):
    with transaction.atomic():
        return refunds.refund(
            purchase=purchase,
            credits=None if credits is None else Decimal(credits),
            reference=reference,
            reason="bought by mistake",
            by=ADMIN,
            now=timezone.now(),
        )


def spend(shop, credits):
    books.charged(shop.organization, shop.organization.memberships.get(role="owner").user, credits)


def voided(shop):
    """Return what Lago's wallet lost, as the sandbox has it."""
    return [
        Decimal(one["amount_cents"]) / 100
        for one in shop.lago.dump()["wallettransaction"]
        if one["transaction_status"] == "voided"
    ]


def tell(row, *, later=timedelta()):
    return voids.tell(refund_id=row.pk, now=timezone.now() + later)


class TestRefund:
    def test_takes_all_back_and_lagos_wallet_is_told_once(self, shop, bought):
        made = refund(bought)
        assert (made.credits, made.withdrawn, made.owed, made.amount_cents) == (5000, 5000, 0, 4500)
        assert Purchase.objects.get().status == "refunded"
        assert books.pool(shop.organization).available == 0
        assert tell(made)
        assert not tell(made)
        assert voided(shop) == [Decimal(45)]
        wallet = shop.lago.api("GET", f"wallets/{shop.wallet_id}").json()["wallet"]
        assert wallet["balance_cents"] == 0
        assert Refund.objects.get().voided_at is not None
        event = AuditEvent.objects.get(action="credits.purchase_refunded")
        assert (event.target, event.after["amount_cents"], event.after["reference"]) == (
            bought.key,
            4500,
            "re_1",
        )
        owner = shop.organization.memberships.get(role="owner").user
        told = Notice.objects.filter(user=owner).latest("pk")
        assert "refunded" in told.title
        assert "Staff return them at the payment provider" in " ".join(told.lines)

    def test_names_what_was_spent_as_owed(self, shop, bought):
        spend(shop, 4000)
        made = refund(bought)
        assert (made.withdrawn, made.owed, made.amount_cents) == (1000, 4000, 4500)

    def test_in_parts_comes_to_the_price_to_the_last_cent(self, shop, bought):
        parts = [refund(bought, "1666.666667", reference=f"re_{number}") for number in range(2)]
        assert Purchase.objects.get().status == "completed"
        parts.append(refund(bought, reference="the rest"))
        assert [one.amount_cents for one in parts] == [1500, 1500, 1500]
        assert sum(one.credits for one in parts) == 5000
        assert Purchase.objects.get().status == "refunded"
        tasks.tell_refunds()
        assert sum(voided(shop)) == 45
        assert not voids.untold().exists()

    def test_of_less_than_a_cent_is_nothing_that_lago_could_be_told(self, shop, bought):
        made = refund(bought, "0.1")
        assert made.amount_cents == 0
        assert made.voided_at is not None
        assert voids.tell_due(now=timezone.now()) == 0
        assert voided(shop) == []

    def test_again_with_its_reference_is_the_first_one(self, bought):
        first = refund(bought, "1000")
        assert refund(bought, "1000") == first
        for other in ("2000", None):  # None is all: more than the part that it was
            with pytest.raises(RefundConflict):
                refund(bought, other)
        with pytest.raises(ValidationError):
            refund(bought, "4000.000001", reference="too much")
        rest = refund(bought, reference="rest")
        assert refund(bought, reference="rest") == rest
        assert refund(bought, "4000", reference="rest") == rest
        with pytest.raises(RefundConflict, match="taken back before"):
            refund(bought, reference="more")

    def test_is_for_what_was_completed(self, shop):
        with pytest.raises(Conflict, match="only a completed one"):
            refund(shop.waiting())

    def test_a_completed_look_grants_nothing_again(self, shop, bought):
        refund(bought)
        assert shop.advance(bought).status == "refunded"
        assert shop.granted() == [5000]


class TestTellingLago:
    def test_an_answer_that_was_lost_is_looked_for_and_not_sent_again(self, shop, bought):
        made = refund(bought)
        shop.lago.faults({"method": "POST", "path": "wallet_transactions", "times": 1, "drop": True})
        assert not tell(made)
        assert Refund.objects.get().last_error
        assert not tell(made)  # whoever comes before the lease is over sends nothing
        assert tell(made, later=LATER)
        assert voided(shop) == [Decimal(45)]

    def test_without_the_look_it_would_be_sent_twice(self, shop, bought, monkeypatch):
        """The control."""
        made = refund(bought, "1000")
        shop.lago.faults({"method": "POST", "path": "wallet_transactions", "times": 1, "drop": True})
        assert not tell(made)
        monkeypatch.setattr(voids, "_is_among", lambda *_: False)
        assert tell(made, later=LATER)
        assert voided(shop) == [Decimal(9), Decimal(9)]

    def test_a_lago_that_is_away_or_refuses_is_asked_again(self, shop, bought, settings):
        made, address = refund(bought), settings.LAGO_API_URL
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        assert not tell(made)
        settings.LAGO_API_URL = address
        shop.lago.faults({"method": "POST", "path": "wallet_transactions", "times": 1, "status": 422, "body": '{"status":422,"code":"validation_errors","error_details":{"voided_credits":["insufficient_credits"]}}'})  # fmt: skip
        assert not tell(made, later=timedelta(minutes=3))
        assert "insufficient_credits" in Refund.objects.get().last_error
        assert tell(made, later=timedelta(hours=2))
        assert voided(shop) == [Decimal(45)]


class TestLostDispute:
    def lose(self, shop, purchase):
        answer = shop.lago.api("POST", f"invoices/{purchase.invoice_id}/lose_dispute")
        assert answer.status_code == 200, answer.text
        shop.lago.drain()

    def test_takes_back_what_is_left_once_a_webhook_says_look(self, shop, bought):
        spend(shop, 500)
        refund(bought, "1000")
        self.lose(shop, bought)
        for number in range(2):
            message = WebhookMessage.objects.create(
                unique_key=f"dispute-{number}",
                webhook_type="invoice.payment_dispute_lost",
                body=json.dumps({"payment_dispute_lost": {"invoice": {"lago_id": str(bought.invoice_id)}}}),
            )
            assert handling.handle(message_id=message.pk, now=timezone.now())
        assert Purchase.objects.get().status == "disputed"
        lost = Refund.objects.get(kind="dispute")
        assert (lost.credits, lost.withdrawn, lost.owed, lost.amount_cents) == (4000, 3500, 500, 3600)
        tasks.tell_refunds()
        assert sum(voided(shop)) == 45
        assert AuditEvent.objects.filter(action="credits.purchase_disputed").count() == 1

    def test_is_found_by_the_mirror_where_no_webhook_came(self, shop, bought):
        self.lose(shop, bought)
        LagoInvoice.objects.update_or_create(
            lago_id=bought.invoice_id,
            defaults={
                "organization": shop.organization,
                "number": bought.invoice_number,
                "invoice_type": "credit",
                "status": "finalized",
                "payment_status": "succeeded",
                "is_disputed": True,
                "currency": "USD",
                "total_amount_cents": 4500,
                "issuing_date": timezone.now().date(),
                "synced_at": timezone.now(),
            },
        )
        tasks.tell_refunds()
        assert Purchase.objects.get().status == "disputed"
        assert books.pool(shop.organization).available == 0

    def test_that_somebody_only_claims_takes_nothing(self, shop, bought):
        assert not disputes.look(purchase_id=bought.pk, now=timezone.now())
        assert Purchase.objects.get().status == "completed"

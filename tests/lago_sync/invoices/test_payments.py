"""Paying an invoice: the provider's page, and the stored card charged again, refused in words where there is nothing to do."""

import pytest
from django.utils import timezone

from lago_sync.errors import LagoUnavailable
from lago_sync.invoices import mirror, payments
from lago_sync.invoices.payments import NotPayable
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
OLIVE = Actor(kind="user", public_id="usr_olive")


@pytest.fixture
def unpaid(billed):
    billed.refresh()
    return billed


def outcomes():
    found = AuditEvent.objects.filter(action="invoice.payment_retried").order_by("sequence")
    return [one.after["outcome"] for one in found]


class TestThePaymentPage:
    def test_is_asked_for_and_kept(self, unpaid):
        address = payments.make_page(invoice=unpaid.first)
        assert address.startswith(f"{unpaid.lago.url}/pay/")
        assert unpaid.first.payment_url == address
        unpaid.refresh()
        assert unpaid.first.payment_url == address, "a look at Lago forgets what only we know"

    def test_is_refused_where_nothing_is_to_be_paid_here_or_at_lago(self, unpaid):
        row = unpaid.first
        unpaid.pay(row.pk)
        with pytest.raises(NotPayable, match="paid or voided just now"):
            payments.make_page(invoice=row)
        unpaid.refresh()
        with pytest.raises(NotPayable, match="nothing to pay"):
            payments.make_page(invoice=unpaid.first)

    def test_is_not_there_without_a_provider(self, unpaid, settings):
        settings.LAGO_PAYMENT_PROVIDER = ""
        with pytest.raises(NotPayable, match="system admin then marks it as paid"):
            payments.make_page(invoice=unpaid.first)

    def test_waits_while_lago_is_away(self, unpaid):
        unpaid.lago.faults({"method": "POST", "path": "payment_url", "status": 502, "times": 9})
        with pytest.raises(LagoUnavailable):
            payments.make_page(invoice=unpaid.first)
        unpaid.lago.faults()
        assert unpaid.first.payment_url == ""


class TestChargingAgain:
    def test_needs_a_stored_card(self, unpaid):
        with pytest.raises(NotPayable, match="no stored card"):
            payments.retry(invoice=unpaid.first, by=OLIVE, now=timezone.now())
        assert outcomes() == []

    def test_pays_and_is_audited(self, unpaid):
        unpaid.store_card()
        payments.retry(invoice=unpaid.first, by=OLIVE, now=unpaid.now())
        unpaid.lago.drain()
        mirror.refresh_one(invoice_id=unpaid.first.pk, now=unpaid.now())
        assert unpaid.first.payment_status == "succeeded"
        assert outcomes() == ["Lago charges the stored card."]

    def test_of_what_was_paid_meanwhile_is_explained(self, unpaid):
        unpaid.store_card()
        row = unpaid.first
        unpaid.pay(row.pk)
        with pytest.raises(NotPayable, match="paid or voided just now"):
            payments.retry(invoice=row, by=OLIVE, now=timezone.now())

    def test_while_the_provider_is_at_it_is_explained(self, unpaid):
        unpaid.store_card()
        busy = '{"status": 405, "error": "Method Not Allowed", "code": "payment_processor_is_currently_handling_payment"}'
        unpaid.lago.faults({"method": "POST", "path": "retry_payment", "status": 405, "body": busy})
        with pytest.raises(NotPayable, match="Look again in a minute"):
            payments.retry(invoice=unpaid.first, by=OLIVE, now=timezone.now())

    def test_whose_answer_is_lost_is_never_sent_again_and_noted(self, unpaid):
        unpaid.store_card()
        unpaid.lago.faults({"method": "POST", "path": "retry_payment", "drop": True, "after_commit": True})
        before = unpaid.lago.requested("POST", "/api/v1/invoices/<id>/retry_payment")
        with pytest.raises(LagoUnavailable):
            payments.retry(invoice=unpaid.first, by=OLIVE, now=timezone.now())
        assert unpaid.lago.requested("POST", "/api/v1/invoices/<id>/retry_payment") == before + 1
        assert len(outcomes()) == 1
        unpaid.lago.drain()
        unpaid.refresh()
        assert unpaid.first.payment_status == "succeeded"

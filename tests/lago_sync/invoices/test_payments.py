"""Paying an invoice: the provider's page, and the stored card charged again, refused in words where there is nothing to do."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from kit import transactions
from kit.errors import Conflict
from lago_sync import tasks
from lago_sync.client import circuit
from lago_sync.errors import LagoUnavailable
from lago_sync.invoices import mirror, payments
from lago_sync.invoices.payments import NotPayable
from lago_sync.models import LagoInvoice
from lago_sync.subscriptions import plans
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from orgs.models import PlanFee
from tests.factories import orgs
from tests.factories.broker import jobs_go_to
from tests.lago_sync.invoices.story import mirrored
from tests.lago_sync.purchases.story import Shop

pytestmark = pytest.mark.django_db
OLIVE = Actor(kind="user", public_id="usr_olive")
MARKING = {"action": "mark_paid", "apply": "1", "reference": "t", "reason": "r"}


@pytest.fixture
def unpaid(billed):
    billed.refresh()
    return billed


def outcomes():
    found = AuditEvent.objects.filter(action="invoice.payment_retried").order_by("sequence")
    return [one.after["outcome"] for one in found]


def test_the_payment_page_is_asked_for_and_kept_and_refused_in_words(unpaid, settings):
    unpaid.lago.faults({"method": "POST", "path": "payment_url", "status": 502, "times": 9})
    with pytest.raises(LagoUnavailable):
        payments.make_page(invoice=unpaid.first)
    unpaid.lago.faults()
    assert unpaid.first.payment_url == ""
    address = payments.make_page(invoice=unpaid.first)
    assert address.startswith(f"{unpaid.lago.url}/pay/")
    unpaid.refresh()
    row = unpaid.first
    assert row.payment_url == address, "a look at Lago forgets what only we know"
    unpaid.pay(row.pk)
    with pytest.raises(NotPayable, match="paid or voided just now"):
        payments.make_page(invoice=row)
    settings.LAGO_PAYMENT_PROVIDER = ""
    with pytest.raises(NotPayable, match="system admin then marks it as paid"):
        payments.make_page(invoice=row)
    unpaid.refresh()
    with pytest.raises(NotPayable, match="nothing to pay"):
        payments.make_page(invoice=unpaid.first)


class TestChargingTheCardAgain:
    def test_needs_a_stored_card_then_pays_and_is_audited_and_says_why_not(self, unpaid):
        row = unpaid.first
        with pytest.raises(NotPayable, match="no stored card"):
            payments.retry(invoice=row, by=OLIVE, now=timezone.now())
        assert outcomes() == []
        unpaid.store_card()
        busy = '{"status": 405, "error": "Method Not Allowed", "code": "payment_processor_is_currently_handling_payment"}'
        unpaid.lago.faults({"method": "POST", "path": "retry_payment", "status": 405, "body": busy})
        with pytest.raises(NotPayable, match="Look again in a minute"):
            payments.retry(invoice=row, by=OLIVE, now=timezone.now())
        payments.retry(invoice=row, by=OLIVE, now=unpaid.now())
        assert outcomes() == ["Lago charges the stored card."]
        unpaid.lago.drain()
        with pytest.raises(NotPayable, match="paid or voided just now"):
            payments.retry(invoice=row, by=OLIVE, now=timezone.now())
        mirror.refresh_one(invoice_id=row.pk, now=unpaid.now())
        assert unpaid.first.payment_status == "succeeded"

    def test_is_never_sent_again_where_the_answer_is_lost_and_that_is_noted(self, unpaid):
        unpaid.store_card()
        unpaid.lago.faults(
            {"method": "POST", "path": "retry_payment", "drop": True, "after_commit": True, "times": 9}
        )
        with pytest.raises(LagoUnavailable):
            payments.retry(invoice=unpaid.first, by=OLIVE, now=timezone.now())
        unpaid.lago.faults()
        [counted] = [
            one["count"] for one in unpaid.lago.dump()["requests"] if one["path"].endswith("retry_payment")
        ]
        assert counted == 1
        assert len(outcomes()) == 1
        unpaid.lago.drain()
        unpaid.refresh()
        assert unpaid.first.payment_status == "succeeded"


class TestMarkingAsPaid:
    """Money that came past Lago: noted with who, where and why, then Lago is told, and its answer counts."""

    def marked(self, billed, row, **given):
        terms = {
            "reference": "transfer 77",
            "reason": "Bank statement of 3 May",
            "by": OLIVE,
            "now": timezone.now(),
        } | given
        with transactions.durable():
            return payments.mark_paid(invoice=row, **terms)

    def test_pays_at_lago_and_brings_the_plans_credits(self, unpaid, settings):
        settings.LAGO_PAYMENT_PROVIDER = ""
        row = unpaid.first
        self.marked(unpaid, row)
        assert unpaid.first.payment_status == "pending", "Lago has not confirmed it"
        with pytest.raises(Conflict, match="Lago is being told"):
            self.marked(unpaid, row)
        assert (tasks.tell_paid(), tasks.tell_paid()) == (1, 0)
        assert unpaid.first.payment_status == "succeeded"
        assert unpaid.first.total_due_amount_cents == 0, "Lago keeps it as due where it was marked by hand"
        plans.refresh(organization=unpaid.organization, now=unpaid.now())
        assert PlanFee.objects.filter(reference=row.number).count() == 1
        event = AuditEvent.objects.get(action="invoice.marked_paid")
        assert event.after == {
            "number": row.number,
            "reference": "transfer 77",
            "reason": "Bank statement of 3 May",
        }
        with pytest.raises(NotPayable):
            self.marked(unpaid, unpaid.first)

    def test_stands_until_lago_confirms_it_whoever_is_away(
        self, unpaid, settings, django_capture_on_commit_callbacks
    ):
        settings.LAGO_PAYMENT_PROVIDER = ""
        staff = Client()
        staff.force_login(orgs.system_admin())
        with jobs_go_to("redis://127.0.0.1:1/0"), django_capture_on_commit_callbacks(execute=True):
            staff.post(
                "/admin/lago_sync/lagoinvoice/", MARKING | {"_selected_action": [str(unpaid.first.pk)]}
            )
        unpaid.lago.faults({"method": "PUT", "path": "/invoices/", "status": 503, "times": 50})
        assert tasks.tell_paid() == 0
        unpaid.refresh()
        assert unpaid.first.paid_to_tell_since is not None, "a look at Lago takes no mark away"
        unpaid.lago.faults()
        circuit.forget()
        assert "lago_sync.tasks.tell_paid" in {one["task"] for one in settings.CELERY_BEAT_SCHEDULE.values()}
        assert tasks.tell_paid() == 1
        assert (unpaid.first.payment_status, unpaid.first.paid_to_tell_since) == ("succeeded", None)

    def test_stands_while_our_key_is_refused_and_one_that_lago_cannot_answer_for_stops_no_other(
        self, unpaid, settings
    ):
        settings.LAGO_PAYMENT_PROVIDER = ""
        broken, other = mirrored(orgs.team("Globex"), "GLX-001"), unpaid.first
        failing = {"method": "PUT", "path": f"/invoices/{broken.pk}", "status": 500, "times": 50}
        self.marked(unpaid, broken)
        self.marked(unpaid, other)
        no = json.dumps({"status": 403, "error": "Forbidden", "code": "not_authorized"})
        may_not = {"method": "PUT", "path": f"/invoices/{other.pk}", "status": 403, "body": no, "times": 1}
        unpaid.lago.faults(failing, may_not)
        assert tasks.tell_paid() == 0
        assert LagoInvoice.objects.filter(paid_to_tell_since__isnull=False).count() == 2
        unpaid.lago.faults(failing)
        assert tasks.tell_paid() == 1
        assert list(LagoInvoice.objects.filter(paid_to_tell_since__isnull=False)) == [broken]
        assert unpaid.first.payment_status == "succeeded"

    def test_what_lago_refuses_is_said_once_and_not_tried_for_ever(self, unpaid, settings):
        settings.LAGO_PAYMENT_PROVIDER = ""
        row = unpaid.first
        self.marked(unpaid, row)
        unpaid.lago.void(str(row.pk))
        assert (tasks.tell_paid(), tasks.tell_paid()) == (0, 0)
        assert (unpaid.first.status, unpaid.first.paid_to_tell_since) == ("voided", None)
        assert AuditEvent.objects.get(action="invoice.mark_refused").after["number"] == row.number

    def test_is_done_by_staff_in_the_admin_and_beside_a_provider_only_where_that_is_said(
        self, unpaid, monkeypatch, django_capture_on_commit_callbacks
    ):
        told, row = [], unpaid.first
        monkeypatch.setattr(tasks, "enqueue_tell_paid", lambda: told.append(row.pk))
        staff = Client()
        staff.force_login(orgs.system_admin())
        form = MARKING | {"_selected_action": [str(row.pk)]}
        path = "/admin/lago_sync/lagoinvoice/"
        for more, expected in (({}, []), ({"beside_provider": "on"}, [row.pk])):
            with django_capture_on_commit_callbacks(execute=True):
                assert staff.post(path, form | more).status_code == 302
            assert told == expected
        assert staff.get(path, {"q": row.number}).status_code == 200
        assert staff.get(f"{path}{row.pk}/change/").status_code == 200
        assert staff.get("/admin/lago_sync/lagocreditnote/").status_code == 200

    def test_of_a_purchase_is_the_purchases(self, installed):
        shop = Shop(installed)
        purchase = shop.waiting()
        row = mirror.refresh_one(invoice_id=purchase.invoice_id, now=timezone.now())
        with pytest.raises(Conflict, match="mark the purchase"):
            self.marked(shop, row, beside_provider=True)

"""Invoices and receipts by e-mail: with their PDF, once, and not those that were there before us."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from kit import transactions
from kit.errors import Conflict
from lago_sync import tasks
from lago_sync.invoices import mailing, mirror, news
from lago_sync.models import InvoiceDocument, LagoCustomer, LagoInvoice, Purchase
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from orgs.models import Membership, Organization
from orgs.notices import mails
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice
from tests.factories import orgs
from tests.lago_sync.invoices.story import mirrored
from tests.lago_sync.purchases.story import Shop, ordered

pytestmark = pytest.mark.django_db
OLIVE = Actor(kind="user", public_id="usr_olive")
PDF = b"%PDF-1.4 made by a test"


def ready(organization, **fields) -> LagoInvoice:
    """Return an invoice that waits to be mailed, its PDF kept."""
    row = mirrored(organization, mail="pending", mail_due_at=timezone.now(), **fields)
    InvoiceDocument.objects.create(invoice=row, content=PDF, fetched_at=timezone.now())
    return row


def billed_team(address: str = "bills@acme.example") -> Organization:
    team = orgs.team("Acme")
    Organization.objects.filter(pk=team.pk).update(billing_email=address)
    team.refresh_from_db()
    return team


class TestAPlansInvoice:
    def test_goes_to_the_billing_address_with_its_pdf_once_and_who_may_buy_is_told(self, billed):
        billed.refresh()
        row = billed.first
        assert (row.mail, Notice.objects.filter(kind=Kind.INVOICE_READY).count()) == ("pending", 1)
        assert mailing.send_due(now=billed.now()) == 1
        [sent] = mail.outbox
        assert sent.to == ["bills@acme.example"]
        assert row.number in sent.subject
        assert "$49.00" in sent.subject
        [(name, content, kind)] = sent.attachments
        assert (name, kind, content[:5]) == (f"{row.number}.pdf", "application/pdf", b"%PDF-")
        assert "Professional" in sent.body
        assert "$49.00 is to be paid by" in sent.body
        assert f"/orgs/acme/invoices/{row.pk}/" in sent.body
        assert f"/orgs/acme/invoices/{row.pk}/" in str(sent.alternatives[0][0])
        row = billed.first
        assert (row.mail, row.mailed_to) == ("sent", "bills@acme.example")
        billed.pay(row.pk)
        billed.refresh()
        assert tasks.send_invoices() == 0
        assert len(mail.outbox) == 1
        [notice] = Notice.objects.filter(kind=Kind.INVOICE_READY)
        assert row.number in notice.title
        assert notice.path == f"/orgs/acme/invoices/{row.pk}/"

    def test_that_was_there_before_the_customer_or_is_old_is_not_mailed(self, billed):
        LagoCustomer.objects.update(created_at=billed.now() + timedelta(days=2))
        billed.refresh()
        LagoInvoice.objects.all().delete()
        LagoCustomer.objects.update(created_at=billed.now() - timedelta(days=90))
        billed.refresh(at=billed.now() + timedelta(days=8))
        assert [row.mail for row in billed.rows()] == ["off"]
        assert not Notice.objects.filter(kind=Kind.INVOICE_READY).exists()

    def test_of_nothing_is_not_mailed(self, installed):
        from tests.lago_sync.invoices.story import Billed

        free = Billed(installed, "founders_friend")
        free.refresh()
        assert [(row.total_amount_cents, row.mail) for row in free.rows()] in ([(0, "off")], [])
        assert not Notice.objects.filter(kind=Kind.INVOICE_READY).exists()

    def test_without_a_billing_address_comes_with_the_notice(self, billed):
        Organization.objects.update(billing_email="")
        billed.organization.refresh_from_db()
        billed.refresh()
        row = billed.first
        assert row.mail == "off"
        InvoiceDocument.objects.create(invoice=row, content=PDF, fetched_at=timezone.now())
        message = mails.compose(Notice.objects.get(kind=Kind.INVOICE_READY))
        assert message.attachments == [(f"{row.number}.pdf", PDF, "application/pdf")]
        assert mailing.send_due(now=billed.now()) == 0


def test_a_receipt_goes_out_when_the_purchase_is_paid_to_who_bought_where_there_is_no_address(installed):
    shop = Shop(installed)
    buyer = orgs.user("Bea", public_id="usr_buyer")
    orgs.member(shop.organization, "billing_admin", who=buyer)
    purchase = shop.waiting()
    mirror.refresh(organization=shop.organization, now=timezone.now())
    assert LagoInvoice.objects.get().mail == "off"
    shop.pay(purchase.invoice_id)
    mirror.refresh(organization=shop.organization, now=timezone.now())
    assert mailing.send_due(now=timezone.now()) == 1
    [sent] = mail.outbox
    assert sent.to == [buyer.email]
    assert "Receipt" in sent.subject
    assert "It is paid; there is nothing to do." in sent.body
    assert sent.attachments
    assert not Notice.objects.filter(kind=Kind.INVOICE_READY).exists()


def test_a_receipt_does_not_go_to_who_has_left_the_organization(db):
    team, buyer = orgs.team("Acme"), orgs.user("Bea")
    member = orgs.member(team, "billing_admin", who=buyer)
    row = mirrored(team, invoice_type="credit", payment_status="succeeded")
    Purchase.objects.filter(pk=ordered(team).pk).update(invoice_id=row.pk, made_by=buyer.public_id)
    assert news.address_of(row) == buyer.email
    Membership.objects.filter(pk=member.pk).update(ended_at=timezone.now())
    assert news.address_of(row) == ""
    with pytest.raises(Conflict), transactions.durable():
        mailing.send_again(invoice=row, by=OLIVE, now=timezone.now())


def test_a_mail_waits_for_lago_and_for_its_pdf_and_in_the_end_goes_without(billed):
    billed.refresh()
    billed.lago.faults({"status": 502, "times": 99})
    now = billed.now()
    assert mailing.send_due(now=now) == 0
    row = billed.first
    assert (row.mail, row.mail_attempts) == ("pending", 0), "Lago's absence counts as no attempt"
    billed.lago.faults({"method": "POST", "path": "/download$", "times": 99, "status": 200, "body": ""})
    now = row.mail_due_at
    for attempt in range(1, mailing.WITHOUT_PDF):
        assert mailing.send_due(now=now) == 0, attempt
        assert billed.first.mail_due_at > now
        now = billed.first.mail_due_at
    assert mailing.send_due(now=now) == 1
    billed.lago.faults()
    [sent] = mail.outbox
    assert not sent.attachments
    assert "Its PDF is not made yet" in sent.body


class TestTrouble:
    def test_of_the_mail_server_is_tried_again_and_given_up_in_the_end(self, db, monkeypatch):
        row = ready(billed_team())

        def fail(self, fail_silently=False):
            raise OSError("the mail server is away")

        monkeypatch.setattr(EmailMultiAlternatives, "send", fail)
        for _ in range(mailing.ATTEMPTS):
            row.refresh_from_db()
            assert row.mail == "pending"
            assert mailing.send_due(now=row.mail_due_at) == 0
        row.refresh_from_db()
        assert row.mail == "failed"

    def test_a_worker_that_dies_sends_again_under_the_same_message_id(self, db, monkeypatch):
        row = ready(billed_team())
        with monkeypatch.context() as dying:
            dying.setattr(mailing, "_note", _die)
            with pytest.raises(KeyboardInterrupt):
                mailing.send_due(now=row.mail_due_at)
        assert mailing.send_due(now=row.mail_due_at) == 0, "its lease holds"
        row.refresh_from_db()
        assert mailing.send_due(now=row.mail_due_at) == 1
        assert len({one.extra_headers["Message-ID"] for one in mail.outbox}) == 1
        row.refresh_from_db()
        assert (row.mail, row.mail_attempts) == ("sent", 2)

    def test_what_was_voided_while_it_waited_is_not_sent(self, db):
        row = ready(billed_team(), status="voided")
        assert mailing.send_due(now=row.mail_due_at) == 0
        row.refresh_from_db()
        assert row.mail == "off"


class TestSendingAgain:
    def test_mails_once_more_however_often_it_is_asked_and_is_audited_once(self, db):
        row = ready(billed_team())
        mailing.send_due(now=row.mail_due_at)
        for _ in range(2):
            with transactions.durable():
                mailing.send_again(invoice=row, by=OLIVE, now=timezone.now())
        assert mailing.send_due(now=timezone.now()) == 1
        assert len({one.extra_headers["Message-ID"] for one in mail.outbox}) == 2
        [event] = AuditEvent.objects.filter(action="invoice.sent_again")
        assert (event.actor, event.after) == (
            OLIVE.public_id,
            {"number": row.number, "to": "bills@acme.example"},
        )

    def test_is_refused_for_what_is_not_sent_or_has_nowhere_to_go(self, db):
        team, nowhere = billed_team(), orgs.team("Nowhere")
        refused = [
            mirrored(team, "DRAFT", status="draft"),
            mirrored(team, "OPEN", invoice_type="credit"),
            mirrored(nowhere, "LOST"),
        ]
        for row in refused:
            with pytest.raises(Conflict), transactions.durable():
                mailing.send_again(invoice=row, by=OLIVE, now=timezone.now())
        assert not LagoInvoice.objects.filter(mail="pending").exists()


def _die(*_args, **_changes):
    raise KeyboardInterrupt

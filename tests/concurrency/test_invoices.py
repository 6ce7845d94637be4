"""Invoices that several workers look at and mail at once."""

from contextlib import suppress

import pytest
from django.core import mail
from django.utils import timezone

from kit import transactions
from lago_sync.invoices import mailing, mirror, news
from lago_sync.models import InvoiceDocument, LagoCustomer, LagoInvoice
from orgs.models import Organization
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice
from tests.concurrency.racing import race
from tests.factories import orgs
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.invoices.story import mirrored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


def waiting() -> None:
    team = orgs.team("Acme")
    Organization.objects.filter(pk=team.pk).update(billing_email="bills@acme.example")
    row = mirrored(team, mail="pending", mail_due_at=timezone.now())
    InvoiceDocument.objects.create(invoice=row, content=b"%PDF-1.4", fetched_at=timezone.now())


def test_one_mail_goes_out_however_many_workers_send():
    waiting()
    now = timezone.now()
    assert sum(race([lambda: mailing.send_due(now=now)] * 8)) == 1
    assert len(mail.outbox) == 1
    assert LagoInvoice.objects.get().mail_attempts == 1


def test_without_the_claim_the_same_workers_send_many():
    """The negative control: whoever sees a mail that is due sends it."""
    waiting()
    row = LagoInvoice.objects.select_related("organization").get()
    assert race([lambda: mailing._deliver(row, timezone.now())] * 8).count(True) > 1


def test_a_look_at_an_invoice_that_is_being_mailed_does_not_have_it_mailed_again(monkeypatch):
    waiting()
    row = LagoInvoice.objects.get()
    seen = {**row.body, "lago_id": str(row.pk), "number": row.number, "invoice_type": "subscription", "status": "finalized", "payment_status": "succeeded", "currency": "USD", "total_amount_cents": 4900, "total_due_amount_cents": 0, "issuing_date": str(row.issuing_date), "payment_due_date": str(row.payment_due_date), "customer": {"external_id": row.organization.public_id}}  # fmt: skip
    monkeypatch.setattr(mirror.invoices, "get", lambda _id: seen)
    announce = news.announce

    def while_the_mailer_runs(**given):
        with suppress(AssertionError):  # it waits for the row, and gives up
            race([lambda: mailing.send_due(now=timezone.now())])
        announce(**given)

    monkeypatch.setattr(mirror.news, "announce", while_the_mailer_runs)
    mirror.refresh_one(invoice_id=row.pk, now=timezone.now())
    monkeypatch.setattr(mirror.news, "announce", announce)
    mailing.send_due(now=timezone.now())
    assert len(mail.outbox) == 1


def test_looks_at_once_at_a_new_invoice_end_in_one_row_and_one_notice(lago):  # noqa: F811
    team = orgs.team("Acme")
    customer = {"external_id": team.public_id, "name": "Acme", "currency": "USD"}
    made = lago.api("POST", "customers", json={"customer": customer}).json()["customer"]
    plan = {"name": "P", "code": "p", "interval": "monthly", "amount_cents": 4900, "amount_currency": "USD", "pay_in_advance": True}  # fmt: skip
    lago.api("POST", "plans", json={"plan": plan})
    fields = {"external_customer_id": team.public_id, "external_id": "s", "plan_code": "p"}
    assert lago.api("POST", "subscriptions", json={"subscription": fields}).status_code == 200
    lago.drain()
    with transactions.durable():
        LagoCustomer.objects.create(organization=team, lago_id=made["lago_id"], currency="USD")
    found = race([lambda: len(mirror.refresh(organization=team, now=timezone.now()).changed)] * 8)
    assert all(isinstance(one, int) for one in found), found
    assert LagoInvoice.objects.count() == 1
    assert Notice.objects.filter(kind=Kind.INVOICE_READY).count() == 1

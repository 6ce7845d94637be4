"""/org-billing/billing/invoices: who may, what comes back from the mirror, and the acts."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync import tasks
from lago_sync.models import InvoiceDocument, LagoCustomer, LagoInvoice, PaymentMethod
from orgs.access import keys
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.factories.api import done, refused, scene
from tests.lago_sync.invoices.story import mirrored

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.4 of a test"


@pytest.fixture(autouse=True)
def _no_remembered_keys(settings):
    settings.LAGO_API_URL = "http://127.0.0.1:9"  # whoever asks it is told that it is away
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    keys.forget_cached()
    yield
    keys.forget_cached()


@pytest.fixture
def here(db):
    found = scene()
    Organization.objects.filter(pk=found.org.pk).update(billing_email="bills@example.com")
    return found


def path(here, row=None, tail=""):
    of = f"/org-billing/billing/invoices/{here.org.public_id}"
    return f"{of}/{row.pk}{tail}" if row is not None else of


def test_every_endpoint_is_for_who_may_buy(here, monkeypatch):
    monkeypatch.setattr(tasks, "enqueue_document", lambda _: None)
    row = mirrored(here.org)
    endpoints = {
        ("GET", path(here)): 200,
        ("GET", path(here, row)): 200,
        ("GET", path(here, row, "/pdf")): 202,
        ("POST", path(here, row, "/retry")): 409,
        ("POST", path(here, row, "/send")): 202,
    }
    for (method, address), good in endpoints.items():
        scope = "billing:read" if method == "GET" else "billing:write"
        found = {who: here.http(who).send(method, address).status_code for who in ("", "outsider", "member", "manager", "billing_admin", "admin", "owner", "system_admin")}  # fmt: skip
        assert found == {"": 401, "outsider": 404, "member": 403, "manager": 403} | dict.fromkeys(
            ("billing_admin", "admin", "owner", "system_admin"), good
        ), address
        for kind, status in {
            "membership": 403,
            "personal": 403,
            "organization": good,
            "platform": good,
        }.items():
            assert here.key(kind, scope).send(method, address).status_code == status, (kind, address)
        assert refused(here.key("platform", "org:read").send(method, address), 403) == {"scope": scope}
    stranger = mirrored(here.other, "OTHER-1")
    for tail in ("", "/pdf"):
        refused(here.http("owner").ask(path(here, stranger, tail)), 404, "not_found")


class TestLists:
    def test_show_the_mirror_with_as_of_while_lago_is_away(self, here):
        LagoCustomer.objects.create(organization=here.org, lago_id=uuid4(), currency="USD")
        row = mirrored(here.org, payment_due_date=timezone.now().date() - timedelta(days=2))
        answer = done(here.http("owner").ask(path(here)))
        assert answer["as_of"] is None
        assert answer["pagination"] == {"total": 1, "limit": 50, "offset": 0, "has_more": False}
        [shown] = answer["data"]
        assert (shown["id"], shown["state"], shown["is_overdue"]) == (str(row.pk), "overdue", True)
        assert (shown["total_amount_cents"], shown["total_amount"]) == (4900, "49.00")
        assert shown["as_of"]
        LagoCustomer.objects.update(invoices_synced_at=timezone.now())
        assert done(here.http("owner").ask(path(here)))["as_of"]
        detail = done(here.http("owner").ask(path(here, row)))
        assert detail["fees"][0]["last_day"] == "2026-11-30"
        assert detail["sums"] == [{"name": "Fees", "amount_cents": 4900}]
        assert {name: detail[name] for name in shown} == shown

    def test_are_narrowed_and_say_what_they_do_not_understand(self, here):
        mirrored(here.org, "A-1", payment_status="succeeded")
        mirrored(here.org, "A-2", invoice_type="credit")
        today = timezone.now().date()
        owner = here.http("owner")
        wanted = {
            "state=paid": 1,
            "payment_status=pending": 1,
            "status=finalized": 2,
            "invoice_type=credit": 1,
            "search=a-2": 1,
            f"start_date={today + timedelta(days=1)}": 0,
            f"end_date={today}&limit=1": 2,
        }
        for query, total in wanted.items():
            assert done(owner.ask(f"{path(here)}?{query}"))["pagination"]["total"] == total, query
        for query in (
            "state=x",
            "status=x",
            "start_date=x",
            "limit=101",
            f"start_date={today}&end_date=2020-01-01",
        ):
            refused(owner.ask(f"{path(here)}?{query}"), 422, "validation_error")


class TestThePdf:
    def test_is_handed_out_or_being_made(self, here, monkeypatch):
        row, asked = mirrored(here.org), []
        monkeypatch.setattr(tasks, "enqueue_document", asked.append)
        answer = here.http("owner").ask(path(here, row, "/pdf"))
        assert (done(answer, 202), answer["Retry-After"], asked) == ({"status": "being_made"}, "5", [row.pk])
        InvoiceDocument.objects.create(invoice=row, content=PDF, fetched_at=timezone.now())
        answer = here.http("owner").ask(path(here, row, "/pdf"))
        assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/pdf", PDF)
        refused(
            here.http("owner").ask(path(here, mirrored(here.org, "D", status="draft"), "/pdf")),
            409,
            "conflict",
        )


class TestActs:
    def test_send_mails_once_for_one_key(self, here):
        row, owner = mirrored(here.org), here.http("owner")
        first = owner.post(path(here, row, "/send"), Idempotency_Key="send-1")
        again = owner.post(path(here, row, "/send"), Idempotency_Key="send-1")
        assert done(first, 202) == done(again, 202)
        assert again["Idempotent-Replayed"] == "true"
        assert AuditEvent.objects.filter(action="invoice.sent_again").count() == 1
        assert LagoInvoice.objects.get(pk=row.pk).mail == "pending"
        open_purchase = mirrored(here.org, "B", invoice_type="credit")
        refused(owner.post(path(here, open_purchase, "/send")), 409, "conflict")

    def test_retry_is_502_while_lago_is_away_and_409_without_a_card(self, here):
        row, owner = mirrored(here.org), here.http("owner")
        refused(owner.post(path(here, row, "/retry")), 409, "conflict")
        PaymentMethod.objects.create(
            lago_id=uuid4(), organization=here.org, is_default=True, synced_at=timezone.now()
        )
        refused(owner.post(path(here, row, "/retry"), Idempotency_Key="r"), 502, "billing_unavailable")

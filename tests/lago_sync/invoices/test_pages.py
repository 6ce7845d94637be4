"""The pages of invoices: who may, what they show, and that looking never asks Lago."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from lago_sync import tasks
from lago_sync.client import circuit
from lago_sync.errors import LagoUnreachable
from lago_sync.invoices import listing
from lago_sync.models import (
    HealthCheck,
    InvoiceDocument,
    LagoCreditNote,
    LagoCustomer,
    LagoInvoice,
    Watermark,
)
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team, person
from tests.lago_sync.invoices.story import mirrored

LIST = "/orgs/acme/invoices/"
PDF = b"%PDF-1.4 of a test"


def text_of(response) -> str:
    main = response.content.decode().split("<main")[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", main))


@pytest.fixture
def acme(db: None, settings) -> Team:
    settings.LAGO_API_URL = "http://127.0.0.1:9"  # whoever asks it is told that it is away
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    circuit.forget()
    return story.acme_with_people()


@pytest.fixture
def team(acme: Team) -> Organization:
    Organization.objects.filter(pk=acme.organization.pk).update(billing_email="bills@acme.example")
    LagoCustomer.objects.create(
        organization=acme.organization, lago_id=uuid4(), currency="USD", invoices_synced_at=timezone.now()
    )
    return Organization.objects.get(pk=acme.organization.pk)


@pytest.fixture
def owner(acme: Team) -> Client:
    return story.sign_in(acme.owner)


class TestWhoMay:
    def test_see_them_who_may_buy_and_nobody_else(self, acme: Team, team: Organization):
        row = mirrored(team)
        InvoiceDocument.objects.create(invoice=row, content=PDF, fetched_at=timezone.now())
        page = f"{LIST}{row.pk}/"
        bea = story.sign_in(acme.joined_by(person("Bea Billing"), role="billing_admin"))
        for path in (LIST, page, f"{page}pdf/"):
            assert bea.get(path).status_code == 200
            assert story.sign_in(acme.people["mia"]).get(path).status_code == 403
            assert Client().get(path).status_code == 302
        outsider = story.sign_in(Team.made("Globex").owner)
        for path in (LIST, page, f"{page}pdf/"):
            assert outsider.get(path).status_code == 404
        for act in ("pay", "retry", "send"):
            assert outsider.post(f"{page}{act}/").status_code == 404
            assert story.sign_in(acme.people["mia"]).post(f"{page}{act}/").status_code == 403
            assert bea.get(f"{page}{act}/").status_code == 405
        assert f'href="{LIST}"' in bea.get("/orgs/acme/").content.decode()
        assert f'href="{LIST}"' not in story.sign_in(acme.people["mia"]).get("/orgs/acme/").content.decode()

    def test_an_invoice_is_of_its_organization_only(self, owner: Client, team: Organization):
        theirs = mirrored(Team.made("Globex").organization)
        for tail in ("", "pdf/"):
            assert owner.get(f"{LIST}{theirs.pk}/{tail}").status_code == 404
        for act in ("pay", "retry", "send"):
            assert owner.post(f"{LIST}{theirs.pk}/{act}/").status_code == 404


class TestTheList:
    def test_says_what_there_is_what_it_comes_to_and_from_when(self, owner: Client, team: Organization):
        mirrored(team, "ACM-001", payment_status="succeeded", total_due_amount_cents=0)
        mirrored(team, "ACM-002", invoice_type="credit", total_amount_cents=4500, total_due_amount_cents=4500)
        mirrored(team, "ACM-003", status="voided", total_due_amount_cents=0)
        page = text_of(owner.get(LIST))
        assert "ACM-002" in page
        assert "2 invoices, $94.00 in all, $45.00 to pay" in page
        for words in ("Paid", "To pay", "Void", "Professional", "Credits", "As of"):
            assert words in page

    def test_is_narrowed_by_state_kind_days_and_number(self, owner: Client, team: Organization):
        today = timezone.now().date()
        mirrored(team, "ACM-001", payment_status="succeeded", issuing_date=today - timedelta(days=40))
        mirrored(team, "ACM-002", invoice_type="credit")
        mirrored(team, "ACM-003", payment_due_date=today - timedelta(days=3))
        wanted = {
            "state=paid": {"ACM-001"},
            "state=overdue": {"ACM-003"},
            "kind=credits": {"ACM-002"},
            "q=acm-00": {"ACM-001", "ACM-002", "ACM-003"},
            "q=%00003": {"ACM-003"},
            f"start={today - timedelta(days=5)}": {"ACM-002", "ACM-003"},
            f"end={today - timedelta(days=5)}": {"ACM-001"},
            f"state=paid&start={today}": set(),
            "state=nonsense&kind=%27&page=9999": {"ACM-001", "ACM-002", "ACM-003"},
        }
        for query, numbers in wanted.items():
            answer = owner.get(f"{LIST}?{query}")
            assert answer.status_code == 200, query
            assert set(re.findall(r">(ACM-\d+)<", answer.content.decode())) == numbers, query
        for query in ("start=yesterday", f"start={today}&end={today - timedelta(days=1)}"):
            assert owner.get(f"{LIST}?{query}").status_code == 422

    def test_goes_on_over_pages_with_a_bounded_number_of_queries(
        self, owner: Client, team: Organization, django_assert_max_num_queries
    ):
        for number in range(45):
            mirrored(team, f"ACM-{number:03d}")
        with django_assert_max_num_queries(25):
            first = owner.get(LIST)
        shown = [
            set(re.findall(r">(ACM-\d+)<", owner.get(f"{LIST}?page={page}").content.decode()))
            for page in (1, 2, 3)
        ]
        assert [len(one) for one in shown] == [20, 20, 5]
        assert len(set.union(*shown)) == 45
        assert "45 invoices, $2,205.00 in all" in text_of(first)

    def test_says_that_there_are_none_and_that_lago_is_away(self, owner: Client, team: Organization):
        assert "No invoices yet" in text_of(owner.get(LIST))
        HealthCheck.objects.create(checked_at=timezone.now(), status="unreachable")
        away = text_of(owner.get(LIST))
        assert "The billing engine does not answer right now. This is as of" in away

    def test_says_that_lago_is_away_as_soon_as_it_is_not_asked_any_more(
        self, owner: Client, team: Organization
    ):
        for _ in range(circuit.FAILURES["api"]):
            with pytest.raises(LagoUnreachable), circuit.passing("customers"):
                raise LagoUnreachable("Lago cannot be reached.")
        assert "The billing engine does not answer right now" in text_of(owner.get(LIST))
        circuit.forget()
        assert "does not answer" not in text_of(owner.get(LIST))

    def test_is_as_of_when_the_poll_last_read_the_invoices(self, team: Organization):
        own = listing.as_of(organization=team)
        assert own is not None
        Watermark.objects.create(name="invoices", ran_at=own - timedelta(minutes=1))
        assert listing.as_of(organization=team) == own
        Watermark.objects.update(ran_at=own + timedelta(minutes=9))
        assert listing.as_of(organization=team) == own + timedelta(minutes=9)
        LagoCustomer.objects.update(invoices_synced_at=None)
        assert listing.as_of(organization=team) is None

    def test_of_one_day_is_in_the_order_of_the_numbers(self, owner: Client, team: Organization):
        for number in (2, 4, 1, 3, 5):
            mirrored(team, f"ACM-00{number}")
        shown = re.findall(r">(ACM-\d+)<", owner.get(LIST).content.decode())
        assert shown == ["ACM-005", "ACM-004", "ACM-003", "ACM-002", "ACM-001"]


class TestAnInvoice:
    def test_shows_all_that_stands_on_it(self, owner: Client, team: Organization):
        row = mirrored(team, total_amount_cents=3900, total_due_amount_cents=3900)
        LagoInvoice.objects.filter(pk=row.pk).update(
            body=row.body
            | {
                "credit_notes_amount_cents": 1000,
                "credits": [{"amount_cents": 1000, "item": {"type": "credit_note", "code": "CN-9"}}],
            }
        )
        LagoCreditNote.objects.create(
            lago_id=uuid4(), organization=team, invoice_id=row.pk, number="CN-7", reason="order_change",
            credit_status="available", currency="USD", total_amount_cents=500, issuing_date=timezone.now().date(),
            synced_at=timezone.now(),
        )  # fmt: skip
        page = text_of(owner.get(f"{LIST}{row.pk}/"))
        for words in (
            "1 November 2026 to 30 November 2026",
            "$49.00",
            "-$10.00",
            "$39.00",
            "CN-9",
            "CN-7",
            "$5.00",
            "To pay",
        ):
            assert words in page, words

    def test_that_lago_filled_with_nonsense_is_shown_all_the_same(self, owner: Client, team: Organization):
        nonsense = {
            "fees": [7, {"item": "x", "from_date": "never", "amount_cents": "many"}],
            "credits": {},
            "billing_periods": 1,
        }
        row = mirrored(team, "<script>alert(1)</script>", body=nonsense, payment_url="javascript:alert(1)")
        page = owner.get(f"{LIST}{row.pk}/")
        assert page.status_code == 200
        assert b"<script>alert" not in page.content
        assert b"javascript:" not in page.content

    def test_is_mailed_again_once_for_a_double_click(self, owner: Client, team: Organization):
        row = mirrored(team)
        page = owner.get(f"{LIST}{row.pk}/").content.decode()
        [key] = re.findall(r'name="key" value="([^"]+)"', page)
        for _ in range(2):
            answer = owner.post(f"{LIST}{row.pk}/send/", {"key": key})
            assert answer.headers["Location"] == f"{LIST}{row.pk}/"
        row.refresh_from_db()
        assert row.mail == "pending"
        assert AuditEvent.objects.filter(action="invoice.sent_again").count() == 1
        assert "It is on its way to bills@acme.example" in text_of(owner.get(f"{LIST}{row.pk}/"))

    def test_cannot_be_paid_while_lago_is_away_and_nothing_is_half_done(
        self, owner: Client, team: Organization
    ):
        row = mirrored(team)
        answer = owner.post(f"{LIST}{row.pk}/pay/")
        assert answer.status_code == 503
        assert "does not answer right now" in text_of(answer)
        row.refresh_from_db()
        assert row.payment_url == ""

    def test_says_why_a_card_cannot_be_charged(self, owner: Client, team: Organization):
        row = mirrored(team)
        assert "/retry/" not in owner.get(f"{LIST}{row.pk}/").content.decode()
        answer = owner.post(f"{LIST}{row.pk}/retry/")
        assert answer.status_code == 409
        assert "There is no stored card to charge" in text_of(answer)


class TestThePdf:
    def test_is_a_file_to_keep_and_nothing_for_a_proxy(self, owner: Client, team: Organization):
        row = mirrored(team)
        InvoiceDocument.objects.create(invoice=row, content=PDF, fetched_at=timezone.now())
        answer = owner.get(f"{LIST}{row.pk}/pdf/")
        assert (answer.status_code, answer.content) == (200, PDF)
        assert answer.headers["Content-Disposition"] == 'attachment; filename="ACM-001.pdf"'
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_is_waited_for_on_a_page_that_asks_again_without_scripts(
        self, owner: Client, team: Organization, monkeypatch
    ):
        row = mirrored(team)
        asked: list[UUID] = []
        monkeypatch.setattr(tasks, "enqueue_document", asked.append)
        first = owner.get(f"{LIST}{row.pk}/pdf/")
        assert first.status_code == 202
        assert f'content="5;url={LIST}{row.pk}/pdf/?asked=1"' in first.content.decode()
        assert asked == [row.pk]
        last = owner.get(f"{LIST}{row.pk}/pdf/?asked=12")
        assert "http-equiv" not in last.content.decode().split("<noscript")[0].split("<body")[0]
        assert "has not made it so far" in text_of(last)
        assert owner.get(f"{LIST}{row.pk}/pdf/?asked=%F0%9F%92%A3").status_code == 202
        assert owner.get(f"{LIST}{mirrored(team, 'DRAFT', status='draft').pk}/pdf/").status_code == 404


def test_a_click_on_pay_brings_the_link_to_the_payment_page(billed):
    billed.refresh()
    owner = Client()
    owner.force_login(billed.organization.memberships.get(role="owner").user)
    page = f"{LIST}{billed.first.pk}/"
    assert owner.post(f"{page}pay/").headers["Location"] == page
    assert f'href="{billed.lago.url}/pay/' in owner.get(page).content.decode()
    assert owner.get(f"{page}pdf/").status_code == 202
    assert tasks.fetch_document(str(billed.first.pk)) is True
    assert owner.get(f"{page}pdf/").content.startswith(b"%PDF-")

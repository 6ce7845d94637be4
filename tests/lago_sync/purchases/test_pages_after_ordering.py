"""Pages after an order: giving it up with a second look, states that came later, and what was taken back."""

from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from lago_sync import tasks
from lago_sync.models import Purchase, Refund
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team
from tests.lago_sync.invoices.story import mirrored
from tests.lago_sync.purchases.test_pages import made, page_of, text_of

PAY = "https://pay.example/i?a=1"


@pytest.fixture
def acme(db: None) -> Team:
    return story.acme_with_people()


@pytest.fixture
def owner(acme: Team) -> Client:
    return story.sign_in(acme.owner)


def test_an_order_is_given_up_with_a_second_look(
    acme: Team, owner: Client, monkeypatch, django_capture_on_commit_callbacks
):
    asked: list[object] = []
    monkeypatch.setattr(tasks, "enqueue_advance", asked.append)
    purchase = made(acme.organization, acme.owner, "awaiting_payment", payment_url=PAY)
    path = f"{page_of(purchase)}abandon/"
    assert f'href="{path}"' in owner.get(page_of(purchase)).content.decode()
    assert "Invoice ACM-001 is voided, nothing is owed" in text_of(owner.get(path))
    assert Purchase.objects.get().abandoning_since is None  # looking gives nothing up
    with django_capture_on_commit_callbacks(execute=True):
        assert owner.post(path).headers["Location"] == page_of(purchase)
    assert asked == [purchase.pk]
    page = owner.get(page_of(purchase))
    assert "Being given up" in text_of(page)
    assert PAY not in page.content.decode()
    owner.post(path)  # a second click
    Purchase.objects.update(status="abandoned")
    said = text_of(owner.get(page_of(purchase)))
    assert "its invoice is void, nothing is owed" in said


def test_what_is_paid_or_somebody_elses_is_not_given_up(acme: Team, owner: Client):
    purchase = made(acme.organization, acme.owner, "completed")
    assert "cannot be given up" in text_of(owner.get(f"{page_of(purchase)}abandon/"))
    answer = owner.post(f"{page_of(purchase)}abandon/")
    assert answer.status_code == 409
    assert "is completed" in text_of(answer)
    assert story.sign_in(acme.people["mia"]).post(f"{page_of(purchase)}abandon/").status_code == 403
    assert story.sign_in(Team.made("Globex").owner).post(f"{page_of(purchase)}abandon/").status_code == 404


def test_who_pays_elsewhere_is_sent_a_link(acme: Team, owner: Client):
    purchase = made(acme.organization, acme.owner, "declined", payment_url=PAY)
    page = owner.get(page_of(purchase)).content.decode()
    assert f'readonly value="{PAY}"' in page
    assert "Try again to pay" in page
    assert "<form" not in page.split("<main")[1]


def test_one_that_is_marked_as_paid_says_so_and_is_not_paid_again(acme: Team, owner: Client):
    purchase = made(
        acme.organization, acme.owner, "awaiting_payment", payment_url=PAY, marked_paid_by="usr_1", payment_reference="SEPA 1"
    )  # fmt: skip
    page = owner.get(page_of(purchase))
    assert "marked it as paid, reference SEPA 1" in text_of(page)
    assert PAY not in page.content.decode()


def test_refunds_and_disputes_are_shown_with_what_is_owed(acme: Team, owner: Client):
    purchase = made(acme.organization, acme.owner, "completed")
    for number, (kind, status, says) in enumerate(
        [
            ("refund", "refunded", "taken back since. Staff return the money"),
            ("dispute", "disputed", "lost in a dispute"),
        ]
    ):
        Refund.objects.create(
            purchase=purchase, kind=kind, credits=Decimal(2500), withdrawn=Decimal(2400), owed=Decimal(100),
            amount_cents=2250, reference=f"re_{number}", reason="by mistake", made_by="usr_1", created_at=timezone.now(),
        )  # fmt: skip
        Purchase.objects.update(status=status)
        page = text_of(owner.get(page_of(purchase)))
        assert says in page
        assert f"re_{number}" in page
        assert "2,400 credits, 100 owed $22.50" in page


def test_its_invoice_is_a_link_once_it_is_mirrored(acme: Team, owner: Client):
    purchase = made(acme.organization, acme.owner, "completed")
    href = f'href="/orgs/acme/invoices/{purchase.invoice_id}/"'
    page = owner.get(page_of(purchase))
    assert "ACM-001" in text_of(page)
    assert href not in page.content.decode()
    mirrored(
        acme.organization, lago_id=purchase.invoice_id, invoice_type="credit", payment_status="succeeded"
    )
    assert href in owner.get(page_of(purchase)).content.decode()


def test_what_was_bought_by_itself_says_so(acme: Team, owner: Client):
    purchase = made(acme.organization, acme.owner, "completed", is_automatic=True, made_by="portal")
    assert "by auto top-up" in text_of(owner.get(page_of(purchase)))

"""Pages of payment methods and of auto top-up: every state, and what happens while Lago is away."""

import re
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from lago_sync import tasks
from lago_sync.customers import linking
from lago_sync.models import AutoTopUp, LagoCustomer, PaymentMethod
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team
from tests.lago_sync.purchases.story import store_card
from tests.lago_sync.purchases.test_pages import text_of

METHODS = "/orgs/acme/payment-methods/"
TOP_UP = "/orgs/acme/limits/auto-top-up/"
SET = {"is_on": "on", "threshold": "500", "buys": "credits-5000", "credits": "", "day_cap_cents": "90", "month_cap_cents": "200.00"}  # fmt: skip


@pytest.fixture
def acme(db: None, settings) -> Team:
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    return story.acme_with_people()


@pytest.fixture
def owner(acme: Team) -> Client:
    return story.sign_in(acme.owner)


def card(acme: Team, **fields) -> PaymentMethod:
    facts = {
        "lago_id": uuid4(),
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "expires": "2028-04",
        "is_default": True,
    }
    return PaymentMethod.objects.create(
        **facts | {"organization": acme.organization, "synced_at": timezone.now()} | fields
    )


def key_of(response) -> str:
    return re.findall(r'name="key" value="([^"]+)"', response.content.decode())[0]


def test_a_card_is_stored_at_the_provider_and_shows_here(lago, acme: Team, owner: Client, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(tasks, "enqueue_methods", asked.append)
    assert "Nothing is stored" in text_of(owner.get(METHODS))
    page = owner.post(f"{METHODS}store/")
    [address] = re.findall(r'id="store" href="([^"]+)"', page.content.decode())
    assert address.startswith(lago.url)
    store_card(address)
    back = owner.get("/billing/returned/")
    assert back.headers["Location"] == METHODS
    assert "shows within a minute" in text_of(owner.get(METHODS))
    assert asked == [acme.organization.public_id]
    assert owner.get("/billing/returned/").headers["Location"] == "/billing/"
    assert owner.post(f"{METHODS}refresh/").status_code == 302
    said = text_of(owner.get(METHODS))
    assert "Charged" in said
    assert "As of" in said


def test_another_is_charged_and_one_is_removed_with_a_second_look(lago, acme: Team, owner: Client):
    for _ in range(2):
        linking.ensure_customer(organization=acme.organization, now=timezone.now())
        store_card(lago.api("POST", f"customers/{acme.organization.public_id}/checkout_url").json()["customer"]["checkout_url"])  # fmt: skip
    owner.post(f"{METHODS}refresh/")
    other = PaymentMethod.objects.get(is_default=False)
    assert owner.post(f"{METHODS}{other.pk}/default/").status_code == 302
    assert PaymentMethod.objects.get(is_default=True) == other
    assert "The payment provider forgets it" in text_of(owner.get(f"{METHODS}{other.pk}/remove/"))
    assert PaymentMethod.objects.filter(removed_at=None).count() == 2
    assert owner.post(f"{METHODS}{other.pk}/remove/").status_code == 302
    assert PaymentMethod.objects.get(removed_at=None) != other
    assert owner.get(f"{METHODS}{other.pk}/remove/").status_code == 404


def test_while_lago_is_away_what_is_known_is_shown_and_acts_say_so(acme: Team, owner: Client):
    row = card(acme)
    LagoCustomer.objects.create(
        organization=acme.organization, lago_id=uuid4(), currency="USD", methods_synced_at=timezone.now()
    )
    assert "Visa •••• 4242 2028-04" in text_of(owner.get(METHODS))
    for act in ("store/", "refresh/", f"{row.pk}/default/", f"{row.pk}/remove/"):
        answer = owner.post(f"{METHODS}{act}")
        assert answer.status_code == 503, act
        assert "nothing was changed" in text_of(answer)
        assert "4242" in text_of(answer)


def test_without_a_provider_it_says_who_marks_payments(acme: Team, owner: Client, settings):
    settings.LAGO_PAYMENT_PROVIDER = ""
    assert "A system admin marks a purchase as paid" in text_of(owner.get(METHODS))
    assert owner.post(f"{METHODS}store/").status_code == 409


def test_are_for_who_may_buy(acme: Team):
    row = card(acme)
    outsider = story.sign_in(Team.made("Globex").owner)
    for path in (METHODS, TOP_UP, f"{METHODS}{row.pk}/remove/"):
        assert story.sign_in(acme.people["mia"]).get(path).status_code == 403
        assert outsider.get(path).status_code == 404
    for path in (f"{METHODS}store/", f"{METHODS}{row.pk}/default/", TOP_UP, f"{TOP_UP}off/"):
        assert story.sign_in(acme.people["mia"]).post(path).status_code == 403


class TestAutoTopUp:
    def send(self, client: Client, **change: str):
        return client.post(TOP_UP, SET | {"key": key_of(client.get(TOP_UP))} | change)

    def test_is_set_shown_and_turned_off(self, acme: Team, owner: Client):
        card(acme)
        assert f'href="{TOP_UP}"' in owner.get("/orgs/acme/limits/").content.decode()
        assert self.send(owner).status_code == 302
        row = AutoTopUp.objects.get()
        assert (row.is_on, row.threshold, row.day_cap_cents, row.month_cap_cents) == (
            True,
            Decimal(500),
            9000,
            20_000,
        )
        page = owner.get(TOP_UP)
        assert "$0.00 of $90.00" in text_of(page)
        assert 'value="90.00"' in page.content.decode()
        owner.post(f"{TOP_UP}off/", {"key": uuid4().hex})
        assert not AutoTopUp.objects.get().is_on
        assert self.send(owner, buys="own", credits="1,000").status_code == 302
        assert AutoTopUp.objects.get().credits == 1000

    def test_is_proposed_only_once_a_card_is_stored(self, acme: Team, owner: Client):
        checked = re.compile(r'<input[^>]*name="is_on"[^>]*checked')
        assert not checked.search(owner.get(TOP_UP).content.decode())
        card(acme)
        assert checked.search(owner.get(TOP_UP).content.decode())

    def test_says_what_is_wrong_beside_it_and_saves_nothing(self, acme: Team, owner: Client):
        no_card = self.send(owner)
        assert no_card.status_code == 422
        assert "store one first" in text_of(no_card)
        card(acme)
        for change, says in (
            ({"day_cap_cents": "44.99"}, "One purchase costs more than this."),
            ({"day_cap_cents": "90.001"}, "USD has 2 decimals."),
            ({"day_cap_cents": "NaN"}, "Enter a number."),
            ({"month_cap_cents": "89"}, "must be at least what a day may cost"),
            ({"buys": "own"}, "Say how many credits."),
            ({"buys": "own", "credits": "99"}, "credits can be bought"),
            ({"buys": "gold"}, "Select a valid choice"),
            ({"threshold": "-1"}, "The amount"),
            ({"threshold": ""}, "This field is required."),
        ):
            answer = self.send(owner, **change)
            assert (answer.status_code, says in text_of(answer)) == (422, True), change
        assert not AutoTopUp.objects.exists()

    def test_that_stopped_says_why(self, acme: Team, owner: Client):
        card(acme)
        self.send(owner)
        AutoTopUp.objects.update(
            is_on=False, stopped_at=timezone.now(), stopped_because="The payment was declined."
        )
        assert "Auto top-up has stopped" in text_of(owner.get(TOP_UP))
        assert "Stopped: The payment was declined." in text_of(owner.get(METHODS))


def test_no_page_has_anything_inline(acme: Team, owner: Client):
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style|hx-on", re.IGNORECASE)
    row = card(acme)
    for path in (METHODS, TOP_UP, f"{METHODS}{row.pk}/remove/"):
        assert not inline.search(owner.get(path).content.decode())

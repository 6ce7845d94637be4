"""Buying on pages: what is offered, one purchase however often it is clicked, and every state of a purchase.

Lago is not asked by any of them: they order a row, and show what rows say.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from kit import transactions
from lago_sync import tasks
from lago_sync.models import HealthCheck, Package, Purchase
from lago_sync.purchases import orders
from orgs import organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Organization, User
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team, person

SignIn = Callable[[User], Client]
BUY = "/orgs/acme/credits/buy/"
CONFIRM = "/orgs/acme/credits/buy/confirm/"
HOSTILE = ["\x00", "a\x00b", "-1", "0", "99.999999", "1e5", "NaN", "Infinity", "9" * 400, "1000000001", "1.0000001", "<script>alert(1)</script>", "' OR 1=1 --", "\u0661\u0660\u0660\u0660"]  # fmt: skip


def text_of(response) -> str:
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def form_of(response) -> dict[str, str]:
    """Return the hidden fields of the form that buys."""
    main = response.content.decode().split("<main")[1]
    [form] = re.findall(r'<form method="post" action="/orgs/.*?</form>', main, re.DOTALL)
    return dict(re.findall(r'name="(key|package|credits|amount_cents)" value="([^"]*)"', form))


def bought(client: Client, **query: str):
    return client.post(CONFIRM, form_of(client.get(CONFIRM, query or {"package": "credits-5000"})))


def made(organization: Organization, user: User, status: str = "pending", **fields) -> Purchase:
    at_lago = {
        "wallet_id": uuid4(),
        "wallet_transaction_id": uuid4(),
        "invoice_id": uuid4(),
        "invoice_number": "ACM-001",
    }
    facts = {
        "pending": {},
        "failed": {},
        "awaiting_payment": at_lago,
        "declined": at_lago,
        "completed": {**at_lago, "grant_id": uuid4(), "completed_at": timezone.now()},
    }[status]
    return Purchase.objects.create(
        **{
            "organization": organization,
            "package": Package.objects.get(code="credits-5000"),
            "credits": Decimal(5000),
            "amount_cents": 4500,
            "currency": "USD",
            "status": status,
            "made_by": user.public_id,
            "idempotency_key": uuid4().hex,
            **facts,
            **fields,
        }
    )


def page_of(purchase: Purchase) -> str:
    return reverse("purchases:purchase", args=[purchase.organization.slug, purchase.pk])


@pytest.fixture
def acme(db: None) -> Team:
    return story.acme_with_people()


@pytest.fixture
def outsider(db: None) -> User:
    return Team.made("Globex").owner


@pytest.fixture
def signed_in() -> SignIn:
    return story.sign_in


@pytest.fixture
def owner(acme: Team) -> Client:
    return story.sign_in(acme.owner)


class TestWhoMay:
    @pytest.mark.parametrize("role", ["owner", "admin", "billing_admin"])
    def test_who_may_buy_sees_the_packages(self, acme: Team, signed_in: SignIn, role: str):
        client = signed_in(acme.joined_by(person("Another"), role=role))
        assert client.get(BUY).status_code == 200
        assert f'href="{BUY}"' in client.get("/orgs/acme/").content.decode()

    def test_system_admins_may_for_anybody(self, acme: Team, signed_in: SignIn):
        assert signed_in(person("Sys Admin", is_staff=True)).get(BUY).status_code == 200

    def test_somebody_alone_may_for_themselves(self, signed_in: SignIn, db: None):
        solo = person("Solo Player")
        client = signed_in(solo)
        client.get("/billing/")  # makes their organization
        slug = solo.memberships.get().organization.slug
        assert client.get(f"/orgs/{slug}/credits/buy/").status_code == 200

    @pytest.mark.parametrize("who", ["mia", "paul"])
    def test_members_and_managers_are_told_that_they_may_not(self, acme: Team, signed_in: SignIn, who: str):
        if who == "mia":
            acme.managed_by(acme.people["mia"])
        client = signed_in(acme.people[who])
        purchase = made(acme.organization, acme.owner)
        for path in (BUY, CONFIRM, page_of(purchase)):
            answer = client.get(path)
            assert answer.status_code == 403
            assert "You may not do this" in text_of(answer)
        assert client.post(CONFIRM, {"package": "credits-5000", "key": "k"}).status_code == 403
        assert Purchase.objects.count() == 1
        assert f'href="{BUY}"' not in client.get("/orgs/acme/").content.decode()

    def test_outsiders_may_not_know_of_it(self, acme: Team, outsider: User, signed_in: SignIn):
        client = signed_in(outsider)
        purchase = made(acme.organization, acme.owner)
        for path in (BUY, CONFIRM, page_of(purchase)):
            assert client.get(path).status_code == 404

    def test_a_purchase_is_of_its_organization_only(self, acme: Team, owner: Client):
        other = Team.made("Second", owner=acme.owner)
        purchase = made(other.organization, acme.owner)
        assert owner.get(page_of(purchase)).status_code == 200
        assert owner.get(f"{BUY}{purchase.pk}/").status_code == 404
        assert owner.get(f"{BUY}{uuid4()}/").status_code == 404

    def test_strangers_sign_in_first(self, acme: Team):
        assert Client().get(BUY).headers["Location"] == f"/accounts/login/?next={BUY}"


class TestOffers:
    def test_say_price_rate_and_saving_against_the_smallest(self, owner: Client):
        page = text_of(owner.get(BUY))
        assert "1,000 credits $10.00 $10.00 per 1,000 credits Buy" in page
        assert "5,000 credits $45.00 $9.00 per 1,000 credits 10.0% less" in page
        assert "50,000 credits $350.00 $7.00 per 1,000 credits 30.0% less" in page
        assert "Acme has 8,950 available in its pool" in page

    def test_of_another_currency_do_not_show(self, acme: Team, owner: Client):
        Package.objects.create(code="eur", name="EUR", credits=7000, amount_cents=100, currency="EUR")
        assert "7,000 credits" not in text_of(owner.get(BUY))
        assert owner.get(CONFIRM, {"package": "eur"}).status_code == 422

    def test_say_so_where_there_are_none(self, acme: Team, owner: Client):
        Organization.objects.filter(pk=acme.organization.pk).update(currency="CHF")
        assert "There is no package in CHF" in text_of(owner.get(BUY))
        answer = owner.get(CONFIRM, {"credits": "500"})
        assert answer.status_code == 422

    def test_that_were_withdrawn_cannot_be_bought(self, owner: Client):
        Package.objects.filter(code="credits-5000").update(is_active=False)
        answer = owner.get(CONFIRM, {"package": "credits-5000"})
        assert answer.status_code == 422
        assert "No such package is offered" in text_of(answer)

    def test_stop_where_lago_would_bill_twice_and_say_why(self, acme: Team, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        problem = {
            "what": "Plan starter has a priced charge",
            "do": "…",
            "stops_purchases": True,
            "organization": "",
        }
        HealthCheck.objects.create(checked_at=timezone.now(), status="unhealthy", problems=[problem])
        page = owner.get(BUY)
        assert "Buying is stopped." in text_of(page)
        assert "Plan starter has a priced charge" in text_of(page)
        assert "confirm/?package" not in page.content.decode()
        answer = owner.post(CONFIRM, form)
        assert answer.status_code == 503
        assert Purchase.objects.count() == 0


class TestConfirming:
    def test_shows_amount_and_balance_after_and_has_them_in_the_button(self, owner: Client):
        page = owner.get(CONFIRM, {"package": "credits-5000"})
        assert "To pay $45.00 Available now 8,950 Available after payment 13,950" in text_of(page)
        assert "Buy 5,000 credits for $45.00" in text_of(page)
        assert "no-store" in page.headers["Cache-Control"]

    def test_prices_an_amount_of_ones_own_at_the_rate_it_reaches(self, owner: Client):
        assert "Buy 2,500 credits for $25.00" in text_of(owner.get(CONFIRM, {"credits": "2,500"}))
        assert "Buy 10,100 credits for $80.80" in text_of(owner.get(CONFIRM, {"credits": "10100"}))
        assert "Buy 100 credits for $1.00" in text_of(owner.get(CONFIRM, {"credits": "100"}))

    @pytest.mark.parametrize("credits", [*HOSTILE, "100.5"])
    def test_refuses_what_cannot_be_bought_beside_the_field(self, owner: Client, credits: str):
        for answer in (owner.get(CONFIRM, {"credits": credits}), owner.post(CONFIRM, {"credits": credits, "key": "k", "amount_cents": "1"})):  # fmt: skip
            assert answer.status_code == 422
            assert answer.context["form"].errors
            assert "<script>alert" not in answer.content.decode()
        assert Purchase.objects.count() == 0

    @pytest.mark.parametrize("package", ["\x00", "x" * 5000, "credits-1", "../..", "' OR 1=1", "é"])
    def test_refuses_packages_that_are_none(self, owner: Client, package: str):
        assert owner.get(CONFIRM, {"package": package}).status_code == 422

    @pytest.mark.parametrize("query", [{}, {"package": "credits-1000", "credits": "500"}])
    def test_wants_one_thing(self, owner: Client, query):
        assert owner.get(CONFIRM, query).status_code == 422

    def test_orders_once_and_shows_the_purchase(self, acme: Team, owner: Client):
        answer = bought(owner)
        purchase = Purchase.objects.get()
        assert answer.headers["Location"] == page_of(purchase)
        assert (purchase.credits, purchase.amount_cents, purchase.status) == (Decimal(5000), 4500, "pending")
        assert purchase.made_by == acme.owner.public_id
        assert purchase.return_url.endswith("/billing/returned/")
        assert (
            AuditEvent.objects.filter(action="credits.purchase_ordered", actor=acme.owner.public_id).count()
            == 1
        )

    def test_has_the_purchase_brought_forward_at_once(
        self, acme: Team, owner: Client, monkeypatch, django_capture_on_commit_callbacks
    ):
        asked: list[object] = []
        monkeypatch.setattr(tasks, "enqueue_advance", asked.append)
        with django_capture_on_commit_callbacks(execute=True):
            bought(owner)
        assert asked == [Purchase.objects.get().pk]

    def test_buys_an_amount_of_ones_own(self, owner: Client):
        bought(owner, credits="2,500")
        purchase = Purchase.objects.get()
        assert (purchase.package, purchase.credits, purchase.amount_cents) == (None, Decimal(2500), 2500)


class TestOnePurchase:
    def test_comes_of_a_second_click(self, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        first, second = owner.post(CONFIRM, form), owner.post(CONFIRM, form)
        assert first.headers["Location"] == second.headers["Location"]
        assert Purchase.objects.count() == 1

    def test_comes_of_two_tabs(self, owner: Client):
        forms = [form_of(owner.get(CONFIRM, {"package": "credits-5000"})) for _ in range(2)]
        for form in forms:
            owner.post(CONFIRM, form)
        assert Purchase.objects.count() == 1

    def test_comes_of_going_back(self, owner: Client):
        bought(owner)
        back = owner.get(CONFIRM, {"package": "credits-5000"})
        assert "You have ordered this already" in text_of(back)
        assert page_of(Purchase.objects.get()) in back.content.decode()
        assert "Buy 5,000 credits for" not in text_of(back)

    def test_is_another_only_where_asked_for(self, owner: Client):
        bought(owner)
        bought(owner, package="credits-5000", another="1")
        assert Purchase.objects.count() == 2

    def test_that_has_ended_may_be_followed_by_the_same(self, owner: Client):
        bought(owner)
        Purchase.objects.update(status="failed")
        assert bought(owner).status_code == 302
        assert Purchase.objects.count() == 2

    def test_of_other_things_are_others(self, owner: Client):
        forms = [
            form_of(owner.get(CONFIRM, query)) for query in ({"package": "credits-1000"}, {"credits": "1000"})
        ]
        for form in forms:
            owner.post(CONFIRM, form)
        assert Purchase.objects.count() == 2

    def test_of_two_people_are_two(self, acme: Team, owner: Client, signed_in: SignIn):
        admin = signed_in(acme.joined_by(person("Another"), role="admin"))
        bought(owner)
        assert bought(admin).status_code == 302
        assert Purchase.objects.count() == 2

    def test_is_not_made_at_a_price_that_nobody_saw(self, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        Package.objects.filter(code="credits-5000").update(amount_cents=9900)
        answer = owner.post(CONFIRM, form)
        assert answer.status_code == 409
        assert Purchase.objects.count() == 0
        assert "The price has changed." in text_of(answer)
        assert "Buy 5,000 credits for $99.00" in text_of(answer)
        owner.post(CONFIRM, form_of(answer))
        assert Purchase.objects.get().amount_cents == 9900

    def test_stays_the_first_when_the_price_changes_before_the_second_click(self, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        owner.post(CONFIRM, form)
        Package.objects.filter(code="credits-5000").update(amount_cents=9900, is_active=False)
        assert owner.post(CONFIRM, form).status_code == 302
        assert Purchase.objects.get().amount_cents == 4500

    @pytest.mark.parametrize("key", ["", " ", "k" * 129, "ké", "a\x00b"])
    def test_needs_the_forms_key(self, owner: Client, key: str):
        answer = owner.post(CONFIRM, {"package": "credits-5000", "amount_cents": "4500", "key": key})
        assert answer.status_code == 400
        assert Purchase.objects.count() == 0

    def test_a_key_that_bought_something_else_buys_nothing(self, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        owner.post(CONFIRM, form)
        answer = owner.post(CONFIRM, {**form, "package": "credits-1000", "amount_cents": "1000"})
        assert answer.status_code == 409
        assert Purchase.objects.count() == 1

    def test_is_not_made_by_a_suspended_organization(self, acme: Team, owner: Client):
        form = form_of(owner.get(CONFIRM, {"package": "credits-5000"}))
        with transactions.durable():
            organizations.suspend(organization=acme.organization, reason="test", by=SYSTEM)
        answer = owner.post(CONFIRM, form)
        assert answer.status_code == 403
        assert "Buying is stopped. Acme is suspended." in text_of(owner.get(BUY))

    def test_a_busy_database_orders_nothing_and_says_so(self, owner: Client, monkeypatch):
        def busy(**_):
            raise OperationalError("canceling statement due to lock timeout")

        monkeypatch.setattr(orders, "place", busy)
        answer = bought(owner)
        assert answer.status_code == 503
        assert "nothing was ordered" in text_of(answer)

    def test_needs_the_forms_token(self, acme: Team):
        client = Client(enforce_csrf_checks=True)
        client.force_login(acme.owner)
        assert client.post(CONFIRM, {"package": "credits-5000", "key": "k"}).status_code == 403


class TestTheStates:
    @pytest.mark.parametrize(
        ("status", "heading", "says"),
        [
            ("pending", "Being ordered", "The invoice is being made"),
            ("awaiting_payment", "Waiting for payment", "Pay on the payment page."),
            ("declined", "Payment declined", "nothing was charged"),
            ("completed", "The credits are there", "5,000 credits were added. Acme now has 8,950 available"),
            ("failed", "Failed", "nothing is owed. Currencies differ."),
        ],
    )
    def test_say_what_happens(self, acme: Team, owner: Client, status: str, heading: str, says: str):
        purchase = made(acme.organization, acme.owner, status, last_error="Currencies differ.")
        page = owner.get(page_of(purchase))
        assert f'<h2 id="state">{heading}</h2>' in page.content.decode()
        assert says in text_of(page)
        assert f'data-state="{status}"' in page.content.decode()
        assert "5,000 credits for $45.00" in text_of(page)

    @pytest.mark.parametrize("status", ["awaiting_payment", "declined"])
    def test_that_can_be_paid_have_a_link_and_no_form(self, acme: Team, owner: Client, status: str):
        url = "https://pay.example/i?a=1&b=2"
        purchase = made(acme.organization, acme.owner, status, payment_url=url)
        page = owner.get(page_of(purchase)).content.decode()
        assert 'id="pay" href="https://pay.example/i?a=1&amp;b=2"' in page
        assert "ACM-001" in page
        assert "<form" not in page.split("<main")[1]

    def test_a_payment_address_that_is_no_address_is_no_link(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner, "awaiting_payment", payment_url="javascript:alert(1)")
        page = owner.get(page_of(purchase)).content.decode()
        assert "javascript:" not in page
        assert "There is no payment page" in page

    def test_a_billing_engine_that_does_not_answer_is_no_reason_to_order_again(
        self, acme: Team, owner: Client
    ):
        purchase = made(acme.organization, acme.owner, last_error="connection refused to 10.0.0.7")
        page = text_of(owner.get(page_of(purchase)))
        assert "nothing is ordered twice" in page
        assert "10.0.0.7" not in page

    @pytest.mark.parametrize("status", ["pending", "awaiting_payment", "declined"])
    def test_open_ones_look_again_with_and_without_a_script(self, acme: Team, owner: Client, status: str):
        page = owner.get(page_of(made(acme.organization, acme.owner, status))).content.decode()
        assert 'hx-trigger="every 3s"' in page
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
        assert "htmx" in page

    @pytest.mark.parametrize("status", ["completed", "failed"])
    def test_ended_ones_stop(self, acme: Team, owner: Client, status: str):
        page = owner.get(page_of(made(acme.organization, acme.owner, status))).content.decode()
        assert "hx-trigger" not in page
        assert "http-equiv" not in page
        assert "htmx" not in page

    def test_completed_ones_lead_on(self, acme: Team, owner: Client):
        page = owner.get(page_of(made(acme.organization, acme.owner, "completed"))).content.decode()
        assert 'href="/orgs/acme/allocations/allocate/"' in page
        assert 'href="/orgs/acme/"' in page

    def test_stand_in_the_list_below_the_packages(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner, "declined")
        page = owner.get(BUY)
        assert page_of(purchase) in page.content.decode()
        assert "by Owner of Acme ACM-001 $45.00 Payment declined" in text_of(page)


class TestPolling:
    def ask(self, client: Client, purchase: Purchase, **query: str):
        return client.get(page_of(purchase), query, headers={"HX-Request": "true"})

    def test_gets_nothing_while_nothing_changed(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner)
        answer = self.ask(owner, purchase, state="pending")
        assert (answer.status_code, answer.content) == (204, b"")

    def test_gets_only_the_part_that_changed(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner, "awaiting_payment", payment_url="https://pay.example/")
        answer = self.ask(owner, purchase, state="pending")
        assert answer.content.decode().strip().startswith('<section id="progress"')
        assert "state=awaiting_payment-payable" in answer.content.decode()
        assert "<html" not in answer.content.decode()

    def test_ends_with_a_part_that_asks_no_more(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner, "completed")
        assert "hx-get" not in self.ask(owner, purchase, state="pending").content.decode()

    def test_is_kept_by_no_cache_and_told_from_the_page(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner)
        for answer in (
            self.ask(owner, purchase),
            self.ask(owner, purchase, state="pending"),
            owner.get(page_of(purchase)),
        ):
            assert "HX-Request" in answer.headers["Vary"]
            assert "no-store" in answer.headers["Cache-Control"]

    def test_of_who_is_signed_out_sends_the_whole_page_to_sign_in(self, acme: Team):
        purchase = made(acme.organization, acme.owner)
        answer = self.ask(Client(), purchase)
        assert (answer.headers["HX-Refresh"], answer.content) == ("true", b"")
        path = page_of(purchase)
        assert Client().get(path).headers["Location"] == f"/accounts/login/?next={path}"

    def test_a_page_restored_from_history_is_whole(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner)
        headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
        assert "<html" in owner.get(page_of(purchase), headers=headers).content.decode()

    def test_costs_little(self, acme: Team, owner: Client):
        purchase = made(acme.organization, acme.owner)
        self.ask(owner, purchase, state="pending")
        with CaptureQueriesContext(connection) as captured:
            self.ask(owner, purchase, state="pending")
        assert len(captured) <= 5


class TestComingBack:
    def test_leads_to_the_newest_purchase_and_has_it_looked_at(self, acme: Team, owner: Client, monkeypatch):
        asked: list[object] = []
        monkeypatch.setattr(tasks, "enqueue_advance", asked.append)
        made(acme.organization, acme.owner, "completed")
        newest = made(acme.organization, acme.owner, "awaiting_payment")
        assert owner.get("/billing/returned/").headers["Location"] == page_of(newest)
        assert asked == [newest.pk]

    def test_leads_home_without_one(self, acme: Team, owner: Client):
        made(acme.organization, acme.people["mia"])  # somebody else's
        made(acme.organization, acme.owner, created_at=timezone.now() - timedelta(days=1, minutes=1))
        assert owner.get("/billing/returned/").headers["Location"] == "/billing/"

    def test_leads_home_where_the_organization_is_out_of_sight(
        self, acme: Team, outsider: User, signed_in: SignIn
    ):
        made(acme.organization, outsider)
        assert signed_in(outsider).get("/billing/returned/").headers["Location"] == "/billing/"

    def test_is_for_people_who_signed_in(self, db: None):
        assert "/accounts/login/" in Client().get("/billing/returned/").headers["Location"]


@pytest.mark.parametrize("is_sandbox", [True, False])
def test_pages_that_show_the_sandboxs_data_say_so(acme: Team, owner: Client, is_sandbox: bool):
    purchase = made(acme.organization, acme.owner)
    with override_settings(LAGO_IS_SANDBOX=is_sandbox):
        for path in (BUY, f"{CONFIRM}?credits=500", page_of(purchase)):
            assert ("Sandbox" in text_of(owner.get(path))) is is_sandbox


def test_no_page_has_anything_inline(acme: Team, owner: Client):
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style|hx-on", re.IGNORECASE)
    purchase = made(acme.organization, acme.owner, "awaiting_payment", payment_url="https://pay.example/")
    for path in (BUY, f"{CONFIRM}?credits=500", f"{CONFIRM}?package=credits-5000", page_of(purchase)):
        assert not inline.search(owner.get(path).content.decode())


def test_the_shop_costs_the_same_however_much_was_bought(acme: Team, owner: Client):
    def queries() -> int:
        owner.get(BUY)
        with CaptureQueriesContext(connection) as captured:
            assert owner.get(BUY).status_code == 200
        return len(captured)

    made(acme.organization, acme.owner)
    few = queries()
    for _ in range(15):
        made(acme.organization, acme.people["mia"], "completed")
    assert queries() == few <= 16

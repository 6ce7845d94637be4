"""The plan on pages: every state, the exact price before a change, a second look before the end, and no price but the shown one."""

import re
from datetime import UTC, timedelta

import pytest
from django.db import transaction
from django.test import Client

from lago_sync.client import circuit
from lago_sync.invoices import mirror as invoices
from lago_sync.models import HealthCheck, LagoInvoice, LagoPlan, PaymentMethod, PlanChange
from orgs import organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import orgs as make
from tests.lago_sync.subscriptions import story

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(lago):
    story.installed(lago)
    return story.Team(lago)


@pytest.fixture
def page(team):
    """Return how its owner asks for a page of the plan."""
    client = Client()
    client.force_login(team.owner)

    def ask(path="", status=200, **form):
        address = f"/orgs/{team.org.slug}/plan/{path}"
        response = client.post(address, form) if form else client.get(address)
        assert response.status_code == status, (path, response.status_code)
        return response

    return ask


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode().split("<main")[-1]))


def form_of(response) -> dict[str, str]:
    main = response.content.decode().split("<main")[1]
    return dict(re.findall(r'name="(plan|due_cents)" value="([^"]*)"', main))


def confirmed(page, code):
    return page("change/", 302, **form_of(page(f"change/?plan={code}")))


class TestThePage:
    def test_without_a_plan_says_so_and_offers_all(self, team, page):
        said = text_of(page())
        assert "There is no plan" in said
        for offered in ("Trial", "$19.00 a month", "Starter, yearly", "$190.00 a year", "unlimited"):
            assert offered in said

    def test_shows_what_holds_and_what_is_planned(self, team, page):
        team.subscribe("professional")
        said = text_of(page())
        assert "Active" in said
        assert "$49.00 a month" in said
        assert "Present plan" in said
        assert "As of" in said
        team.change("starter")
        assert "Starter follows after" in text_of(page())
        team.take_back()
        team.cancel()
        said = text_of(page())
        assert "The plan ends after" in said
        assert "Take the cancellation back" in said
        assert "plan/change/?plan=" not in page().content.decode()

    def test_shows_a_trial_a_debt_with_its_invoice_a_pause_and_a_change_on_its_way(self, team, page):
        team.subscribe("trial")
        assert "The trial ends after" in text_of(page())
        team.change("starter")
        now = team.now
        LagoInvoice.objects.all().delete()
        owed = LagoInvoice.objects.create(lago_id="22222222-2222-4222-8222-222222222222", organization=team.org, number="ACM-7", invoice_type="subscription", status="finalized", payment_status="pending", currency="USD", total_amount_cents=1900, total_due_amount_cents=1900, issuing_date=(now - timedelta(days=3)).date(), payment_due_date=(now - timedelta(days=3)).date(), synced_at=now)  # fmt: skip
        team.refresh()
        said = text_of(page())
        assert "The plan is past due" in said
        assert "Pay ACM-7, $19.00" in said
        LagoInvoice.objects.filter(pk=owed.pk).update(payment_status="succeeded", total_due_amount_cents=0)
        team.refresh()
        assert "past due" not in text_of(page())
        with transaction.atomic():
            subscriptions.pause(subscription=team.fact, reason="a dispute", by=SYSTEM)
        PlanChange.objects.create(organization=team.org, kind="cancel", made_by="usr_x")
        said = text_of(page())
        assert "The plan is paused by staff" in said
        assert "A change is on its way" in said

    def test_answers_while_lago_is_away_and_says_from_when(self, team, page, settings):
        team.subscribe()
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        circuit.forget()
        assert "As of" in text_of(page())
        HealthCheck.objects.create(checked_at=team.now, status="unreachable")
        assert "The billing engine does not answer right now" in text_of(page())
        assert "To pay now $30.00" in text_of(page("change/?plan=professional"))
        LagoPlan.objects.all().delete()
        assert "No plan is offered here" in text_of(page())

    def test_says_which_invoice_is_to_be_paid_before_its_credits_come(self, team, page, settings):
        team.subscribe()
        invoices.refresh(organization=team.org, now=team.now)
        [owed] = LagoInvoice.objects.all()
        shown = page()
        said = f"Invoice {owed.number}, $19.00, is to be paid. The included credits come when it is paid. Pay"
        assert said in text_of(shown).replace(" , ", ", ")
        assert f"/invoices/{owed.pk}/" in shown.content.decode()
        settings.LAGO_PAYMENT_PROVIDER = "stripe"
        PaymentMethod.objects.create(lago_id="33333333-3333-4333-8333-333333333333", organization=team.org, is_default=True, synced_at=team.now)  # fmt: skip
        assert "The stored card is being charged for it." in text_of(page())
        LagoInvoice.objects.update(payment_status="failed")
        assert "The payment was declined." in text_of(page())
        team.lago.pay(str(owed.pk))
        invoices.refresh(organization=team.org, now=team.now + timedelta(seconds=1))
        assert "is to be paid" not in text_of(page())

    @pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC"])
    def test_names_the_days_that_the_invoice_names_in_every_zone(self, team, page, zone):
        row = team.subscribe("professional")
        Organization.objects.filter(pk=team.org.pk).update(time_zone=zone)
        first, last = row.period_start.astimezone(UTC), row.period_end.astimezone(UTC)
        said = text_of(page())
        assert f"{first:%-d %b %Y} – {last:%-d %b %Y}" in said
        assert f"Renews after {last:%-d %B %Y}" in said
        following = last + timedelta(seconds=1)
        assert f"Change on {following:%-d %B %Y}" in text_of(page("change/?plan=starter"))

    def test_offers_by_the_month_before_by_the_year(self, page):
        said = text_of(page()).partition("Paid in advance")[2]
        places = [said.index(f" {name} ") for name in ("Starter", "Starter, yearly", "Professional", "Professional, yearly", "Enterprise", "Enterprise, yearly")]  # fmt: skip
        assert places == sorted(places)

    def test_speaks_of_no_seats_where_there_is_one_member_for_ever(self, team, page):
        team.subscribe()
        assert text_of(page()).count("Seats") == 2
        assert "Seats" in text_of(page("change/?plan=professional"))
        Organization.objects.filter(pk=team.org.pk).update(kind="personal", personal_of=team.owner)
        for path in ("", "change/?plan=professional"):
            assert "seats" not in text_of(page(path)).lower()

    def test_does_not_promise_the_credits_of_a_trial_each_month(self, page):
        assert "Included credits a month" not in text_of(page("change/?plan=trial"))
        assert "Included credits a month" in text_of(page("change/?plan=starter"))

    def test_only_who_may_buy_sees_it(self, team):
        for who, status in ((make.member(team.org).user, 403), (make.user(), 404)):
            client = Client()
            client.force_login(who)
            for path in ("", "change/?plan=starter", "cancel/", "take-back/"):
                assert client.get(f"/orgs/{team.org.slug}/plan/{path}").status_code == status
        assert Client().get(f"/orgs/{team.org.slug}/plan/").status_code == 302


class TestChanging:
    def test_from_nothing_up_down_back_and_out(self, team, page):
        assert "Start for $19.00" in text_of(page("change/?plan=starter"))
        assert confirmed(page, "starter").url.endswith("/plan/")
        team.lago.drain()
        said = text_of(page("change/?plan=professional"))
        for shown in ("Given back for unused days − $19.00", "To pay now $30.00", "Change now for $30.00", "Calls a day 500 5,000"):  # fmt: skip
            assert shown in said, said
        confirmed(page, "professional")
        assert team.fact.plan.code == "professional"
        confirmed(page, "starter")
        assert team.row.next_plan_code == "starter"
        assert "Go on with Professional?" in text_of(page("take-back/"))
        page("take-back/", 302, sure="1")
        assert team.row.next_plan_code == ""
        assert "Cancel Professional?" in text_of(page("cancel/"))
        page("cancel/", 302, sure="1")
        assert team.fact.status == "canceled"
        page("cancel/", 302)
        page("take-back/", 302, sure="1")
        page("take-back/", 302)
        assert [kind for kind, _ in team.changes()] == [
            "upgrade",
            "downgrade",
            "take_back",
            "cancel",
            "take_back",
        ]

    def test_a_second_click_changes_nothing_more(self, team, page):
        team.subscribe()
        form = form_of(page("change/?plan=professional"))
        page("change/", 302, **form)
        page("change/", 302, **form)
        assert team.changes() == [("upgrade", "applied")]

    def test_another_price_than_the_shown_one_is_shown_again_and_not_taken(self, team, page):
        team.subscribe()
        for plan in ("professional", "starter_yearly"):
            response = page("change/", 409, plan=plan, due_cents="1")
            assert "The price has changed" in text_of(response)
            assert form_of(response)["due_cents"] != "1"
        assert "To pay now" in text_of(page("change/", 200, plan="professional"))
        assert not PlanChange.objects.exists()
        fresh = story.Team(team.lago, "Fresh")
        client = Client()
        client.force_login(fresh.owner)
        answer = client.post(f"/orgs/{fresh.org.slug}/plan/change/", {"plan": "starter", "due_cents": "1"})
        assert answer.status_code == 409
        assert fresh.fact is None

    def test_a_lago_that_is_away_is_said_and_the_change_is_on_its_way(self, team, page, settings):
        team.subscribe()
        form = form_of(page("change/?plan=professional"))
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        said = text_of(page("change/", 503, **form))
        assert "A change is on its way" in said
        assert "The change is recorded" not in said  # one notice says it

    def test_what_cannot_be_chosen_is_said_on_the_page(self, team, page):
        team.subscribe("starter")
        for code, status in (("starter", 400), ("platinum", 422), ("trial", 422), ("%00", 422), ("", 422), ("x" * 400, 422), ("<script>", 422)):  # fmt: skip
            assert "<script>alert" not in page(f"change/?plan={code}", status).content.decode()
        with transaction.atomic():
            organizations.suspend(organization=team.org, reason="staff", by=SYSTEM)
        response = page("change/", 403, plan="professional", due_cents="3000")
        assert "suspended" in text_of(response)

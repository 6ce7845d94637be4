"""The page of system admins: all organizations, money per currency, and Lago as the jobs last saw it."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import requests
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credits.reports import figures, system
from lago_sync.models import HealthCheck, Identity, LagoSubscription, OutboxEvent, Purchase, WebhookMessage
from orgs.models import Organization, Subscription, User
from tests.billing_portal.dashboards.story import Team, person, sign_in
from tests.billing_portal.dashboards.test_pages import key_figure, text_of

SYSTEM = "/system/"


@pytest.fixture
def staff(db: None) -> Client:
    return sign_in(person("Sys Admin", is_staff=True, is_superuser=True))


def checked(**fields) -> HealthCheck:
    given = {"checked_at": timezone.now(), "status": "healthy", "version": "1.51.0", "latency_ms": 12}
    return HealthCheck.objects.create(**{**given, **fields})


def sold(organization: Organization, cents: int, currency: str = "USD", status: str = "completed", **fields):
    ended = {"grant_id": uuid4(), "completed_at": timezone.now()} if status == "completed" else {}
    return Purchase.objects.create(
        **{
            "organization": organization,
            "credits": Decimal(1000),
            "amount_cents": cents,
            "currency": currency,
            "status": status,
            "made_by": "usr_x",
            "idempotency_key": uuid4().hex,
            "wallet_id": uuid4(),
            "wallet_transaction_id": uuid4(),
            "invoice_id": uuid4(),
            **ended,
            **fields,
        }
    )


def event(state: str, **fields) -> OutboxEvent:
    delivered = {"delivered_at": timezone.now()} if state == "delivered" else {}
    return OutboxEvent.objects.create(
        **{
            "organization": "org_x",
            "transaction_id": uuid4().hex,
            "code": "credits_used",
            "payload": {},
            "created_at": timezone.now(),
            "state": state,
            **delivered,
            **fields,
        }
    )


class TestWhoMay:
    def test_nobody_else_may_know_that_it_exists(self, acme: Team, signed_in: Callable[[User], Client]):
        for user in (acme.owner, *acme.people.values()):
            client = signed_in(user)
            assert client.get(SYSTEM).status_code == 404
            assert f'href="{SYSTEM}"' not in client.get("/billing/").content.decode()

    def test_system_admins_find_it_in_the_menu(self, staff: Client):
        assert staff.get(SYSTEM).status_code == 200
        assert f'href="{SYSTEM}"' in staff.get("/billing/").content.decode()

    def test_strangers_sign_in_first(self, db: None):
        assert Client().get(SYSTEM).headers["Location"] == f"/accounts/login/?next={SYSTEM}"

    def test_it_only_shows(self, staff: Client):
        assert staff.post(SYSTEM).status_code == 405


class TestFigures:
    def test_are_the_sums_over_all_organizations(self, acme: Team, staff: Client):
        globex = Team.made("Globex").granted("500")
        globex.spent(globex.owner, "1.000001", days=2)
        page = staff.get(SYSTEM)
        parts = [figures.organization_figures(organization=one.organization) for one in (acme, globex)]
        totals = system.figures()
        for name in ("granted", "available", "held", "reserved", "allocated", "used"):
            assert getattr(totals, name) == sum(getattr(part, name) for part in parts)
        assert key_figure(page, "Granted") == "10,500"
        assert key_figure(page, "Used") == "251.750001"
        assert key_figure(page, "Available") == "9,448.999999"

    def test_keep_the_law_of_conservation(self, acme: Team, staff: Client):
        totals = staff.get(SYSTEM).context["page"].totals
        assert totals.granted == totals.available + totals.held + totals.reserved + totals.used

    def test_count_organizations_and_subscriptions(self, acme: Team, staff: Client):
        acme.on_plan("starter")
        staff.get("/billing/")  # makes the personal organization
        page = staff.get(SYSTEM)
        assert key_figure(page, "Organizations") == "2"
        assert "1 teams, 1 personal" in text_of(page)
        assert key_figure(page, "Subscriptions") == "1"

    def test_trend_and_top_are_of_seven_days_to_the_last_decimal(self, acme: Team, staff: Client):
        globex = Team.made("Globex").granted("500")
        globex.spent(globex.owner, "300.000001", days=6).spent(globex.owner, "99", days=9)
        page = staff.get(SYSTEM).context["page"]
        assert page.chart.total == sum(column.total for column in page.chart.columns) == Decimal("550.750001")
        assert [spender.organization.name for spender, _ in page.top] == ["Globex", "Acme"]
        assert sum(spender.credits for spender, _ in page.top) == page.chart.total

    def test_more_organizations_than_a_chart_can_show_are_summed_up(self, staff: Client):
        for number in range(1, 8):
            team = Team.made(f"Team {number}").granted("100")
            team.spent(team.owner, str(number))
        page = staff.get(SYSTEM).context["page"]
        assert [item.label for item in page.chart.legend] == ["Team 7", "Team 6", "Team 5", "Team 4", "Other"]
        assert page.chart.total == Decimal(28)

    def test_say_so_where_there_are_none(self, staff: Client):
        page = text_of(staff.get(SYSTEM))
        assert "No usage in these days" in page
        assert "Nothing was sold yet" in page


class TestMoney:
    def test_stands_per_currency_and_is_never_added_up(self, acme: Team, staff: Client):
        sold(acme.organization, 4500)
        sold(acme.organization, 1000, completed_at=timezone.now() - timedelta(days=31))
        sold(acme.organization, 5000, currency="HUF")
        sold(acme.organization, 800, currency="EUR", status="awaiting_payment")
        sold(acme.organization, 700, currency="EUR", status="failed")
        page = text_of(staff.get(SYSTEM))
        assert "USD $45.00 $55.00 $0.00 $0.00" in page
        assert "HUF HUF 5,000 HUF 5,000 HUF 0 HUF 0" in page
        assert "EUR €0.00 €0.00 €8.00 €0.00" in page

    def test_recurring_counts_a_year_as_twelve_months_and_no_trial(self, acme: Team, staff: Client):
        now = timezone.now()
        acme.on_plan("starter")
        for cents, interval, ended in ((1900, "monthly", None), (19000, "yearly", None), (100, "weekly", None), (4900, "monthly", now)):  # fmt: skip
            LagoSubscription.objects.create(
                lago_id=uuid4(), organization=acme.organization, external_id="sub_x", plan_code="starter",
                plan_name="Starter", amount_cents=cents, currency="USD", interval=interval,
                billing_time="anniversary", status="active", started_at=now, ended_at=ended, period_start=now,
                period_end=now + timedelta(days=30), synced_at=now,
            )  # fmt: skip
        for status, due, counted in (("active", None, 3483), ("past_due", now, 3483), ("canceled", None, 0), ("paused", None, 0), ("trialing", None, 0)):  # fmt: skip
            Subscription.objects.update(status=status, past_due_since=due)
            lines = staff.get(SYSTEM).context["page"].money_lines
            assert sum(line.recurring for line in lines) == counted, status


class TestLago:
    def test_says_when_it_was_checked_and_how_it_answered(self, staff: Client):
        checked(last_healthy_at=timezone.now())
        page = text_of(staff.get(SYSTEM))
        assert "Healthy" in page
        assert "Version 1.51.0" in page
        assert "Answers in 12 ms" in page

    def test_says_that_it_was_not_checked_yet(self, staff: Client):
        assert "Not checked yet" in text_of(staff.get(SYSTEM))

    def test_an_old_check_says_nothing_about_now(self, staff: Client):
        checked(checked_at=timezone.now() - timedelta(minutes=16))
        page = text_of(staff.get(SYSTEM))
        assert "Out of date" in page
        assert "Healthy" not in page

    def test_unreachable_says_what_goes_on_without_it(self, staff: Client):
        checked(status="unreachable", version="", latency_ms=None)
        page = text_of(staff.get(SYSTEM))
        assert "Lago does not answer. Credits are spent as usual" in page
        assert "Version not known" in page
        assert "Answers in \N{EN DASH}" in page

    def test_lists_what_is_wrong_and_what_to_do(self, staff: Client):
        problems = [
            {
                "what": f"Plan {number} is missing",
                "do": "Run `manage.py setup_lago` <now>.",
                "stops_purchases": False,
            }
            for number in range(5)
        ]
        checked(status="unhealthy", problems=problems)
        page = staff.get(SYSTEM)
        assert "Plan 4 is missing" in text_of(page)
        assert "<code>manage.py setup_lago</code> &lt;now&gt;" in page.content.decode()
        assert "2 more" in text_of(page)

    def test_says_first_that_purchases_are_stopped(self, staff: Client):
        checked(
            status="unhealthy", problems=[{"what": "A priced charge", "do": "…", "stops_purchases": True}]
        )
        page = text_of(staff.get(SYSTEM))
        assert "Purchases are stopped. Something at Lago would bill credits twice." in page
        assert "Stops purchases" in page

    def test_counts_the_outbox_and_leads_to_its_dead_letters(self, staff: Client):
        event("waiting", created_at=timezone.now() - timedelta(hours=1))
        event("delivered")
        event("not_applicable")
        for _ in range(2):
            event("dead")
        page = staff.get(SYSTEM)
        assert page.context["page"].lago.is_outbox_late
        assert "Waiting 1 since" in text_of(page)
        assert "Delivered 1 Not applicable (no subscription) 1" in text_of(page)
        assert "There are dead letters or purchases to check." in text_of(page)
        [link] = re.findall(r'href="([^"]*outboxevent[^"]*)"', page.content.decode())
        dead = staff.get(link)
        assert dead.status_code == 200
        assert dead.context["cl"].result_count == 2

    def test_counts_the_inbox_and_leads_to_its_dead_letters(self, staff: Client):
        received = timezone.now() - timedelta(hours=3)
        for state in ("waiting", "dead", "handled"):
            WebhookMessage.objects.create(
                unique_key=state, webhook_type="invoice.created", body="{}", state=state, received_at=received
            )
        page = staff.get(SYSTEM)
        assert "quiet since" in text_of(page)
        [link] = re.findall(r'href="([^"]*webhookmessage[^"]*)"', page.content.decode())
        assert staff.get(link).context["cl"].result_count == 1

    def test_counts_purchases_and_lists_what_was_not_ordered_so(self, acme: Team, staff: Client):
        sold(acme.organization, 1000, status="awaiting_payment")
        sold(acme.organization, 1000, status="failed")
        sold(acme.organization, 1000, drift="Lago has a second top-up under this key.")
        page = staff.get(SYSTEM)
        assert "Open 1 Failed 1" in text_of(page)
        assert "Lago has a second top-up under this key." in text_of(page)
        for link in re.findall(r'href="([^"]*/purchase/(?:\?[^"]*)?)"', page.content.decode()):
            assert staff.get(link.replace("&amp;", "&")).status_code == 200

    def test_is_never_asked_by_the_page(self, acme: Team, staff: Client, monkeypatch):
        def asked(*_args, **_kwargs):
            raise AssertionError("the page asked Lago")

        monkeypatch.setattr(requests.Session, "send", asked)
        checked()
        assert staff.get(SYSTEM).status_code == 200

    @pytest.mark.parametrize("is_sandbox", [True, False])
    def test_is_marked_where_it_is_a_sandbox(self, staff: Client, is_sandbox: bool):
        with override_settings(LAGO_IS_SANDBOX=is_sandbox):
            assert ("Sandbox" in text_of(staff.get(SYSTEM))) is is_sandbox


class TestOrganizations:
    def names(self, client: Client, **query: str) -> list[str]:
        return [row.organization.name for row in client.get(SYSTEM, query).context["page"].directory.rows]

    def test_stand_with_plan_status_and_credits(self, acme: Team, staff: Client):
        acme.on_plan("starter")
        page = text_of(staff.get(SYSTEM))
        assert f"{acme.organization.public_id} Starter Active 250.75 8,950 Active" in page

    def test_are_found_by_name_and_id(self, acme: Team, staff: Client):
        Team.made("Globex")
        assert self.names(staff) == ["Acme", "Globex"]
        assert self.names(staff, q="GLOB") == ["Globex"]
        assert self.names(staff, q=acme.organization.public_id) == ["Acme"]
        assert "No organization matches" in text_of(staff.get(SYSTEM, {"q": "zoe"}))

    def test_are_paged(self, staff: Client):
        for number in range(27):
            Organization.objects.create(name=f"Team {number:02}", slug=f"team-{number}")
        assert len(self.names(staff, kind="team")) == 25
        assert self.names(staff, kind="team", page="2") == ["Team 25", "Team 26"]
        assert self.names(staff, kind="personal") == ["Sys Admin"]

    @pytest.mark.parametrize("name", ["q", "kind", "page"])
    @pytest.mark.parametrize("value", ["\x00", "-1", "9" * 400, "%", "' OR 1=1", "<script>alert(1)</script>"])
    def test_may_be_asked_for_in_nonsense(self, staff: Client, name: str, value: str):
        page = staff.get(SYSTEM, {name: value})
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()


def test_the_page_costs_the_same_however_many_organizations_there_are(acme: Team, staff: Client):
    def queries() -> int:
        staff.get(SYSTEM)
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(SYSTEM).status_code == 200
        return len(captured)

    acme.on_plan("starter")
    checked()
    sold(acme.organization, 1000)
    Identity.objects.create(organization=acme.organization, checked_at=timezone.now(), figures={})
    few = queries()
    for number in range(6):
        team = Team.made(f"Team {number}").granted("100").on_plan("starter")
        team.spent(team.owner, "1")
        sold(team.organization, 1000)
        Identity.objects.create(organization=team.organization, checked_at=timezone.now(), figures={})
    assert queries() <= few + 1  # that the chart's "Other" has no name to look up may save one
    assert few <= 44  # two more than before: the proof of the audit log, and the unread count of the menu

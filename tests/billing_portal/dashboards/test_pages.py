"""The first pages: who sees what, with which figures."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credits.reports import figures, usage
from kit import transactions
from orgs import organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Membership, Organization, User
from tests.billing_portal.dashboards.story import Team, person

SignIn = Callable[[User], Client]


def text_of(response) -> str:
    """Return what a reader sees, in one line."""
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def key_figure(response, label: str) -> str:
    found = re.search(
        rf'<h2 class="label">{label}</h2>\s*<p class="value[^>]*>(.*?)</p>', response.content.decode()
    )
    assert found, f"no key figure {label}"
    return re.sub(r"<[^>]*>", "", found[1])


def as_number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def overview(client: Client, organization: Organization, **query: str | int):
    return client.get(reverse("dashboards:organization", args=[organization.slug]), query)


class TestStart:
    @pytest.mark.django_db
    def test_sends_strangers_to_sign_in(self, client: Client):
        assert client.get("/").headers["Location"] == "/accounts/login/"

    def test_sends_people_to_their_credits(self, acme: Team, signed_in: SignIn):
        assert signed_in(acme.owner).get("/").headers["Location"] == "/billing/"

    @pytest.mark.django_db
    @pytest.mark.parametrize("path", ["/billing/", "/orgs/acme/"])
    def test_asks_strangers_to_sign_in_and_brings_them_back(self, client: Client, path: str):
        assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


class TestOverviewOfTheWholeOrganization:
    def test_shows_the_four_figures_of_a_pool_apart(self, acme: Team, signed_in: SignIn):
        page = overview(signed_in(acme.owner), acme.organization)
        pool = figures.organization_figures(organization=acme.organization)
        assert (pool.available, pool.held, pool.reserved, pool.used) == tuple(
            map(Decimal, ("8950", "20", "779.25", "250.75"))
        )
        assert key_figure(page, "Available") == "8,950"
        assert key_figure(page, "Held") == "20"
        assert key_figure(page, "Reserved") == "779.25"
        assert key_figure(page, "Used") == "250.75"

    @pytest.mark.parametrize("by", ["model", "user", "department", "service"])
    def test_every_sum_of_usage_on_it_is_the_reports_to_the_last_decimal(
        self, acme: Team, signed_in: SignIn, by: str
    ):
        acme.spent(acme.people["mia"], "0.000001", model="gpt-5")
        page = overview(signed_in(acme.owner), acme.organization, by=by)
        report, chart = page.context["usage"], page.context["chart"]
        assert report.total_credits == Decimal("250.750001")
        assert sum(row.credits for row in report.rows) == report.total_credits
        assert sum(column.total for column in chart.columns) == report.total_credits
        assert sum(item.total for item in chart.legend) == report.total_credits
        assert "250.750001 credits" in text_of(page)

    def test_reads_the_period_from_the_query(self, acme: Team, signed_in: SignIn):
        acme.spent(acme.owner, "7", days=40)
        client = signed_in(acme.owner)
        assert overview(client, acme.organization).context["usage"].total_credits == Decimal("250.75")
        assert overview(client, acme.organization, days=90).context["usage"].total_credits == Decimal(
            "257.75"
        )
        assert len(overview(client, acme.organization, days=7).context["chart"].columns) == 7

    def test_compares_with_the_days_before_only_where_there_was_use(self, acme: Team, signed_in: SignIn):
        client = signed_in(acme.owner)
        assert "than in the" not in text_of(overview(client, acme.organization))
        acme.spent(acme.owner, "501.5", days=40)
        assert "50.0% less than in the 30 days before" in text_of(overview(client, acme.organization))

    def test_lists_allocations_with_a_word_for_how_full_they_are(self, acme: Team, signed_in: SignIn):
        acme.spent(acme.people["mia"], "700")
        page = text_of(overview(signed_in(acme.owner), acme.organization))
        assert "Mia Member mia.member@example.com" in page
        assert "Near limit" in page

    def test_pages_through_allocations(self, acme: Team, signed_in: SignIn):
        acme.on_plan("enterprise")  # more seats
        for number in range(12):
            acme.allocated(acme.joined_by(person(f"Member {number}"), role=Membership.Role.ADMIN), "1")
        client = signed_in(acme.owner)
        assert "1\N{EN DASH}10 of 13" in text_of(overview(client, acme.organization))
        assert "11\N{EN DASH}13 of 13" in text_of(overview(client, acme.organization, page=2))
        assert overview(client, acme.organization, page="nonsense").status_code == 200

    def test_the_figures_on_it_keep_the_law_of_conservation(self, acme: Team, signed_in: SignIn):
        acme.spent(acme.people["paul"], "0.333333")
        page = overview(signed_in(acme.owner), acme.organization)
        shown = [key_figure(page, label) for label in ("Available", "Held", "Reserved", "Used")]
        assert sum(map(as_number, shown)) == page.context["pool"].granted == Decimal(10000)

    def test_says_how_much_shortfall_is_open(self, signed_in: SignIn, db: None):
        team = Team.made("Debtor").granted("10")
        team.overran(team.owner, held="10", cost="12.5")
        page = text_of(overview(signed_in(team.owner), team.organization))
        assert "2.5 credits of shortfall are open:" in page
        assert "2.5 short" in page

    def test_says_that_a_suspended_organization_spends_nothing(self, acme: Team, signed_in: SignIn):
        with transactions.durable():
            organizations.suspend(organization=acme.organization, reason="test", by=SYSTEM)
        assert "Acme is suspended." in text_of(overview(signed_in(acme.owner), acme.organization))

    def test_says_that_the_plans_invoice_is_unpaid(self, acme: Team, signed_in: SignIn):
        acme.on_plan("starter")
        subscription = subscriptions.live(organization=acme.organization)
        assert subscription is not None
        with transactions.durable():
            subscriptions.mark_past_due(subscription=subscription, since=timezone.now(), by=SYSTEM)
        assert "last invoice is unpaid" in text_of(overview(signed_in(acme.owner), acme.organization))

    def test_counts_calls_against_the_plan(self, acme: Team, signed_in: SignIn):
        page = text_of(overview(signed_in(acme.owner), acme.organization))
        assert "Calls today 3 of 100" in page
        acme.on_plan("enterprise")
        assert "Calls today unlimited" in text_of(overview(signed_in(acme.owner), acme.organization))

    def test_feeds_on_the_latest_movements(self, acme: Team, signed_in: SignIn):
        page = text_of(overview(signed_in(acme.owner), acme.organization))
        assert "1,000 allocated to Mia Member" in page
        assert "10,000 granted" in page

    def test_says_when_the_pool_is_empty(self, signed_in: SignIn, db: None):
        team = Team.made("Drained").granted("5")
        team.spent(team.owner, "5")
        assert "The pool is empty." in text_of(overview(signed_in(team.owner), team.organization))

    def test_says_what_to_do_where_nothing_happened_yet(self, signed_in: SignIn, db: None):
        team = Team.made("Fresh")
        page = text_of(overview(signed_in(team.owner), team.organization))
        assert "No credits yet." in page
        assert "No usage in these days" in page
        assert "Nobody has an allocation" in page
        assert "Nothing has moved yet" in page

    @pytest.mark.parametrize("role", ["admin", "billing_admin"])
    def test_is_for_admins_and_billing_admins_too(self, acme: Team, signed_in: SignIn, role: str):
        admin = acme.joined_by(person("Another"), role=role)
        assert key_figure(overview(signed_in(admin), acme.organization), "Reserved") == "779.25"

    def test_is_for_system_admins_who_are_no_members(self, acme: Team, signed_in: SignIn):
        staff = person("Sys Admin", is_staff=True)
        page = overview(signed_in(staff), acme.organization)
        assert key_figure(page, "Available") == "8,950"
        assert "System admin" in text_of(page)


class TestActionsOfTheOverview:
    @pytest.mark.parametrize("role", ["admin", "billing_admin"])
    def test_are_there_for_who_may(self, acme: Team, signed_in: SignIn, role: str):
        page = overview(
            signed_in(acme.joined_by(person("Another"), role=role)), acme.organization
        ).content.decode()
        for path in ("credits/buy/", "allocations/", "allocations/allocate/"):
            assert f'href="/orgs/acme/{path}"' in page

    def test_are_not_for_members(self, acme: Team, signed_in: SignIn):
        page = overview(signed_in(acme.people["mia"]), acme.organization).content.decode()
        assert "credits/buy/" not in page
        assert "allocations/" not in page

    def test_lead_who_may_buy_from_an_empty_pool_to_buying(self, signed_in: SignIn, db: None):
        team = Team.made("Fresh")
        page = overview(signed_in(team.owner), team.organization).content.decode()
        assert page.count('href="/orgs/fresh/credits/buy/"') == 3  # menu, head, notice

    def test_lead_from_a_line_to_the_members_allocation(self, acme: Team, signed_in: SignIn):
        page = overview(signed_in(acme.owner), acme.organization).content.decode()
        assert f'href="/orgs/acme/allocations/{acme.people["mia"].public_id}/"' in page


class TestOverviewOfAMember:
    def test_shows_their_own_figures_and_what_the_pool_has(self, acme: Team, signed_in: SignIn):
        page = overview(signed_in(acme.people["mia"]), acme.organization)
        assert key_figure(page, "Left for you") == "779.25"
        assert key_figure(page, "Used by you") == "200.75"
        assert key_figure(page, "Held") == "20"
        assert key_figure(page, "Available in the pool") == "8,950"
        assert page.context["usage"].total_credits == Decimal("200.75")

    def test_shows_nothing_of_others(self, acme: Team, signed_in: SignIn):
        page = text_of(overview(signed_in(acme.people["mia"]), acme.organization, by="user"))
        assert "Paul" not in page
        assert "Reserved" not in page
        assert "250.75" not in page

    def test_says_who_pays_where_there_is_no_allocation(self, acme: Team, signed_in: SignIn):
        assert "you and other members spend from it" in text_of(
            overview(signed_in(acme.people["paul"]), acme.organization)
        )

    def test_says_that_an_allocation_is_used_up(self, acme: Team, signed_in: SignIn):
        mia = acme.people["mia"]
        acme.spent(mia, "779.25")
        page = text_of(overview(signed_in(mia), acme.organization))
        assert "Your allocation is used up." in page
        assert "Exhausted" in page

    def test_says_that_nobody_pays_where_the_pool_is_not_shared(self, acme: Team, signed_in: SignIn):
        with transactions.durable():
            organizations.update(
                organization=acme.organization, changes={"shared_spending": "never"}, by=SYSTEM
            )
        client = signed_in(acme.people["paul"])
        assert "Your requests here are refused." in text_of(overview(client, acme.organization))
        assert "no allocation: your requests here are refused" in text_of(client.get("/billing/"))

    def test_a_department_manager_sees_their_own_part_until_departments_have_pages(
        self, acme: Team, signed_in: SignIn
    ):
        mia = acme.people["mia"]
        acme.managed_by(mia)
        assert "Reserved" not in text_of(overview(signed_in(mia), acme.organization))

    def test_outsiders_may_not_know_that_it_exists(self, acme: Team, outsider: User, signed_in: SignIn):
        client = signed_in(outsider)
        assert overview(client, acme.organization).status_code == 404
        assert "There is nothing here" in text_of(overview(client, acme.organization))


class TestMine:
    def test_shows_each_organization_with_who_pays_and_what_is_left(
        self, acme: Team, outsider: User, signed_in: SignIn
    ):
        mia = acme.people["mia"]
        page = text_of(signed_in(mia).get("/billing/"))
        assert "Acme pays for your next call." in page
        assert "779.25 left of 1,000 allocated to you" in page
        assert "Your allocation" in page
        assert "22.1% used or held" in page
        assert "Globex" not in page

    def test_adds_own_use_of_all_organizations_up_to_the_last_decimal(self, acme: Team, signed_in: SignIn):
        mia = acme.people["mia"]
        other = Team.made("Other").granted("10")
        other.joined_by(mia)
        other.spent(mia, "1.000001")
        page = signed_in(mia).get("/billing/")
        assert page.context["chart"].total == Decimal("201.750001")
        assert [item.label for item in page.context["chart"].legend] == ["Acme", "Other"]
        assert sum(card.used_in_period for card in page.context["cards"]) == page.context["chart"].total

    def test_sums_up_what_is_more_than_a_chart_can_show(self, signed_in: SignIn, db: None):
        busy = person("Busy Bee")
        for number in range(1, 7):
            team = Team.made(f"Team {number}").granted("100")
            team.joined_by(busy)
            team.spent(busy, str(number))
        page = signed_in(busy).get("/billing/")
        assert [item.label for item in page.context["chart"].legend] == [
            "Team 6",
            "Team 5",
            "Team 4",
            "Team 3",
            "Other",
        ]
        assert page.context["chart"].total == Decimal(21)

    def test_gives_a_person_without_a_team_their_personal_organization(self, signed_in: SignIn, db: None):
        page = text_of(signed_in(person("Solo Player")).get("/billing/"))
        assert "You are in no team yet." in page
        assert "Your personal organization pays for your next call." in page
        assert "Paid by Your own credits" in page
        assert "No usage yet" in page

    def test_shows_the_same_member_figures_as_the_report(self, acme: Team, signed_in: SignIn):
        paul = acme.people["paul"]
        card = signed_in(paul).get("/billing/").context["cards"][0]
        assert card.part.own == figures.member_figures(organization=acme.organization, user=paul)
        report = usage.breakdown(
            organization=acme.organization,
            since=signed_in(acme.owner).get(f"/orgs/{acme.organization.slug}/").context["period"].since,
            until=signed_in(acme.owner).get(f"/orgs/{acme.organization.slug}/").context["period"].until,
            group_by="model",
            user=paul,
        )
        assert card.used_in_period == report.total_credits == Decimal(50)


class TestSwitching:
    def test_makes_another_organization_pay_next(self, acme: Team, signed_in: SignIn):
        mia = acme.people["mia"]
        other = Team.made("Other")
        other.joined_by(mia)
        client = signed_in(mia)
        answer = client.post(
            reverse("dashboards:organization-switch", args=[other.organization.slug]), follow=True
        )
        assert answer.redirect_chain == [(f"/orgs/{other.organization.slug}/", 302)]
        assert "Other pays for your next call." in text_of(answer)
        mia.refresh_from_db()
        assert mia.active_organization == other.organization

    def test_is_no_link(self, acme: Team, signed_in: SignIn):
        address = reverse("dashboards:organization-switch", args=[acme.organization.slug])
        assert signed_in(acme.owner).get(address).status_code == 405

    @pytest.mark.parametrize("is_staff", [False, True])
    def test_is_for_members_only(self, acme: Team, signed_in: SignIn, is_staff: bool):
        stranger = person("Stranger", is_staff=is_staff)
        address = reverse("dashboards:organization-switch", args=[acme.organization.slug])
        assert signed_in(stranger).post(address).status_code == 404

    def test_needs_the_forms_token(self, acme: Team):
        client = Client(enforce_csrf_checks=True)
        client.force_login(acme.owner)
        answer = client.post(reverse("dashboards:organization-switch", args=[acme.organization.slug]))
        assert answer.status_code == 403
        assert "This form has expired" in text_of(answer)

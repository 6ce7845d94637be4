"""The list of allocations: who sees which, what it sums up, and that its address is its state."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credits.reports import figures
from kit import transactions
from orgs import memberships
from orgs.audit.events import SYSTEM
from orgs.models import Department, Membership, User
from tests.billing_portal.dashboards.story import Team, person

SignIn = Callable[[User], Client]
LIST = "/orgs/acme/allocations/"

HOSTILE = ["\x00", "a\x00b", "%", "_", "'; DROP TABLE x; --", "\ud7ff\U0010ffff", "x" * 5000, "<script>alert(1)</script>", "-1", "9" * 400]  # fmt: skip


def text_of(response) -> str:
    """Return what a reader sees, in one line."""
    joined = response.content.decode().replace('<span class="decimals">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", joined))


def names(response) -> list[str]:
    return [row.figures.name for row in response.context["listing"].rows]


class TestWhoMaySeeIt:
    @pytest.mark.parametrize("role", ["owner", "admin", "billing_admin"])
    def test_who_may_allocate_in_the_whole_organization(self, acme: Team, signed_in: SignIn, role: str):
        who = acme.joined_by(person("Another"), role=role)
        page = signed_in(who).get(LIST)
        assert page.status_code == 200
        assert names(page) == ["Mia Member"]

    def test_system_admins_who_are_no_members(self, acme: Team, signed_in: SignIn):
        assert signed_in(person("Sys Admin", is_staff=True)).get(LIST).status_code == 200

    def test_members_are_told_that_they_may_not(self, acme: Team, signed_in: SignIn):
        page = signed_in(acme.people["mia"]).get(LIST)
        assert page.status_code == 403
        assert "You may not do this" in text_of(page)

    def test_outsiders_may_not_know_that_it_exists(self, acme: Team, outsider: User, signed_in: SignIn):
        assert signed_in(outsider).get(LIST).status_code == 404

    def test_strangers_sign_in_first(self, acme: Team):
        assert Client().get(LIST).headers["Location"] == f"/accounts/login/?next={LIST}"

    def test_a_personal_organization_has_no_such_page(self, signed_in: SignIn, db: None):
        solo = person("Solo Player")
        client = signed_in(solo)
        client.get("/billing/")  # makes it
        slug = solo.memberships.get().organization.slug
        assert client.get(f"/orgs/{slug}/allocations/").status_code == 404
        assert "Allocations" not in text_of(client.get("/billing/"))

    def test_only_who_may_open_it_has_it_in_the_menu(self, managed: Team, signed_in: SignIn):
        for who, has in (("max", True), ("erin", False), ("paul", False)):
            menu = signed_in(managed.people[who]).get("/orgs/acme/").content.decode()
            assert (f'href="{LIST}"' in menu) is has
        assert f'href="{LIST}"' in signed_in(managed.owner).get("/billing/").content.decode()


class TestWhatAManagerSees:
    def test_is_the_departments_pool_and_what_was_given_from_it(self, managed: Team, manager: Client):
        managed.allocated(managed.people["erin"], "100")
        page = manager.get(LIST)
        assert names(page) == ["Erin Engineer"]  # Mia's credits came from the organization's pool
        assert [line.name for line in page.context["pools"]] == ["Engineering\N{RIGHT SINGLE QUOTATION MARK}s pool"]  # fmt: skip
        assert page.context["total"].available == Decimal(400)
        assert "Acme\N{RIGHT SINGLE QUOTATION MARK}s pool" not in text_of(page)

    def test_says_what_to_do_where_the_department_has_no_pool(self, acme: Team, signed_in: SignIn):
        mia = acme.people["mia"]
        acme.managed_by(mia)
        page = signed_in(mia).get(LIST)
        assert page.status_code == 200
        assert "Your department has no credits of its own yet" in text_of(page)
        assert "8,950" not in text_of(page)


class TestFigures:
    def test_keep_available_allocated_reserved_and_held_apart(self, acme: Team, owner: Client):
        total = owner.get(LIST).context["total"]
        pool = figures.organization_figures(organization=acme.organization)
        for name in ("available", "held", "reserved", "allocated", "used"):
            assert getattr(total, name) == getattr(pool, name)
        assert (total.available, total.allocated) == (Decimal(8950), Decimal(1000))

    def test_of_every_pool_add_up_to_the_organizations(self, managed: Team, owner: Client):
        managed.allocated(managed.people["erin"], "100.000001").spent(managed.people["erin"], "3")
        context = owner.get(LIST).context
        pool = figures.organization_figures(organization=managed.organization)
        for name in ("available", "held", "reserved", "allocated", "used"):
            assert sum(getattr(line.sums, name) for line in context["pools"]) == getattr(pool, name)

    def test_of_the_totals_row_are_of_all_pages_and_of_what_matches(self, acme: Team, owner: Client):
        acme.on_plan("enterprise")
        for number in range(30):
            acme.allocated(acme.joined_by(person(f"Member {number:02}")), "10.5")
        page = owner.get(LIST)
        sums = page.context["listing"].sums
        assert len(page.context["listing"].rows) == 25
        assert sums.allocated == page.context["total"].allocated == Decimal(1315)
        assert sums.left == page.context["total"].reserved
        assert "All 31 allocations" in text_of(page)
        narrow = owner.get(LIST, {"q": "member 0"})
        assert narrow.context["listing"].sums.allocated == Decimal(105)
        assert "10 allocations match" in text_of(narrow)
        assert "26\N{EN DASH}31 of 31" in text_of(owner.get(LIST, {"page": 2}))


class TestItsAddress:
    @pytest.fixture
    def crowd(self, acme: Team) -> Team:
        acme.on_plan("enterprise")  # more seats
        for name, amount in (("Ann Alpha", "30"), ("Zed Omega", "20"), ("Bob Beta", "10")):
            acme.allocated(acme.joined_by(person(name), department="Sales"), amount)
        acme.spent(User.objects.get(name="Bob Beta"), "9")
        return acme

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({}, ["Mia Member", "Bob Beta", "Ann Alpha", "Zed Omega"]),
            ({"sort": "name"}, ["Ann Alpha", "Bob Beta", "Mia Member", "Zed Omega"]),
            ({"sort": "-name"}, ["Zed Omega", "Mia Member", "Bob Beta", "Ann Alpha"]),
            ({"sort": "left"}, ["Bob Beta", "Zed Omega", "Ann Alpha", "Mia Member"]),
            ({"sort": "-allocated"}, ["Mia Member", "Ann Alpha", "Zed Omega", "Bob Beta"]),
            ({"q": "OMEGA"}, ["Zed Omega"]),
            ({"q": "bob.beta@example"}, ["Bob Beta"]),
            ({"status": "attention"}, ["Bob Beta"]),
            ({"status": "closed"}, []),
            ({"q": "nobody"}, []),
        ],
    )
    def test_says_what_is_shown(self, crowd: Team, owner: Client, query, found):
        assert names(owner.get(LIST, query)) == found

    def test_filters_by_the_members_department(self, crowd: Team, owner: Client):
        sales = Department.objects.get(name="Sales")
        assert names(owner.get(LIST, {"department": sales.public_id, "sort": "name"})) == [
            "Ann Alpha", "Bob Beta", "Zed Omega",
        ]  # fmt: skip

    def test_takes_another_organizations_department_for_none(self, crowd: Team, owner: Client):
        other = Department.objects.create(organization=Team.made("Globex").organization, name="Secret")
        page = owner.get(LIST, {"department": other.public_id})
        assert len(names(page)) == 4
        assert "Secret" not in text_of(page)

    @pytest.mark.parametrize("name", ["q", "department", "status", "sort", "page"])
    @pytest.mark.parametrize("value", HOSTILE)
    def test_may_be_nonsense(self, acme: Team, owner: Client, name: str, value: str):
        page = owner.get(LIST, {name: value})
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()

    def test_says_for_every_sorted_column_which_way(self, acme: Team, owner: Client):
        assert 'aria-sort="descending"' in owner.get(LIST).content.decode()
        assert 'aria-sort="ascending"' in owner.get(LIST, {"sort": "name"}).content.decode()

    def test_keeps_the_other_filters_in_every_link(self, crowd: Team, owner: Client):
        page = owner.get(LIST, {"q": "a", "sort": "name", "status": "attention"}).content.decode()
        assert "?q=a&amp;sort=name&amp;status=closed" in page
        assert '<input type="hidden" name="sort" value="name">' in page


class TestRows:
    def test_of_people_who_left_cannot_be_changed(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        membership = Membership.objects.get(user=mia, organization=acme.organization)
        with transactions.durable():
            memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        [row] = owner.get(LIST, {"status": "closed"}).context["listing"].rows
        assert (row.figures.name, row.is_changeable) == ("Mia Member", False)
        page = owner.get(reverse("credits:allocation", args=["acme", mia.public_id]))
        assert "You cannot change this allocation" in text_of(page)

    def test_say_what_to_do_where_there_are_none(self, signed_in: SignIn, db: None):
        team = Team.made("Fresh").granted("10")
        page = text_of(signed_in(team.owner).get("/orgs/fresh/allocations/"))
        assert "Nobody has an allocation" in page
        nothing = Team.made("Nothing")
        page = text_of(signed_in(nothing.owner).get("/orgs/nothing/allocations/"))
        assert "Allocations" in page

    def test_cost_the_same_however_many_there_are(self, acme: Team, owner: Client):
        acme.on_plan("enterprise")

        def queries() -> int:
            owner.get(LIST)
            with CaptureQueriesContext(connection) as captured:
                assert owner.get(LIST).status_code == 200
            return len(captured)

        few = queries()
        for number in range(12):
            acme.allocated(acme.joined_by(person(f"Member {number}"), department=f"Part {number}"), "10")
        assert queries() == few <= 20

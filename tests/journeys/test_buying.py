"""The main job in a real browser: buy through Lago, pay, share out, spend, and see it. Worker, broker and sandbox are real."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from orgs.models import User
from tests.billing_portal.dashboards.story import PASSWORD, Team, person
from tests.factories import orgs as make
from tests.factories.lago import Sandbox
from tests.journeys.conftest import Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("a whole portal"),
]

SECONDS = 1000  # of Playwright's milliseconds


@pytest.fixture
def acme(portal: Sandbox, live_server: Any) -> Team:
    portal.settings(return_url=f"{live_server.url}/billing/returned/")
    team = Team.made("Acme", owner=person("Olive Owner"))
    team.people["mia"] = team.joined_by(person("Mia Member"))
    return team


@pytest.fixture
def mia_key(acme: Team) -> str:
    membership = acme.organization.memberships.get(user=acme.people["mia"])
    return make.membership_key(membership, "usage:write").text


@dataclass
class Consultant:
    """Somebody of two teams with 500 credits each: who they are, their personal key, the teams' names by id."""

    user: User
    key: str
    teams: dict[str, str]


@pytest.fixture
def consultant(acme: Team) -> Consultant:
    globex = Team.made("Globex").granted("500")
    user = acme.granted("500").joined_by(globex.joined_by(person("Cora Consultant")))
    key = make.personal_key(user, "usage:write").text
    return Consultant(
        user, key, {one.organization.public_id: one.organization.name for one in (acme, globex)}
    )


def sign_in(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(user.email or "")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My credits")


def post(address: str, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_an_owner_buys_pays_allocates_and_a_member_spends_what_both_then_see(
    acme: Team, mia_key: str, portal: Sandbox, visitor: Visitor
):
    visitor.may_also_visit.add(urlsplit(portal.url).netloc)

    page = visitor.opens()
    sign_in(page, acme.owner)
    page.goto("/orgs/acme/")
    page.get_by_role("link", name="Buy credits").first.click()
    page.get_by_role("link", name="Buy 5,000 credits").click()
    page.get_by_role("button", name="Buy 5,000 credits for $45.00").dblclick()
    expect(page.locator("#state")).to_have_text("Waiting for payment", timeout=20 * SECONDS)
    expect(page.get_by_role("heading", level=1)).to_contain_text("5,000 credits for $45.00")
    page.locator("#pay").click()
    assert page.url.startswith(f"{portal.url}/pay/")
    expect(page.locator("#amount")).to_contain_text("45.00")
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("link", name="Back to the portal").click()
    expect(page.locator("#state")).to_have_text("The credits are there", timeout=30 * SECONDS)
    expect(page.get_by_text("Acme now has 5,000 available")).to_be_visible()

    page.get_by_role("link", name="Allocate credits").click()
    page.get_by_label("Member").select_option(label=f"Mia Member ({acme.people['mia'].email})")
    page.get_by_label("Credits", exact=True).fill("1000")
    page.get_by_role("button", name="Allocate").dblclick()
    expect(page.get_by_text("Mia Member has 1,000 credits")).to_be_visible()

    status, held = post(
        visitor.address, "/api/v1/usage/holds", mia_key, {"transaction_id": "call-1", "credits": "30"}
    )
    assert (status, held["payer"]["kind"], held["payer"]["remaining"]) == (201, "allocation", "970")
    hold = held["hold"]["id"]
    status, captured = post(
        visitor.address, f"/api/v1/usage/holds/{hold}/capture", mia_key, {"credits": "25.5"}
    )
    assert (status, captured["charge"]["credits"]) == (200, "25.5")

    page.goto("/orgs/acme/")
    expect(page.get_by_role("article").filter(has_text="Available")).to_contain_text("4,000")
    expect(page.get_by_text("25.5 credits · 1 request")).to_be_visible()
    other = visitor.opens(width=390, scheme="dark")
    sign_in(other, acme.people["mia"])
    card = other.get_by_role("article").filter(has_text="Acme")
    expect(card).to_contain_text("974.5")
    expect(card).to_contain_text("left of 1,000 allocated to you")

    bought = [one for one in portal.dump()["invoice"] if one["invoice_type"] == "credit"]
    assert len(bought) == 1, "a double click buys once"


def test_a_declined_payment_grants_nothing_and_can_be_tried_again_all_without_scripts(
    acme: Team, portal: Sandbox, visitor: Visitor
):
    visitor.may_also_visit.add(urlsplit(portal.url).netloc)
    page = visitor.opens(scripts=False, width=390)
    sign_in(page, acme.owner)
    page.goto("/orgs/acme/credits/buy/")
    page.get_by_label("Credits", exact=True).fill("250")
    page.get_by_role("button", name="Show the price").click()
    page.get_by_role("button", name="Buy 250 credits for $2.50").click()
    expect(page.locator("#pay")).to_be_visible(timeout=40 * SECONDS)
    page.locator("#pay").click()
    page.get_by_role("button", name="Decline").click()
    page.get_by_role("link", name="Back to the portal").click()
    expect(page.locator("#state")).to_have_text("Payment declined", timeout=40 * SECONDS)
    page.goto("/orgs/acme/")
    expect(page.get_by_role("article").filter(has_text="Available")).to_contain_text("0")

    page.goto("/billing/returned/")
    page.locator("#pay").click()
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("link", name="Back to the portal").click()
    expect(page.locator("#state")).to_have_text("The credits are there", timeout=40 * SECONDS)


def test_a_consultant_switches_and_the_next_hold_is_paid_by_the_other(
    consultant: Consultant, visitor: Visitor
):
    def payer_of(call: str) -> str:
        body = {"transaction_id": call, "credits": "1"}
        status, answer = post(visitor.address, "/api/v1/usage/holds", consultant.key, body)
        assert status == 201, answer
        return consultant.teams[answer["payer"]["org_id"]]

    page = visitor.opens()
    sign_in(page, consultant.user)
    cards = page.get_by_role("article")
    for number, name in enumerate(("Globex", "Acme", "Globex")):
        card = cards.filter(has=page.get_by_role("link", name=name, exact=True))
        if card.get_by_role("button", name="Let it pay next").count():
            card.get_by_role("button", name="Let it pay next").click()
            expect(page.get_by_text(f"{name} pays for your next call.")).to_be_visible()
        assert payer_of(f"call-{number}") == name
        page.goto("/billing/")


def test_a_member_who_tries_the_owners_pages_is_turned_away(acme: Team, visitor: Visitor):
    page = visitor.opens()
    sign_in(page, acme.people["mia"])
    page.goto("/orgs/acme/")
    expect(page.get_by_role("link", name="Buy credits")).to_have_count(0)
    expect(page.get_by_role("link", name="Allocations")).to_have_count(0)
    visitor.are_refusals_meant = True
    for path, status in {
        "/orgs/acme/credits/buy/": 403,
        "/orgs/acme/credits/buy/confirm/?package=credits-5000": 403,
        "/orgs/acme/allocations/": 403,
        "/orgs/acme/allocations/allocate/": 403,
        "/orgs/globex/": 404,
        "/system/": 404,
    }.items():
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == status, path

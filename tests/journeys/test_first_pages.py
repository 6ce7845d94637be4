"""A person signs in and reads their credits, with and without scripts, on a phone and on a wall."""

import re
from collections.abc import Sequence
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from credits import amounts
from tests.billing_portal.dashboards.story import PASSWORD, Team, person
from tests.journeys.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDTHS = [320, 390, 640, 860, 1024, 1440, 1920]


@pytest.fixture
def acme(live_server: object) -> Team:
    team = Team.made("Acme", owner=person("Olive Owner")).on_plan("enterprise").granted("10000.5")
    mia = team.joined_by(person("Mia Member"), department="Engineering")
    team.people["mia"] = mia
    team.allocated(mia, "1000")
    for days, credits in enumerate(("200.5", "120.000001", "0.25", "410")):
        team.spent(mia, credits, model=("gpt-5", "llama", "claude", "gemini")[days], days=days)
    Team.made("Globex").granted("10").joined_by(team.owner)
    return team


def sign_in(page: Page, team: Team) -> None:
    page.goto("/")
    page.get_by_label("Email").fill(team.owner.email or "")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My credits")


def signed_in_cookies(visitor: Visitor, team: Team) -> Sequence[object]:
    page = visitor.opens()
    sign_in(page, team)
    return page.context.cookies()


def sideways_scroll(page: Page) -> object:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_an_owner_signs_in_and_reads_the_organization(acme: Team, visitor: Visitor):
    page = visitor.opens(width=1440)
    sign_in(page, acme)
    page.get_by_role("link", name="Acme", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme")
    expect(page.get_by_role("article").filter(has_text="Available")).to_contain_text("9,000.5")
    expect(page.get_by_text("730.750001 credits · 4 requests")).to_be_visible()


def test_the_days_of_the_table_add_up_to_the_total_on_the_page(acme: Team, visitor: Visitor):
    page = visitor.opens(cookies=signed_in_cookies(visitor, acme))
    page.goto("/orgs/acme/")
    page.get_by_text("View as table").click()
    days = page.locator("details.as-table tbody tr td:last-child").all_text_contents()
    assert len(days) == 30
    assert sum(Decimal(day.replace(",", "")) for day in days) == Decimal("730.750001")
    expect(page.locator("details.as-table tfoot td").last).to_have_text(
        amounts.display(Decimal("730.750001"))
    )


def test_the_chart_answers_to_arrow_keys_and_the_pointer(acme: Team, visitor: Visitor):
    page = visitor.opens(cookies=signed_in_cookies(visitor, acme))
    page.goto("/orgs/acme/")
    chart, tip = page.locator("svg.chart"), page.locator(".tip")
    chart.focus()
    chart.press("ArrowLeft")
    expect(tip).to_contain_text("gpt-5")
    expect(tip).to_contain_text("200.5")
    chart.press("ArrowLeft")
    expect(tip).to_contain_text("120.000001")
    chart.press("Escape")
    expect(tip).to_be_hidden()
    page.locator("svg.chart .col").last.hover()
    expect(tip).to_contain_text("200.5")


def test_switching_moves_who_pays_next(acme: Team, visitor: Visitor):
    page = visitor.opens(cookies=signed_in_cookies(visitor, acme))
    page.goto("/billing/")
    page.get_by_role("button", name=re.compile("Switch organization")).click()
    page.locator("#organizations").get_by_role("button", name="Globex").click()
    expect(page.get_by_text("Globex pays for your next call.")).to_be_visible()
    page.goto("/billing/")
    expect(page.get_by_role("article").filter(has_text="Pays next")).to_contain_text("Globex")


def test_the_theme_changes_at_once_and_stays(acme: Team, visitor: Visitor):
    page = visitor.opens(cookies=signed_in_cookies(visitor, acme))
    page.goto("/billing/")
    page.get_by_role("button", name="Dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme of the system").click()
    page.reload()
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")


def test_all_of_it_works_without_scripts(acme: Team, visitor: Visitor):
    page = visitor.opens(scripts=False, width=390)
    sign_in(page, acme)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name=re.compile("Switch organization")).click()
    page.locator("#organizations").get_by_role("button", name="Acme").click()
    expect(page.get_by_text("Acme pays for your next call.")).to_be_visible()
    page.get_by_role("link", name="90 days").click()
    page.get_by_role("link", name="Member", exact=True).click()
    assert page.url.endswith("?days=90&by=user")
    page.get_by_text("View as table").click()
    expect(page.locator("details.as-table")).to_contain_text("Mia Member")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_from_a_phone_to_a_wall(acme: Team, visitor: Visitor, scheme: str):
    page = visitor.opens(scheme=scheme, cookies=signed_in_cookies(visitor, acme))
    for path in (
        "/billing/",
        "/orgs/acme/",
        "/orgs/acme/?days=90&by=department",
        "/accounts/email/",
        "/accounts/2fa/",
    ):
        page.goto(path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert sideways_scroll(page) == 0, f"{path} at {width} px"


def test_the_api_documentation_works_offline_and_under_the_policy(acme: Team, visitor: Visitor):
    page = visitor.opens(cookies=signed_in_cookies(visitor, acme))
    page.goto("/billing/")
    page.get_by_role("link", name="API documentation").first.click()
    expect(page.get_by_text("/api/v1/usage/charges", exact=True)).to_be_visible()


def test_the_browser_is_really_watched(acme: Team, visitor: Visitor):
    """The negative control: what the other tests rely on to fail, fails."""
    page = visitor.opens()
    page.goto("/accounts/login/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">inline</p>')")
    page.wait_for_timeout(100)
    assert any("CSP: style-src" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()

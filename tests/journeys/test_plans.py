"""What an owner does with a plan, in a real browser: a card, a plan, another one, its invoices, and credits that buy themselves."""

import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.billing_portal.dashboards.story import Team, person
from tests.factories.lago import Sandbox
from tests.journeys.conftest import Visitor
from tests.journeys.test_buying import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("a whole portal"),
]


@pytest.fixture
def acme(portal: Sandbox, live_server: Any) -> Team:
    portal.settings(return_url=f"{live_server.url}/billing/returned/")
    return Team.made("Acme", owner=person("Olive Owner"))


def _until(page: Page, address: str, shows: str, *, seconds: float = 40) -> None:
    """Open a page again and again until it shows something, as somebody who waits for it does."""
    ends = time.monotonic() + seconds
    page.goto(address)
    while not page.get_by_text(shows).first.is_visible():
        assert time.monotonic() < ends, page.locator("main").inner_text()
        page.wait_for_timeout(500)
        page.goto(address)


def test_an_owner_stores_a_card_takes_a_plan_changes_it_and_credits_then_buy_themselves(
    acme: Team, portal: Sandbox, visitor: Visitor
):
    visitor.may_also_visit.add(urlsplit(portal.url).netloc)
    page = visitor.opens(scripts=False)
    sign_in(page, acme.owner)

    page.goto("/orgs/acme/payment-methods/")
    page.get_by_role("button", name=re.compile("Store a card")).click()
    page.locator("#store").click()
    page.get_by_role("button", name=re.compile("Store a test card")).click()
    page.get_by_role("link", name="Back to the portal").click()
    page.goto("/orgs/acme/payment-methods/")
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("table")).to_contain_text("Charged")

    page.goto("/orgs/acme/plan/")
    expect(page.get_by_text("There is no plan")).to_be_visible()
    _until(page, "/orgs/acme/plan/", "Choose Starter")
    page.get_by_role("link", name="Choose Starter", exact=True).click()
    page.get_by_role("button", name="Start for $19.00").click()
    expect(page.get_by_role("heading", name="Starter", exact=True)).to_be_visible()
    _until(page, "/orgs/acme/", "2,000")

    page.goto("/orgs/acme/plan/change/?plan=professional")
    expect(page.get_by_text("Given back for unused days")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"Change now for \$30\.00")).click()
    expect(page.get_by_role("heading", name="Professional", exact=True)).to_be_visible()
    _until(page, "/orgs/acme/", "6,000")

    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_role("link", name="Cancel the plan").click()
    page.get_by_role("button", name="Cancel the plan").click()
    expect(page.get_by_text("Ends after", exact=True)).to_be_visible()
    page.get_by_role("link", name="Take the cancellation back").click()
    page.get_by_role("button", name="Go on with Professional").click()
    expect(page.get_by_text("Renews after", exact=True)).to_be_visible()

    _until(page, "/orgs/acme/invoices/", "$30.00")
    page.get_by_role("link", name=re.compile(r"-002$")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Paid")
    document = page.get_by_role("link", name="PDF").get_attribute("href")
    until = time.monotonic() + 60
    while (answer := page.request.get(f"{visitor.address}{document}")).status == 202:
        assert time.monotonic() < until
        page.wait_for_timeout(2000)  # as the page itself asks again
    assert answer.body().startswith(b"%PDF-")

    page.goto("/orgs/acme/limits/auto-top-up/")
    page.get_by_label("Buy by itself").check()
    page.get_by_label("When fewer credits are available than").fill("10000")
    page.get_by_label("Buy", exact=True).select_option(label="10,000 credits for $80.00")
    page.get_by_label("At most a day (USD)").fill("80")
    page.get_by_label("At most a month (USD)").fill("80")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("$0.00 of $80.00").first).to_be_visible()
    _until(page, "/orgs/acme/", "16,000", seconds=90)

    bought = [one for one in portal.dump()["invoice"] if one["invoice_type"] == "credit"]
    assert [one["total_amount_cents"] for one in bought] == [8_000]

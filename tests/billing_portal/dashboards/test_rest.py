"""GET /billing/system, and the parts of the system page and the overview that speak of proofs, liability and runway."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from credits.models import GrantBalance, UnpricedUse, Verification
from credits.reports import system
from orgs.models import Organization
from tests.billing_portal.dashboards.story import Team, person, sign_in
from tests.billing_portal.dashboards.test_pages import text_of
from tests.factories import orgs
from tests.factories.api import Http, done, refused

PATH = "/org-billing/billing/system"


@pytest.fixture
def staff(db: None) -> Client:
    return sign_in(person("Sys Admin", is_staff=True, is_superuser=True))


def verified(ago: timedelta, violations: int = 0, found: list[str] | None = None) -> None:
    at = timezone.now() - ago
    Verification.objects.create(
        started_at=at, finished_at=at, organizations=7, laws=14, violations=violations, found=found or []
    )


class TestTheApi:
    def test_is_for_system_admins_only(self, acme: Team):
        refused(Http(user=acme.owner).ask(PATH), 403, "permission_denied")
        refused(Http(key=orgs.organization_key(acme.organization).text).ask(PATH), 403, "permission_denied")
        staff = person("Sys Admin", is_staff=True)
        refused(Http(key=orgs.personal_key(staff).text).ask(PATH), 403, "permission_denied")
        assert done(Http(user=staff).ask(PATH))["metrics"]["teams"] == 1
        assert done(Http(key=orgs.platform_key("billing:read").text).ask(PATH))
        refused(Http(key=orgs.platform_key("usage:write").text).ask(PATH), 403, "permission_denied")

    def test_says_what_the_reports_say(self, acme: Team):
        acme.on_plan("enterprise")
        body = done(Http(key=orgs.platform_key().text).ask(PATH))
        figures = system.figures()
        metrics = body["metrics"]
        assert Decimal(metrics["credits_used"]) == figures.used == Decimal("250.75")
        assert Decimal(metrics["credits_granted"]) == figures.granted == 10_000
        assert metrics["active_subscriptions"] == 1
        assert {one["plan_code"]: one["organizations"] for one in body["plans"]}["enterprise"] == 1
        assert sum(one["organizations"] for one in body["plans"]) == metrics["organizations"]
        assert len(body["trend"]) == 7
        assert sum(Decimal(one["credits"]) for one in body["trend"]) == Decimal("250.75")
        assert body["top_organizations"][0]["org_id"] == acme.organization.public_id
        assert body["verification"]["verified_at"] is None
        assert body["sync"]["status"] == "unknown"

    def test_pages_the_organizations(self, acme: Team):
        for number in range(3):
            Team.made(f"Team {number}")
        client = Http(key=orgs.platform_key().text)
        seen: list[str] = []
        for offset in range(0, Organization.objects.count(), 2):
            part = done(client.ask(f"{PATH}?limit=2&offset={offset}"))["organizations"]
            seen += [one["org_id"] for one in part["data"]]
        assert part["pagination"]["total"] == len(set(seen)) == len(seen)
        refused(client.ask(f"{PATH}?limit=x"), 422, "validation_error")


class TestTheSystemPage:
    def test_never_verified_is_said(self, staff: Client):
        page = text_of(staff.get("/system/"))
        assert "Never verified" in page

    def test_a_fresh_proof_is_said_with_its_time(self, staff: Client):
        verified(timedelta(minutes=20))
        page = text_of(staff.get("/system/"))
        assert "All laws hold" in page
        assert "Last verified" in page

    def test_an_old_proof_proves_nothing_about_now(self, staff: Client):
        verified(timedelta(hours=2, minutes=1))
        page = text_of(staff.get("/system/"))
        assert "Verified long ago" in page
        assert "The books were not verified lately." in page

    def test_violations_stand_on_top_and_by_name(self, staff: Client):
        verified(timedelta(minutes=1), 2, ["conservation: what was granted: 100 is not <99>", "another"])
        page = staff.get("/system/").content.decode()
        assert "Laws of the ledger are broken." in page
        assert "100 is not &lt;99&gt;" in page

    def test_what_has_no_price_is_listed(self, acme: Team, staff: Client):
        now = timezone.now()
        for name, at in (("gpt-9", now), ("long-gone", now - timedelta(days=40))):
            UnpricedUse.objects.create(
                organization=acme.organization, kind="tokens", name=name, refused=12, charged=3, first_at=at, last_at=at
            )  # fmt: skip
        page = text_of(staff.get("/system/"))
        assert "gpt-9" in page
        assert "12 refused, 3 charged without a price" in page
        assert "long-gone" not in page


class TestTheOverview:
    def test_says_how_long_credits_last_once_it_is_known(self, acme: Team):
        client = sign_in(acme.owner)
        assert "At this pace" in text_of(client.get("/orgs/acme/"))  # three whole days are known
        beta = Team.made("Beta").granted("100")
        page = text_of(sign_in(beta.owner).get(f"/orgs/{beta.organization.slug}/"))
        assert "At this pace" not in page
        assert "Lasts not known yet" in page

    def test_warns_when_few_days_are_left_and_when_credits_expire(self, acme: Team):
        for days in range(1, 15):
            acme.spent(acme.people["paul"], "600", days=days)
        GrantBalance.objects.update(expires_at=timezone.now() + timedelta(days=12))
        page = text_of(sign_in(acme.owner).get("/orgs/acme/"))
        assert "days left." in page or "day left." in page
        assert "credits expire on" in page

    def test_tells_a_member_of_their_own_allocation_only(self, acme: Team):
        page = text_of(sign_in(acme.people["mia"]).get("/orgs/acme/"))
        assert "the credits last" not in page

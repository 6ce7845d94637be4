"""The monthly report on its page and as files: the same figures everywhere, and who may read whose."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client

from credits.ledger import grants
from credits.reports import monthly_mails
from credits.reports.months import Month
from credits.sharing import allocations, transfers
from orgs.audit.events import SYSTEM
from orgs.models import Department, User
from orgs.notices import mails
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice
from tests.billing_portal.dashboards.story import Team, days_ago, person

SignIn = Callable[[User], Client]
REPORTS = "/orgs/acme/reports/"


THIS = Month(datetime.now(UTC).date().replace(day=1))
LAST, BEFORE = THIS.previous, THIS.previous.previous
MONTH = f"{REPORTS}{LAST}/"


def days_since(month: Month, day: int) -> int:
    """Return how many days ago a day of a month was."""
    return (datetime.now(UTC).date() - month.first.replace(day=day)).days


def funded(team: Team, name: str, credits: str) -> Department:
    department, _ = Department.objects.get_or_create(organization=team.organization, name=name)
    with transaction.atomic():
        transfers.move(department=department, credits=Decimal(credits), by=SYSTEM)
    return department


@pytest.fixture
def acme(db: None) -> Team:
    """Acme since the month before last: 5,000 credits, 800 of them Engineering's, of which Mia has 500; two months of use."""
    team = Team.made("Acme")
    people = {
        "mia": ("Mia Member", "Engineering"),
        "max": ("Max Manager", "Engineering"),
        "paul": ("Paul Pool", ""),
    }
    team.people |= {
        key: team.joined_by(person(name), department=part) for key, (name, part) in people.items()
    }
    mia, manager, paul = (team.people[key] for key in people)
    team.managed_by(manager)
    earlier, later = days_since(BEFORE, 5), days_since(LAST, 10)
    with days_ago(earlier), transaction.atomic():
        grants.grant(
            organization=team.organization,
            source="goodwill",
            credits=Decimal(5000),
            reference="welcome",
            by=SYSTEM,
        )
        funded(team, "Engineering", "800")
        share = allocations.Share(user=mia, credits=Decimal(500))
        allocations.assign(organization=team.organization, share=share, by=SYSTEM)
    team.spent(mia, "100.5", days=earlier).spent(paul, "7", days=earlier, model="llama")
    team.spent(mia, "20", days=later).spent(manager, "5", days=later, model="llama")
    return team.spent(paul, "10.000001", days=later)


def rows_of(client: Client, query: str = "") -> dict[tuple[str, str], tuple[Any, Any]]:
    answer = client.get(f"{MONTH}?format=csv{query}")
    assert answer["Content-Type"].startswith("text/csv")
    rows = csv.DictReader(io.StringIO(answer.content.decode()))
    return {
        (row["part"], row["name"]): (
            Decimal(row["credits"]),
            Decimal(row["month_before"]) if row["month_before"] else None,
        )
        for row in rows
        if row["part"] != "pool"
    }


def test_the_file_has_every_figure_with_the_month_before_beside_it(acme: Team, owner: Client):
    assert rows_of(owner) == {
        ("statement", "Opening balance"): (Decimal("4892.5"), 0),
        ("statement", "Goodwill"): (0, 5000),
        ("statement", "Used"): (Decimal("-35.000001"), Decimal("-107.5")),
        ("statement", "Closing balance"): (Decimal("4857.499999"), Decimal("4892.5")),
        ("department", "Engineering"): (25, Decimal("100.5")),
        ("department", "No department"): (Decimal("10.000001"), 7),
        ("member", "Mia Member"): (20, Decimal("100.5")),
        ("member", "Paul Pool"): (Decimal("10.000001"), 7),
        ("member", "Max Manager"): (5, 0),
        ("model", "gpt-5"): (Decimal("30.000001"), Decimal("100.5")),
        ("model", "llama"): (5, 7),
    }


def test_the_page_says_what_the_file_says(acme: Team, owner: Client):
    answer = owner.get(f"{MONTH}")
    page = " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())
    for figure in (
        "4,892.5",
        "35.000001",
        "4,857.499999",
        "107.5",
        "Mia Member",
        f"{LAST.first:%B %Y}",
        "PDF",
    ):
        assert figure in page.replace(" .000001", ".000001").replace(" .499999", ".499999"), figure
    links = re.findall(rf'href="{REPORTS}(\d\d\d\d-\d\d)/', answer.content.decode())
    assert links == [str(BEFORE), str(THIS)]
    assert str(BEFORE.previous) not in owner.get(f"{REPORTS}{BEFORE}/").content.decode()
    assert str(THIS.following) not in owner.get(f"{REPORTS}{THIS}/").content.decode()
    listed = owner.get(REPORTS).content.decode()
    assert listed.index(f"{THIS}/") < listed.index(f"{LAST}/") < listed.index(f"{BEFORE}/")
    assert f"{BEFORE.previous}/" not in listed


def test_a_department_s_part_is_of_its_pool_and_its_members(acme: Team, signed_in: SignIn):
    manager = signed_in(acme.people["max"])
    part = rows_of(manager)
    assert part["statement", "Opening balance"] == (Decimal("699.5"), 0)
    assert part["statement", "Used"] == (-25, Decimal("-100.5"))
    assert part["statement", "Closing balance"] == (Decimal("674.5"), Decimal("699.5"))
    assert ("member", "Paul Pool") not in part
    assert not [key for key in part if key[0] == "department"]


def test_nobody_reads_more_than_they_may(acme: Team, signed_in: SignIn, outsider: User):
    sales = funded(acme, "Sales", "1")
    assert signed_in(acme.people["mia"]).get(REPORTS).status_code == 403
    assert signed_in(acme.people["mia"]).get(f"{MONTH}?format=csv").status_code == 403
    assert signed_in(outsider).get(f"{MONTH}").status_code == 404
    manager = signed_in(acme.people["max"])
    assert manager.get(f"{MONTH}?department={sales.public_id}").status_code == 404
    assert "Paul Pool" not in manager.get(f"{MONTH}").content.decode()


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "1999-01", "2001-01", "2199-12", "x"])
def test_a_month_without_a_report_is_not_found(acme: Team, owner: Client, name: str):
    assert owner.get(f"{REPORTS}{name}/").status_code == 404


def test_the_pdf_is_one_whatever_the_names_are(acme: Team, owner: Client):
    User.objects.filter(pk=acme.people["mia"].pk).update(name="Łucja Ελένη 株式会社 " + "x" * 90)
    answer = owner.get(f"{MONTH}?format=pdf")
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'attachment; filename="acme-{LAST}.pdf"'
    assert answer.content.startswith(b"%PDF-")
    assert len(answer.content) > 10_000


class TestOnTheFirst:
    def test_owners_and_managers_are_told_once_with_files_that_say_the_same(self, acme: Team):
        funded(acme, "Sales", "1")  # which nobody manages
        _, ended = LAST.bounds(acme.organization)
        assert monthly_mails.tell_due(now=ended) == 2
        assert monthly_mails.tell_due(now=ended + timedelta(days=3)) == 0
        told = {one.user: one for one in Notice.objects.filter(kind=Kind.MONTHLY_REPORT)}
        assert set(told) == {acme.owner, acme.people["max"]}
        whole, part = told[acme.owner], told[acme.people["max"]]
        assert whole.title == f"Acme used 35 credits in {LAST.first:%B %Y}"
        assert part.title == f"Engineering used 25 credits in {LAST.first:%B %Y}"
        assert whole.path == MONTH
        assert mails.send_due(now=datetime.now(UTC) + timedelta(minutes=1)) == 2
        files = {
            message.to[0]: {name: content for name, content, _ in message.attachments}
            for message in mail.outbox
        }
        mine, theirs = files[str(acme.owner.email)], files[str(acme.people["max"].email)]
        named = f"acme-{part.subject}-{LAST}"
        assert list(theirs) == [f"{named}.pdf", f"{named}.csv"]
        assert theirs[f"{named}.pdf"].startswith(b"%PDF-")
        assert "Paul Pool" not in theirs[f"{named}.csv"]
        assert "Closing balance,674.5,,699.5" in theirs[f"{named}.csv"]
        assert "Closing balance,4857.499999,,4892.5" in mine[f"acme-{LAST}.csv"]

    def test_the_month_ends_on_the_organization_s_wall(self, acme: Team):
        type(acme.organization).objects.update(time_zone="America/New_York")
        acme.organization.refresh_from_db()
        _, ended = LAST.bounds(acme.organization)
        assert ended.hour in (4, 5)  # midnight in New York
        monthly_mails.tell_due(now=ended - timedelta(minutes=1))
        assert {one.crossing for one in Notice.objects.all()} == {str(BEFORE)}
        monthly_mails.tell_due(now=ended)
        assert {one.crossing for one in Notice.objects.all()} == {str(BEFORE), str(LAST)}


def key_of(page: str) -> str:
    return re.findall(r'name="key" value="([^"]+)"', page)[0]


class TestIdleAndUnusual:
    def test_a_manager_revokes_what_lies_idle_in_their_department_and_nothing_else(
        self, acme: Team, signed_in: SignIn
    ):
        with days_ago(40), transaction.atomic():
            share = allocations.Share(user=acme.people["paul"], credits=Decimal(300))
            allocations.assign(organization=acme.organization, share=share, by=SYSTEM)
        mia, paul = (acme.people[one].public_id for one in ("mia", "paul"))
        manager = signed_in(acme.people["max"])
        page = manager.get(f"{REPORTS}?idle=7").content.decode()
        assert "379.5 credits lie in 1 allocation" in page
        assert paul not in page
        for chosen in ([mia, paul], [], ["usr_\x00"]):
            data = {"key": key_of(page), "idle": "7", "member": chosen}
            refused = manager.post(f"{REPORTS}idle/", data, follow=True)
            assert "Nothing was changed" in refused.content.decode()
        data = {"key": key_of(page), "idle": "7", "member": [mia]}
        for _ in range(2):  # a double click
            done = manager.post(f"{REPORTS}idle/", data, follow=True)
            assert "1 allocation revoked; 379.5 credits went back." in done.content.decode()
        assert "No allocation is idle" in manager.get(f"{REPORTS}?idle=7").content.decode()

    def test_unusual_days_show_with_their_sentence_to_who_may_see_them(self, acme: Team, signed_in: SignIn):
        for back in range(1, 21):
            acme.spent(acme.people["mia"], "2", days=back)
        acme.spent(acme.people["mia"], "150", model="gpt-9")
        page = signed_in(acme.people["max"]).get(REPORTS).content.decode()
        assert "Mia Member spent 150 credits on" in page
        assert "usual is 2 (median of 28 days): 75.0 times as much" in page


class TestProposals:
    URL = f"{REPORTS}proposals/"

    def test_it_applies_what_is_chosen_once(self, acme: Team, signed_in: SignIn):
        for back in range(1, 31):
            acme.spent(acme.people["mia"], "1", days=back)
        billing = signed_in(acme.joined_by(person("Bill Billing"), role="billing_admin"))
        page = billing.get(self.URL).content.decode()
        [choice] = re.findall(r'name="member" value="([^"]+)"', page)
        assert "Unused" in page
        data = {"key": key_of(page), "member": [choice]}
        for _ in range(2):
            done = billing.post(self.URL, data, follow=True)
            assert "Applied: 1 allocation" in done.content.decode()
        none = billing.post(self.URL, {"key": key_of(page) + "1"})
        assert none.status_code == 422
        assert "Choose at least one proposal. Nothing was changed." in none.content.decode()
        damaged = billing.post(self.URL, {"key": "k", "member": ["usr_\x00 5"]})
        assert damaged.status_code == 422

    def test_managers_and_members_may_not(self, acme: Team, signed_in: SignIn):
        for who in ("max", "mia"):
            assert signed_in(acme.people[who]).get(self.URL).status_code == 403

"""The usage page: filters, comparison, records, exports, who sees whose, and why a request cost what it cost."""

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credits.ledger.reversals import reverse
from credits.models import UsageRecord
from orgs.audit.events import SYSTEM
from orgs.models import Department, User
from tests.billing_portal.dashboards.story import Team, person

USAGE = "/orgs/acme/usage/"


def text_of(page: str) -> str:
    """Return what a reader sees, in one line."""
    joined = page.replace('<span class="decimals">', "")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", joined)).split())


def key_figure(page: str, label: str) -> str:
    found = re.search(rf'<h2 class="label">{label}</h2>\s*<p class="value[^"]*">(.*?)</p>', page, re.DOTALL)
    assert found is not None, label
    return text_of(found[1]).replace(" ", "")


def page_of(client: Client, query: str = "", status: int = 200) -> str:
    answer = client.get(f"{USAGE}{query}")
    assert answer.status_code == status
    return answer.content.decode()


def breakdown_of(page: str) -> dict[str, str]:
    """Return the breakdown as label → credits."""
    table = page.split('id="breakdown"')[1].split("</table>", maxsplit=1)[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>.*?<td class="r c-status">(.*?)</td>', table, re.DOTALL)
    return {text_of(label): text_of(credits) for label, credits in rows}


def csv_of(client: Client, query: str) -> list[dict[str, str]]:
    answer = client.get(f"{USAGE}{query}")
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


class TestWhatItShows:
    def test_totals_are_those_of_the_breakdown_by_any_grouping(self, acme: Team, owner: Client):
        for grouping in ("model", "user", "department", "service", "provider", "day", "week", "month"):
            page = page_of(owner, f"?by={grouping}")
            assert key_figure(page, "Credits used") == "250.75"
            shares = breakdown_of(page)
            assert sum(Decimal(one) for one in shares.values()) == Decimal("250.75"), grouping

    def test_each_group_stands_beside_the_days_before(self, acme: Team, owner: Client):
        mia = acme.people["mia"]
        acme.spent(mia, "100", model="llama", days=10).spent(mia, "7", model="retired", days=11)
        page = page_of(owner, "?days=7&by=model")
        assert "107 in the 7 days before" in text_of(page)
        assert re.search(r"134\.3% more", text_of(page))  # 250.75 beside 107
        rows = csv_of(owner, "?days=7&by=model&format=csv")
        assert {row["key"]: row["previous_credits"] for row in rows} == {"gpt-5": "0", "llama": "100"}
        assert breakdown_of(page)["retired"] == "0"

    def test_no_change_is_invented_where_there_is_nothing_before(self, acme: Team, owner: Client):
        assert "nothing before to compare with" in page_of(owner, "?days=7")

    def test_filters_narrow_every_part_of_the_page(self, acme: Team, owner: Client):
        page = page_of(owner, "?model=llama&by=service")
        assert key_figure(page, "Credits used") == "50.25"
        assert breakdown_of(page) == {"search": "50", "llm": "0.25"}
        records = page.split('id="records"')[1]
        assert "gpt-5" not in records
        assert page_of(owner, f"?member={acme.people['mia'].public_id}").count("Paul Pool") == 0
        assert key_figure(page_of(owner, "?q=paul"), "Credits used") == "50"
        engineering = Department.objects.get(name="Engineering")
        assert key_figure(page_of(owner, f"?department={engineering.public_id}"), "Credits used") == "200.75"

    def test_own_dates_are_taken_as_they_are(self, acme: Team, owner: Client):
        day = timezone.now().date() - timedelta(days=3)
        page = page_of(owner, f"?start={day}&end={day}&by=model")
        assert key_figure(page, "Credits used") == "0.25"

    def test_a_long_period_is_drawn_by_month(self, acme: Team, owner: Client):
        since = timezone.now().date() - timedelta(days=700)
        page = page_of(owner, f"?start={since}")
        assert "Credits a month, by model" in page
        assert page.count('<g class="col">') <= 25

    def test_every_choice_works_without_a_script(self, acme: Team, owner: Client):
        page = page_of(owner)
        form = page.split('<form class="filters filters--usage"')[1].split("</form>")[0]
        assert 'method="get"' in form
        assert "<button" in form
        assert set(re.findall(r'name="(\w+)"', form)) >= {
            "by",
            "days",
            "start",
            "end",
            "service",
            "model",
            "q",
        }
        assert "hx-get" in page

    def test_it_is_in_the_menu(self, acme: Team, owner: Client):
        assert f'href="{USAGE}"' in owner.get("/orgs/acme/").content.decode()


class TestStates:
    def test_nothing_used_is_said(self, outsider: User, signed_in: Callable[[User], Client]):
        page = signed_in(outsider).get("/orgs/globex/usage/").content.decode()
        assert "No usage in these days" in page

    def test_filters_that_match_nothing_can_be_cleared(self, acme: Team, owner: Client):
        page = page_of(owner, "?model=unknown")
        assert "Nothing matches in these days" in page
        assert "Clear filters" in page

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("?start=2020-01-01&end=2026-01-01", "too long"),
            ("?start=2026-02-02&end=2026-02-01", "lies after"),
            ("?start=2026-02-31", "cannot be read"),
            ("?start=%00&end=x", "cannot be read"),
        ],
    )
    def test_days_that_cannot_be_are_refused_in_words(self, acme: Team, owner: Client, query: str, says: str):
        assert says in page_of(owner, query, status=422)

    @pytest.mark.parametrize(
        "query", ["?days=5", "?by=secret", "?before=x", "?member=%00", "?department=dep_x"]
    )
    def test_what_it_does_not_offer_is_the_default(self, acme: Team, owner: Client, query: str):
        assert key_figure(page_of(owner, query), "Credits used") == "250.75"


class TestWhoSeesWhat:
    def test_a_member_sees_their_own_only(self, acme: Team, signed_in: Callable[[User], Client]):
        mia, paul = acme.people["mia"], acme.people["paul"]
        client = signed_in(mia)
        for query in ("", f"?member={paul.public_id}", "?q=paul", "?by=user"):
            page = page_of(client, query)
            assert key_figure(page, "Credits used") == "200.75"
            assert "Paul Pool" not in page
        assert {row["user"] for row in csv_of(client, "?format=records")} == {"Mia Member"}
        others = UsageRecord.objects.filter(user=paul).first()
        assert others is not None
        assert client.get(f"{USAGE}{others.pk}/").status_code == 404

    def test_a_manager_sees_the_department_and_their_own(self, managed: Team, manager: Client):
        managed.spent(managed.people["max"], "3")
        page = page_of(manager, "?by=user")
        assert breakdown_of(page) == {"Mia Member": "200.75", "Max Manager": "3"}
        paul = managed.people["paul"]
        assert key_figure(page_of(manager, f"?member={paul.public_id}"), "Credits used") == "0"

    def test_strangers_do_not_know_of_it(
        self, acme: Team, outsider: User, signed_in: Callable[[User], Client]
    ):
        client = signed_in(outsider)
        assert client.get(USAGE).status_code == 404
        assert client.get(f"{USAGE}{uuid4()}/").status_code == 404

    def test_what_a_person_typed_is_only_text(self, acme: Team, owner: Client):
        acme.spent(acme.people["mia"], "1", model="<script>alert(1)</script>")
        assert "<script>alert" not in page_of(owner)


class TestRecords:
    def test_pages_go_on_by_cursor(self, acme: Team, owner: Client):
        for _ in range(30):
            acme.spent(acme.people["paul"], "1")
        seen: list[str] = []
        query = ""
        while True:
            page = page_of(owner, query)
            seen += re.findall(rf'href="{USAGE}([0-9a-f-]{{36}})/"', page)
            older = re.search(r'href="(\?[^"]*before=[^"#]*)#records"', page)
            if older is None:
                break
            query = older[1].replace("&amp;", "&")
        assert len(seen) == len(set(seen)) == UsageRecord.objects.count() == 33

    def test_kinds_stand_as_badges(self, acme: Team, owner: Client):
        record = UsageRecord.objects.filter(user=acme.people["paul"]).first()
        assert record is not None
        with transaction.atomic():
            reverse(charge_id=record.pk, organization_id=None, credits=None, reason="a mistake", by=SYSTEM)
        acme.overran(acme.people["mia"], held="1", cost="2000")
        records = text_of(page_of(owner).split('id="records"')[1])
        assert "Reversal" in records
        assert "Shortfall" in records

    def test_a_record_says_why_it_cost_what_it_cost(self, acme: Team, owner: Client):
        record = UsageRecord.objects.filter(credits=Decimal("200.5")).get()
        page = text_of(owner.get(f"{USAGE}{record.pk}/").content.decode())
        assert "Why did this cost 200.5 credits?" in page
        assert "Stated in credits" in page
        assert "Mia Member" in page
        assert "An allocation" in page

    def test_a_reversal_names_its_charge_and_the_charge_its_reversal(self, acme: Team, owner: Client):
        record = UsageRecord.objects.filter(user=acme.people["paul"]).get()
        with transaction.atomic():
            made = reverse(
                charge_id=record.pk, organization_id=None, credits=None, reason="a mistake", by=SYSTEM
            )
        reversal = UsageRecord.objects.get(kind="reversal")
        assert made is not None
        assert str(reversal.pk) in owner.get(f"{USAGE}{record.pk}/").content.decode()
        page = owner.get(f"{USAGE}{reversal.pk}/").content.decode()
        assert str(record.pk) in page
        assert "a mistake" in page


class TestExports:
    def test_hold_the_figures_of_the_page_and_no_formula(self, acme: Team, owner: Client):
        acme.spent(acme.people["mia"], "1.5", model="=cmd()")
        rows = csv_of(owner, "?by=model&format=csv")
        assert sum(Decimal(row["credits"]) for row in rows) == Decimal("252.25")
        assert "'=cmd()" in {row["key"] for row in rows}
        records = csv_of(owner, "?format=records")
        assert sum(Decimal(row["credits"]) for row in records) == Decimal("252.25")
        assert not [cell for row in records for cell in row.values() if cell[:1] in ("=", "+", "@")]


def test_the_page_asks_the_same_however_many_members_there_are(acme: Team, owner: Client):
    def queries() -> int:
        page_of(owner, "?by=user")
        with CaptureQueriesContext(connection) as captured:
            page_of(owner, "?by=user")
        return len(captured)

    acme.on_plan("enterprise")
    small = queries()
    for number in range(60):
        member = acme.joined_by(person(f"Member {number}"))
        acme.spent(member, "1", days=number % 5)
    assert queries() <= small + 2 <= 30  # beyond 50 groups two more questions sum up the rest
    page = page_of(owner, "?by=user")
    assert "the 50 largest of 62" in page
    assert key_figure(page, "Credits used") == "310.75"

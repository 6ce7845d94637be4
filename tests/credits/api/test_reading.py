"""Usage reports, records, the ledger and prices through the API: totals are sums of their parts, pages are stable."""

import csv
import io
from decimal import Decimal

import pytest

from credits.reports.usage import GROUPINGS
from tests.factories import credits as make
from tests.factories.api import MODEL, done

pytestmark = pytest.mark.django_db


@pytest.fixture
def used(scene):
    """Charges of several members, models and services, one reversed in part, one without credits, one owed."""
    people = scene.people
    for number, (who, credits, model) in enumerate(
        [
            ("member", "3.000001", MODEL),
            ("colleague", "4", "=cmd()"),
            ("engineer", "5.5", MODEL),
            ("poolspender", "6", ""),
            ("member", "0", MODEL),
        ]
    ):
        make.charged(
            scene.org, people[who],
            make.charge(scene.org).cost.__class__(Decimal(credits), model, 10, 5), service=f"s{number % 2}", provider="acme",
        )  # fmt: skip
    charge = make.charged(scene.org, people["member"], 9, service="s0")
    make.reversal(charge, 4)
    make.captured(make.held(scene.org, people["engineer"], 1), 90)
    return scene


def total(rows, name="credits"):
    return sum(Decimal(one[name]) for one in rows)


class TestUsage:
    @pytest.mark.parametrize("grouping", GROUPINGS)
    def test_is_the_sum_of_its_breakdown_and_of_the_records(self, used, grouping):
        client = used.key("organization")
        body = done(client.ask(f"{used.credits}/usage?group_by={grouping}"))
        assert set(body) == {
            "total_credits", "total_requests", "total_tokens", "previous_credits", "start_date", "end_date", "breakdown",
        }  # fmt: skip
        rows = body["breakdown"]
        assert set(rows[0]) == {"key", "label", "credits", "requests", "tokens", "share", "previous_credits"}
        assert total(rows) == Decimal(body["total_credits"]) > 0
        assert sum(one["requests"] for one in rows) == body["total_requests"]
        assert sum(one["tokens"] for one in rows) == body["total_tokens"]
        records = done(client.ask(f"{used.credits}/records?limit=100"))["data"]
        signed = {"charge": 1, "settlement": 1, "reversal": -1}
        assert sum(signed[one["kind"]] * Decimal(one["credits"]) for one in records) == Decimal(
            body["total_credits"]
        )
        assert Decimal(body["total_credits"]) == Decimal(done(client.ask(used.credits))["used"])

    def test_is_narrowed_by_each_filter_as_the_records_are(self, used):
        client = used.key("organization")
        whole = done(client.ask(f"{used.credits}/usage"))["total_credits"]
        for query in (
            "service=s0", "provider=acme", f"model={MODEL}", f"user_id={used.id_of('member')}",
            f"department_id={used.department.public_id}", f"service=s0&user_id={used.id_of('member')}&model={MODEL}",
        ):  # fmt: skip
            part = done(client.ask(f"{used.credits}/usage?{query}"))["total_credits"]
            records = done(client.ask(f"{used.credits}/records?limit=100&{query}"))["data"]
            of_records = sum(
                (-1 if one["kind"] == "reversal" else 1) * Decimal(one["credits"]) for one in records
            )
            assert of_records == Decimal(part), query
            assert 0 < Decimal(part) < Decimal(whole), query

    def test_of_days_without_use_is_zero_and_stands_in_the_days_before(self, used):
        client = used.key("organization")
        body = done(client.ask(f"{used.credits}/usage?start_date=2020-01-01&end_date=2020-01-31"))
        assert (body["total_credits"], body["breakdown"]) == ("0", [])
        assert (
            done(client.ask(f"{used.credits}/records?start_date=2020-01-01&end_date=2020-01-31"))["data"]
            == []
        )
        today = done(client.ask(f"{used.credits}/usage?days=1"))
        assert today["start_date"] == today["end_date"]
        assert today["total_credits"] == done(client.ask(f"{used.credits}/usage?days=731"))["total_credits"]

    def test_as_csv_has_the_same_figures_and_no_formula(self, used):
        client = used.key("organization")
        answer = client.ask(f"{used.credits}/usage?group_by=model&format=csv")
        assert answer["Content-Type"].startswith("text/csv")
        assert "attachment" in answer["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
        body = done(client.ask(f"{used.credits}/usage?group_by=model"))
        assert total(rows) == Decimal(body["total_credits"])
        assert not [cell for row in rows for cell in row.values() if cell[:1] in "=+@\t\r" and cell]
        assert any(row["key"] == "'=cmd()" for row in rows)


class TestByCursor:
    @pytest.mark.parametrize("path", ["records", "ledger"])
    def test_pages_are_whole_and_stable_while_rows_are_added(self, used, path):
        client = used.key("organization")
        whole = [one["id"] for one in done(client.ask(f"{used.credits}/{path}?limit=100"))["data"]]
        assert len(whole) > 4
        seen, cursor = [], ""
        while cursor is not None:
            page = done(client.ask(f"{used.credits}/{path}?limit=2{cursor and '&cursor=' + cursor}"))
            assert set(page) == {"data", "pagination"}
            assert page["pagination"]["limit"] == 2
            seen += [one["id"] for one in page["data"]]
            cursor = page["pagination"]["next_cursor"]
            make.charged(used.org, used.people["member"], 1)
            make.grant(used.org, 1)
        assert seen == whole

    def test_records_carry_their_price_and_who_used_it(self, used):
        rows = done(used.key("organization").ask(f"{used.credits}/records?limit=100"))["data"]
        reversal = next(one for one in rows if one["kind"] == "reversal")
        charge = next(one for one in rows if one["id"] == reversal["corrects"])
        assert charge["credits"] == "9"
        assert reversal["credits"] == "4"
        assert reversal["reason"] == "a mistake"
        assert all(one["price"] for one in rows if one["kind"] == "charge")
        assert {one["user_id"] for one in rows} == {
            used.id_of(who) for who in ("member", "colleague", "engineer", "poolspender")
        }
        assert {one["payer"] for one in rows} <= {"allocation", "pool", None}

    def test_entries_name_both_ends(self, used):
        rows = done(used.http("owner").ask(f"{used.credits}/ledger"))["data"]
        kinds = {one["kind"]: one for one in rows}
        assert kinds["grant"]["source"] is None
        assert kinds["grant"]["target"] == {"kind": "pool", "department_id": None}
        assert kinds["transfer"]["target"] == {"kind": "pool", "department_id": used.department.public_id}
        assert kinds["allocate"]["target"]["user_id"].startswith("usr_")
        assert total([one for one in rows if one["kind"] == "grant"], "amount") == 1000

    def test_a_cursor_of_another_organization_shows_nothing_of_it(self, used):
        page = done(used.key("organization").ask(f"{used.credits}/records?limit=1"))
        cursor = page["pagination"]["next_cursor"]
        other = f"/org-billing/credits/{used.other.public_id}"
        assert done(used.http("outsider").ask(f"{other}/records?cursor={cursor}"))["data"] == []


def test_models_list_the_prices_that_hold_now(scene):
    make.price("old-model", valid_until="2021-01-01T00:00:00Z")
    make.price("next-model", valid_from="2090-01-01T00:00:00Z")
    client = scene.key("membership")
    rows, offset = [], 0
    while True:
        page = done(client.ask(f"/models?limit=10&offset={offset}"))
        rows += page["data"]
        offset += 10
        if not page["pagination"]["has_more"]:
            break
    names = [one["name"] for one in rows]
    assert len(names) == page["pagination"]["total"]
    assert MODEL in names
    assert not {"old-model", "next-model"} & set(names)
    ours = next(one for one in rows if one["name"] == MODEL)
    assert ours == {
        "kind": "tokens", "name": MODEL, "own": False, "provider": "acme", "size": "", "quality": "", "input_price": "0.0001",
        "output_price": "0.0002", "cached_input_price": None, "each_price": "0", "currency": "USD",
    }  # fmt: skip

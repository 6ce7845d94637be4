"""`manage.py import_model_prices`: LiteLLM's map and a sheet of one's own, all or nothing, the second time nothing."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from credits.models import Price
from credits.pricing.costs import ImagesCost, TokensCost, UnitsCost
from orgs.audit.models import AuditEvent
from tests.factories import credits as make
from tests.factories import prices

pytestmark = pytest.mark.django_db

HOUSE = {
    "input_cost_per_token": Decimal("2.5e-06"),
    "output_cost_per_token": Decimal("1e-05"),
    "cache_read_input_token_cost": Decimal("1.25e-06"),
    "litellm_provider": "acme",
    "max_output_tokens": 512,
    "mode": "chat",
}


@pytest.fixture
def run(tmp_path):
    """Import a map, or the text of a file, and return what the command says."""

    def go(given, *options, name="map.json"):
        path = tmp_path / name
        if isinstance(given, dict):
            prices.write(path, given)
        elif isinstance(given, bytes):
            path.write_bytes(given)
        else:
            path.write_text(given)
        out = StringIO()
        call_command("import_model_prices", str(path), *options, stdout=out)
        return out.getvalue()

    return go


def rows():
    return list(Price.objects.order_by("pk").values())


def present(name, **fields):
    return Price.objects.get(name=name, valid_until=None, **fields)


class TestAMapOfThousands:
    def test_is_imported_whole_and_exactly_and_says_what_it_left_out(self, run):
        found = prices.cost_map(3_200)
        said = run(found)
        by_name = {row.name: row for row in Price.objects.filter(kind="tokens", valid_from__year__gt=2020)}
        chats = {name: facts for name, facts in found.items() if "/chat-" in name}
        assert len(chats) > 2_500
        for name, facts in chats.items():
            row = by_name[name]
            assert (row.input_price, row.output_price, row.cached_input_price) == (
                facts["input_cost_per_token"],
                facts["output_cost_per_token"],
                facts.get("cache_read_input_token_cost"),
            )
            assert row.default_output_tokens == min(facts["max_output_tokens"], 1024)
        assert f"{len(found):,} entries, 3,200 prices (160 of them free), 321 skipped" in said
        assert (
            "80 skipped: only one of the prices of input and output tokens (half-0, half-1, half-2, …)"
            in said
        )
        assert (
            "160 skipped: priced by something else than tokens or images (hears-0, ranks-0, hears-1, …)"
            in said
        )
        assert "1 skipped: the map's own specimen (sample_spec)" in said
        assert "80 skipped: no price at all" in said
        assert "3,200 new, 0 changed, 0 unchanged" in said

    def test_changes_nothing_the_second_time(self, run):
        found = prices.cost_map(400)
        run(found)
        before, audited = rows(), AuditEvent.objects.count()
        assert "0 new, 0 changed, 400 unchanged" in run(found)
        assert rows() == before
        assert AuditEvent.objects.count() == audited

    def test_is_only_looked_at_in_a_dry_run(self, run):
        before = rows()
        said = run(prices.cost_map(200), "--dry-run")
        assert "200 new" in said
        assert "nothing was written" in said
        assert rows() == before
        assert not AuditEvent.objects.filter(action="prices.imported").exists()


class TestAPrice:
    def test_that_changed_ends_where_the_new_one_begins(self, run):
        run({"house": HOUSE, "other": HOUSE})
        said = run({"house": HOUSE | {"output_cost_per_token": Decimal("2e-05")}, "other": HOUSE})
        assert "0 new, 1 changed, 1 unchanged" in said
        old, new = Price.objects.filter(name="house").order_by("valid_from")
        assert old.output_price == Decimal("0.00001")
        assert new.output_price == Decimal("0.00002")
        assert old.valid_until == new.valid_from
        assert new.valid_until is None

    def test_prices_the_next_charge_and_leaves_the_last_ones_explanation(self, run):
        team = make.team(1000)
        run({"house": HOUSE})
        cost = TokensCost("house", 1000, 100, cached_input_tokens=400)
        before = make.settled(make.charge(team, None, cost)).charge
        run({"house": HOUSE | {"input_cost_per_token": Decimal("5e-06")}})
        after = make.settled(make.charge(team, None, cost)).charge
        # 600 × 0.0000025 + 400 × 0.00000125 + 100 × 0.00001 = 0.003 USD, 10 % markup
        assert (before.credits, after.credits) == (Decimal("0.33"), Decimal("0.495"))
        assert before.price["lines"][0] == ["input", 600, "0.0000025"]

    def test_is_exact_where_a_binary_fraction_left_dust(self, run):
        run({"house": HOUSE | {"input_cost_per_token": Decimal("1.0000000000000001e-07")}})
        assert present("house").input_price == Decimal("0.0000001")

    def test_is_never_rounded_to_nothing(self, run):
        run({"house": HOUSE | {"input_cost_per_token": Decimal("1e-30")}})
        assert present("house").input_price == Decimal("0.000000000000001")

    def test_that_says_the_same_in_other_words_is_unchanged(self, run):
        run({"house": HOUSE | {"cache_read_input_token_cost": None}})
        same = HOUSE | {"cache_read_input_token_cost": HOUSE["input_cost_per_token"], "litellm_provider": "b"}
        assert "0 new, 0 changed, 1 unchanged" in run({"house": same})

    def test_keeps_the_size_that_staff_gave_it(self, run):
        run({"house": HOUSE})
        Price.objects.filter(name="house").update(default_output_tokens=77)
        run({"house": HOUSE | {"output_cost_per_token": Decimal("2e-05")}})
        assert present("house").default_output_tokens == 77

    def test_of_zero_is_free_and_costs_nothing(self, run):
        team = make.team(0)
        free = {"input_cost_per_token": 0, "output_cost_per_token": Decimal("0.0"), "mode": "chat"}
        run({"local": free})
        assert make.settled(make.charge(team, None, TokensCost("local", 10, 10))).charge.credits == 0

    def test_of_zero_beside_another_is_no_price(self, run):
        zero = {"input_cost_per_token": 0, "output_cost_per_token": 0, "mode": "rerank"}
        said = run({"ranks": zero | {"search_context_cost_per_query": {"size_low": Decimal("0.01")}}})
        assert "0 prices" in said
        assert not Price.objects.filter(name="ranks").exists()

    def test_that_begins_later_stays(self, run):
        make.price("house", output_price="9", valid_from=datetime(2036, 1, 1, tzinfo=UTC))
        run({"house": HOUSE})
        assert Price.objects.filter(name="house").count() == 2

    def test_of_an_organization_stays_as_it_is(self, run):
        team = make.team(1000)
        make.price("house", output_price="1", organization=team)
        run({"house": HOUSE})
        assert present("house", organization=team).output_price == 1
        charge = make.settled(make.charge(team, None, TokensCost("house", 0, 1))).charge
        assert charge.price["own"] is True

    def test_becomes_an_organizations_own_when_asked(self, run):
        team = make.team(1000)
        run({"house": HOUSE})
        run({"house": HOUSE | {"output_cost_per_token": Decimal("9e-06")}}, "--organization", team.slug)
        assert present("house", organization=None).output_price == Decimal("0.00001")
        assert present("house", organization=team).output_price == Decimal("0.000009")
        event = AuditEvent.objects.filter(action="prices.imported").latest("at")
        assert event.organization == team.public_id


def test_a_fact_that_is_only_repeated_is_no_mistake(run):
    house = '{"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "supports_x": true, "supports_x": false}'
    assert "1 new" in run(f'{{"house": {house}, "house": {house}}}')


class TestImages:
    def test_are_priced_by_the_size_and_quality_that_stand_in_the_name(self, run):
        image = {"mode": "image_generation", "litellm_provider": "acme"}
        run(
            {
                "painter": image | {"input_cost_per_image": Decimal("0.04")},
                "hd/1024-x-1792/painter": image | {"input_cost_per_pixel": Decimal("6.5e-08")},
                "azure/low/512-x-512/painter": image | {"output_cost_per_image": Decimal("0.01")},
                "512-x-512/50-steps/brush": image | {"output_cost_per_image": Decimal("0.02")},
            }
        )
        found = Price.objects.filter(kind="images", valid_until=None, valid_from__year__gt=2020)
        assert set(found.values_list("name", "size", "quality", "each_price")) == {
            ("painter", "", "", Decimal("0.04")),
            ("painter", "1024x1792", "hd", Decimal("0.11927552")),
            ("azure/painter", "512x512", "low", Decimal("0.01")),
            ("brush", "512x512", "50-steps", Decimal("0.02")),
        }
        team = make.team(1000)
        drawn = make.settled(make.charge(team, None, ImagesCost("painter", 1, "1024x1792", "hd"))).charge
        assert drawn.credits == Decimal("13.120308")  # 11.927552 × 1.1 = 13.1203072, rounded up

    def test_that_a_model_is_shown_are_no_images_that_it_draws(self, run):
        run({"sees": HOUSE | {"input_cost_per_image": Decimal("0.01")}})
        assert list(Price.objects.filter(name="sees").values_list("kind", flat=True)) == ["tokens"]


class TestABadFile:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "one JSON object"),
            ("{}", "one JSON object"),
            (b"\xff\xfe", "not UTF-8"),
            ('{"a": {"mode": "chat"}, "a": {}}', "'a' stands twice"),
            ('{"a": {"input_cost_per_token": 1, "input_cost_per_token": 2}}', "'input_cost_per_token' stands twice"),
            ('{"good": {"input_cost_per_token": NaN, "output_cost_per_token": 1}}', "NaN is no JSON number"),
            ('{"bad": [1]}', "'bad': must be an object"),
            ('{"bad": {"input_cost_per_token": -1e-6, "output_cost_per_token": 0}}', "'bad': input_cost_per_token"),
            ('{"bad": {"input_cost_per_token": "0.1", "output_cost_per_token": 0}}', "must be a number"),
            ('{"bad": {"input_cost_per_token": true, "output_cost_per_token": 0}}', "must be a number"),
            ('{"bad": {"input_cost_per_token": 1e12, "output_cost_per_token": 0}}', "a price of 0 or more"),
            ('{"bad": {"input_cost_per_token": 1e999999, "output_cost_per_token": 0}}', "a price of 0 or more"),
            ('{"bad": {"litellm_provider": 7}}', "litellm_provider must be a text"),
            ('{"": {"input_cost_per_token": 1}}', "a name of one line"),
            ("[" * 100_000, "not JSON"),
        ],
    )  # fmt: skip
    def test_is_refused_by_name(self, run, given, said):
        before = rows()
        with pytest.raises(CommandError, match="Nothing was changed") as refused:
            run(given)
        assert said in str(refused.value)
        assert rows() == before

    def test_changes_nothing_for_one_wrong_entry_among_thousands(self, run):
        found = prices.cost_map(300) | {"one-bad": HOUSE | {"output_cost_per_token": Decimal("-1e-06")}}
        before = rows()
        with pytest.raises(CommandError, match=r"one-bad.*output_cost_per_token"):
            run(found)
        assert rows() == before

    def test_names_all_that_is_wrong_up_to_twenty(self, run):
        with pytest.raises(CommandError) as refused:
            run(json.dumps({f"bad-{number}": 1 for number in range(30)}))
        assert "30 of 30 entries are wrong" in str(refused.value)
        assert "and 10 more" in str(refused.value)

    def test_that_is_not_there_says_so(self):
        with pytest.raises(CommandError, match="No such file"):
            call_command("import_model_prices", "/nowhere/prices.json")

    def test_leaves_the_table_when_the_database_fails_half_way(self, run, monkeypatch):
        from credits.pricing import importing

        before = rows()
        monkeypatch.setattr(importing, "_record", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run({"house": HOUSE})
        assert rows() == before


class TestTheAudit:
    def test_names_the_file_and_what_it_changed(self, run):
        run({"house": HOUSE, "other": HOUSE})
        run({"house": HOUSE | {"output_cost_per_token": Decimal("2e-05")}, "new": HOUSE})
        event = AuditEvent.objects.filter(action="prices.imported").latest("sequence")
        assert (event.organization, event.actor, event.target) == ("platform", "manage.py", "map.json")
        assert (event.after["new"], event.after["changed"], event.after["changed_names"]) == (1, 1, ["house"])
        assert len(event.after["sha256"]) == 64


class TestASheet:
    def test_prices_tokens_images_and_units_per_one_or_per_million(self, run):
        sheet = (
            "name,kind,provider,input_price,output_price,cached_input_price,each_price,size,per,default_output_tokens\n"
            "house,tokens,acme,2.50,10,1.25,,,million,300\n"
            "small,,,0.0000001,2E-7,,,,,\n"
            "painter,images,,,,,0.04,512x512,,\n"
            "page,units,,,,,0.25,,,\n"
            "*,tokens,,1,2,,,,million,\n"
        )
        assert "5 entries, 5 prices (0 of them free), 0 skipped" in run(sheet, name="prices.csv")
        house = present("house")
        assert (house.input_price, house.output_price, house.cached_input_price) == (
            Decimal("0.0000025"),
            Decimal("0.00001"),
            Decimal("0.00000125"),
        )
        assert house.default_output_tokens == 300
        assert present("small").output_price == Decimal("0.0000002")
        assert (present("painter").size, present("painter").each_price) == ("512x512", Decimal("0.04"))
        team = make.team(1000)
        assert make.settled(make.charge(team, None, UnitsCost("page", Decimal(2)))).charge.credits == 55
        unknown = make.settled(make.charge(team, None, TokensCost("unheard-of", 1_000_000, 0))).charge
        assert (unknown.credits, unknown.price["price"]) == (110, "*")
        assert "0 new, 0 changed, 5 unchanged" in run(sheet, name="prices.csv")

    def test_changes_a_size_that_it_names(self, run):
        sheet = "name,input_price,output_price,default_output_tokens\nhouse,1,2,{}\n"
        run(sheet.format(300), name="prices.csv")
        assert "0 new, 1 changed" in run(sheet.format(400), name="prices.csv")
        assert present("house").default_output_tokens == 400

    @pytest.mark.parametrize(
        ("sheet", "said"),
        [
            ("", "must name each column"),
            ("kind,input_price\n", "must name each column"),
            ("name,price\nx,1\n", "unknown columns (price)"),
            ("name,input_price,output_price\n", "no lines"),
            ("name,input_price,output_price\nx,1\n", "Line 2 has not 3 columns"),
            ("name,input_price,output_price\nx,-1,1\n", "line 2 ('x'): input_price must be a price"),
            ("name,input_price,output_price\nx,NaN,1\n", "input_price must be a price"),
            ('name,input_price,output_price\nx,"1,5",1\n', "input_price must be a price"),
            ("name,input_price,output_price\nx,1,\n", "output_price must be filled in for tokens"),
            ("name,kind,each_price\nx,pages,1\n", "kind must be one of"),
            ("name,kind,each_price,input_price\nx,units,1,1\n", "input_price must be empty for units"),
            ("name,input_price,output_price,per\nx,1,1,dozen\n", "per must be token or million"),
            ("name,input_price,output_price\nx,1,1\nx,2,2\n", "line 3 ('x'): an earlier line"),
            ("name,input_price,output_price,default_output_tokens\nx,1,1,0\n", "whole number above 0"),
            (f"name,input_price,output_price\n{'x' * 129},1,1\n", "at most 128 characters"),
        ],
    )
    def test_that_is_wrong_is_refused_by_its_line(self, run, sheet, said):
        before = rows()
        with pytest.raises(CommandError) as refused:
            run(sheet, name="prices.csv")
        assert said in str(refused.value)
        assert rows() == before

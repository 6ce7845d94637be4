"""The price table: an organization's own before everybody's; exact, longest prefix, `*`; and what looking at it costs."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.models import Price
from credits.pricing import table
from credits.pricing.costs import ImagesCost, TokensCost, UnitsCost
from credits.pricing.table import Listed, PriceTable
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = datetime(2036, 1, 1, tzinfo=UTC)


@pytest.fixture
def team():
    return make.team(1_000_000)


def price_of(team, cost):
    """Return by which price a charge came about: its name and whether it was the organization's own."""
    price = make.settled(make.charge(team, None, cost)).charge.price
    return price["price"], price.get("own", False)


class TestWhichPrice:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("house", ("house", False)),
            ("house-large", ("house-large", False)),
            ("house-large-2026", ("house-large", False)),
            ("house-small", ("house", False)),
            ("hous", ("*", False)),
            ("unheard-of", ("*", False)),
        ],
    )
    def test_is_the_exact_one_then_the_longest_prefix_then_the_default(self, team, asked, found):
        for name in ("*", "house", "house-large"):
            make.price(name, output_price="0.01")
        assert price_of(team, TokensCost(asked, 0, 1)) == found

    @pytest.mark.parametrize(
        ("own", "found"),
        [
            ("house-large", ("house-large", True)),
            ("house", ("house", True)),
            ("*", ("*", True)),
            ("house-larger", ("house-large", False)),
        ],
    )
    def test_is_the_organizations_own_first_even_where_everybodys_is_more_exact(self, team, own, found):
        make.price("house-large", output_price="0.01")
        make.price(own, output_price="0.02", organization=team)
        assert price_of(team, TokensCost("house-large", 0, 1)) == found

    def test_of_another_organization_is_nobody_elses(self, team):
        make.price("house", output_price="0.01")
        make.price("house", output_price="0.02", organization=make.team())
        assert price_of(team, TokensCost("house", 0, 1)) == ("house", False)

    def test_that_has_ended_gives_way_to_the_next(self, team):
        past = datetime(2021, 1, 1, tzinfo=UTC)
        make.price("house", output_price="0.01")
        make.price("house", output_price="0.02", organization=team, valid_until=past)
        assert price_of(team, TokensCost("house", 0, 1)) == ("house", False)

    def test_that_has_not_begun_does_not_count(self, team):
        make.price("house", output_price="0.01")
        make.price("house", output_price="0.02", organization=team, valid_from=LATER)
        assert price_of(team, TokensCost("house", 0, 1)) == ("house", False)

    def test_begins_and_ends_to_the_instant(self):
        some = Decimal(1)
        what = (None, "tokens", "m", "", "", some, some, None, some, 1024)
        first = Listed(*what, valid_from=NOW, valid_until=NOW + timedelta(hours=1))
        second = Listed(*what, valid_from=NOW + timedelta(hours=1), valid_until=None)
        prices = PriceTable([second, first])
        at = [NOW - timedelta(microseconds=1), NOW, first.valid_until - timedelta(microseconds=1)]
        assert [prices.find("tokens", "m", at=one) for one in at] == [None, first, first]
        assert prices.find("tokens", "m", at=first.valid_until) is second

    def test_of_an_image_is_that_of_its_size_and_quality_before_that_of_any(self, team):
        make.price("painter", kind="images", each_price="0.04")
        make.price("painter", kind="images", size="512x512", each_price="0.03")
        make.price("painter", kind="images", size="512x512", quality="hd", each_price="0.06")
        wanted = [("512x512", "hd"), ("512x512", ""), ("64x64", "hd"), ("", "")]
        costs = [
            make.settled(make.charge(team, None, ImagesCost("painter", 1, *one))).charge for one in wanted
        ]
        assert [one.credits for one in costs] == [Decimal(x) for x in ("6.6", "3.3", "4.4", "4.4")]

    def test_of_a_unit_is_its_own_name_or_the_default_never_a_prefix(self, team):
        make.price("storage", kind="units", each_price="1")
        make.price("*", kind="units", each_price="2")
        assert price_of(team, UnitsCost("storage", Decimal(1))) == ("storage", False)
        assert price_of(team, UnitsCost("storage_cold", Decimal(1))) == ("*", False)

    def test_of_tokens_is_none_of_images(self, team):
        make.price("*", kind="images", each_price="1")
        make.price("house", output_price="0.01")
        assert price_of(team, TokensCost("house", 0, 1)) == ("house", False)
        assert price_of(team, ImagesCost("house", 1)) == ("*", False)


class TestLooking:
    """What the hot path pays: nothing for five seconds, then one question, and a reading only after a change."""

    @pytest.fixture
    def clock(self, monkeypatch):
        """Move the process's clock at will."""
        now = [1000.0]
        monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
        return now

    @pytest.fixture(autouse=True)
    def _asked(self, monkeypatch):
        """Count the questions that go to the driver past Django's log."""
        self.questions = 0
        ask = table.statements.rows

        def counted(*given):
            self.questions += 1
            return ask(*given)

        monkeypatch.setattr(table.statements, "rows", counted)

    def queries(self, clock, seconds):
        clock[0] += seconds
        self.questions = 0
        with CaptureQueriesContext(connection) as asked:
            found = table.current()
        return found, (self.questions, len(asked))

    def test_asks_nothing_for_five_seconds(self, clock):
        first, _ = self.queries(clock, 0)
        again, asked = self.queries(clock, 4.9)
        assert again is first
        assert asked == (0, 0)

    def test_keeps_what_it_read_while_nothing_changes(self, clock):
        first, _ = self.queries(clock, 0)
        again, asked = self.queries(clock, 6)
        assert again is first
        assert asked == (1, 0)

    @pytest.mark.parametrize("change", ["add", "edit", "delete", "edit an old one", "end"])
    def test_reads_again_after_any_change(self, clock, change):
        old, new = make.price("old", output_price="1"), make.price("new", output_price="1")
        first, _ = self.queries(clock, 0)
        match change:
            case "add":
                Price.objects.create(kind="tokens", name="added", valid_from=NOW)
            case "edit":
                new.save()
            case "delete":
                old.delete()
            case "edit an old one":  # stamped before the newest, committed after it was read
                Price.objects.filter(pk=old.pk).update(changed_at=old.changed_at + timedelta(microseconds=1))
            case "end":
                new.valid_until = LATER
                new.save()
        again, asked = self.queries(clock, 6)
        assert again is not first
        assert asked == (2, 0)

    def test_leaves_out_what_ended_long_ago(self, clock):
        make.price("ended", output_price="1", valid_until=datetime(2021, 1, 1, tzinfo=UTC))
        found, _ = self.queries(clock, 0)
        assert found.find("tokens", "ended", at=datetime(2020, 6, 1, tzinfo=UTC)) is None

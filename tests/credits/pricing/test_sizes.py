"""How long answers are expected to be: the organization's own 95th percentile, everybody's, the model's default."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.ledger import checking, statements
from credits.models import OutputSize
from credits.pricing import sizes
from credits.pricing.costs import MoneyCost, TokensCost
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

OPEN = TokensCost("house", 0, None)
"""An estimate that names no maximum."""


@pytest.fixture
def team():
    make.price("house", output_price="0.00001", default_output_tokens=7)
    return make.team(1_000_000)


def calls(team, outputs, model="house", **fields):
    """Charge a call for each number of output tokens."""
    make.settle(*[make.charge(team, None, TokensCost(model, 1, output), **fields) for output in outputs])


def estimated(team):
    """Return how many output tokens an estimate takes, and from where."""
    price = checking.estimate(make.hold(team, None, OPEN)).explanation
    return price["lines"][1][1], price["output_tokens_from"]


class TestWhichSize:
    def test_is_the_models_default_until_there_are_fifty_calls(self, team):
        calls(team, [1000] * 49)
        sizes.refresh()
        assert estimated(team) == (7, "model")

    def test_is_the_organizations_own_from_fifty_on(self, team):
        calls(team, range(1, 51))
        sizes.refresh()
        assert estimated(team) == (48, "organization")  # 95 % of 50 is 47.5: the 48th smallest

    def test_is_everybodys_where_the_organization_has_too_few(self, team):
        calls(team, [10] * 9)
        calls(make.team(1_000_000), [500] * 60)
        sizes.refresh()
        assert estimated(team) == (500, "everybody")

    def test_of_everybody_counts_all_organizations_together(self, team):
        for _ in range(5):
            calls(make.team(1_000_000), [100] * 19 + [9000])
        sizes.refresh()
        assert estimated(team) == (100, "everybody")  # 95 of 100 calls; none of the five has fifty

    def test_holds_as_much(self, team):
        calls(team, [200] * 50)
        sizes.refresh()
        hold = make.settled(make.hold(team, None, OPEN)).hold
        assert hold.credits == Decimal("0.22")  # 200 × 0.00001 USD, 10 % markup, 100 credits a dollar
        assert hold.price["output_tokens_from"] == "organization"

    def test_is_that_of_the_model_that_was_asked_for(self, team):
        calls(team, [200] * 50, model="house-large")
        sizes.refresh()
        assert estimated(team) == (7, "model")


class TestRefresh:
    def test_is_the_95th_percentile_that_postgresql_computes(self, team):
        outputs = [(7 * number * number) % 1009 + 1 for number in range(137)]
        calls(team, outputs)
        assert sizes.refresh() == 1
        [[exact]] = statements.rows(
            "SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY x) FROM unnest(%s::int[]) AS x", outputs
        )
        own = OutputSize.objects.get(organization=team)
        everybodys = OutputSize.objects.get(organization=None)
        assert (own.percentile_95, own.calls) == (exact, 137)
        assert (everybodys.percentile_95, everybodys.calls) == (exact, 137)

    def test_twice_makes_no_second_row(self, team):
        calls(team, [200] * 50)
        sizes.refresh()
        calls(team, [400] * 50)
        sizes.refresh()
        assert OutputSize.objects.count() == 2
        assert estimated(team) == (400, "organization")

    def test_looks_thirty_days_back_and_forgets_what_lies_behind(self, team):
        calls(team, [200] * 60)
        with make.later("31 days"):
            sizes.refresh()
            assert not OutputSize.objects.exists()

    def test_counts_calls_with_an_answer_alone(self, team):
        """Money without tokens says nothing of an answer; one's own key says as much as any."""
        calls(team, [200] * 50, byok=True)
        make.settle(*[make.charge(team, None, MoneyCost(Decimal(1), model="house")) for _ in range(100)])
        sizes.refresh()
        assert estimated(team) == (200, "organization")

    def test_counts_no_reversal(self, team):
        calls(team, [200] * 48)
        make.reversal(make.charged(team, None, TokensCost("house", 1, 200)))
        sizes.refresh()
        assert OutputSize.objects.get(organization=team).calls == 49

    def test_looks_at_the_newest_of_an_organization_with_more(self, team, monkeypatch):
        monkeypatch.setattr(sizes, "_NEWEST", 60)
        calls(team, [9000] * 100)
        calls(team, [200] * 60)
        sizes.refresh()
        assert OutputSize.objects.get(organization=team).percentile_95 == 200

    def test_goes_through_all_organizations_a_few_at_a_time(self, team, monkeypatch):
        monkeypatch.setattr(sizes, "_CHUNK", 2)
        for _ in range(5):
            calls(make.team(1_000_000), [300] * 50)
        sizes.refresh()
        assert OutputSize.objects.exclude(organization=None).count() == 5
        assert OutputSize.objects.get(organization=None).calls == 250


class TestTheHotPath:
    @pytest.fixture
    def asked(self, monkeypatch):
        """Count how often the sizes were asked for."""
        seen = []
        read = sizes.statements.rows
        monkeypatch.setattr(
            sizes.statements, "rows", lambda sql, *given: (seen.append(sql), read(sql, *given))[1]
        )
        return lambda: sum("credits_outputsize" in sql for sql in seen)

    def test_asks_nothing_where_a_maximum_is_named(self, team, asked):
        make.settled(make.hold(team, None, TokensCost("house", 10, 100)))
        make.settled(make.charge(team, None, TokensCost("house", 10, 100)))
        assert asked() == 0

    def test_asks_once_a_minute(self, team, asked):
        for _ in range(5):
            make.settled(make.hold(team, None, OPEN))
        assert asked() == 1

    def test_finds_a_size_by_an_index(self, team):
        with CaptureQueriesContext(connection), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sizes._READ}", ["house", 50, team.pk, "house", 50])
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan
        assert (
            plan.count("Index") >= 2
        )  # the organization's and everybody's, by whichever index is the smaller

    def test_explains_nothing_of_sizes_where_a_maximum_is_named(self, team):
        assert (
            "output_tokens_from"
            not in checking.estimate(make.hold(team, None, TokensCost("house", 0, 9))).explanation
        )

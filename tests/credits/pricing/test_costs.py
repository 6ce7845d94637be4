"""What a cost comes to: credits, money, tokens, images and units, marked up and rounded up (product.md §4, §6)."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from credits import amounts
from credits.ledger import checking
from credits.pricing import table
from credits.pricing.costs import CreditsCost, ImagesCost, MoneyCost, TokensCost, UnitsCost
from kit.errors import ValidationError
from tests.factories import credits as make


def cost_of(cost, plan="enterprise"):
    """Return what a charge took, on a plan with a markup of 10 %."""
    team = make.team(1_000_000, unlimited=False)
    if plan:
        make.subscribe(team, plan)
    return make.settled(make.charge(team, None, cost)).charge


@pytest.mark.django_db
class TestCharge:
    def test_in_credits_takes_them_as_they_are(self):
        assert cost_of(CreditsCost(Decimal("3.2"))).credits == Decimal("3.2")

    @pytest.mark.parametrize(
        ("plan", "credits"), [("founders_friend", 100), ("enterprise", 110), ("professional", 120), ("", 130)]
    )
    def test_in_money_adds_the_markup_of_the_plan(self, plan, credits):
        assert cost_of(MoneyCost(Decimal(1)), plan).credits == credits

    def test_rounds_up_so_that_nothing_is_free(self):
        assert cost_of(MoneyCost(Decimal("0.000000001"))).credits == Decimal("0.000001")

    def test_of_cached_tokens_takes_their_price(self):
        make.price(input_price="0.00001", cached_input_price="0.000001", output_price="0.00002")
        charge = cost_of(TokensCost("house-model", 1000, 100, cached_input_tokens=400))
        # 600 x 0.00001 + 400 x 0.000001 + 100 x 0.00002 = 0.0084
        assert charge.credits == Decimal("0.924")
        assert charge.price["lines"] == [
            ["input", 600, "0.00001"],
            ["output", 100, "0.00002"],
            ["cached_input", 400, "0.000001"],
        ]
        assert (charge.price["markup_percent"], charge.price["cost"]) == ("10", "0.0084")

    def test_of_a_model_by_the_longest_name_it_begins_with(self):
        make.price("house", output_price="1")
        make.price("house-model", output_price="0.01")
        assert cost_of(TokensCost("house-model-2026-11-20", 0, 1)).price["price"] == "house-model"

    def test_of_images_by_size_and_quality(self):
        make.price("painter", kind="images", size="1024x1024", quality="hd", each_price="0.08")
        make.price("painter", kind="images", each_price="0.04", valid_from=datetime(2021, 1, 1, tzinfo=UTC))
        assert cost_of(ImagesCost("painter", 2)).credits == Decimal("8.8")
        assert cost_of(ImagesCost("painter", 2, size="1024x1024", quality="hd")).credits == Decimal("17.6")

    def test_of_units_by_exact_name(self):
        make.price("storage_gb_test", kind="units", each_price="0.02")
        assert cost_of(UnitsCost("storage_gb_test", Decimal("2.5"))).credits == Decimal("5.5")
        team = make.team(10)
        [outcome] = make.settle(make.charge(team, None, UnitsCost("storage_gb_tests", Decimal(1))))
        assert isinstance(outcome, ValidationError)

    def test_takes_the_price_of_its_time(self):
        make.price(output_price="1", valid_until=datetime(2021, 1, 1, tzinfo=UTC))
        make.price(output_price="2", valid_from=datetime(2021, 1, 1, tzinfo=UTC))
        assert cost_of(TokensCost("house-model", 0, 1)).credits == 220

    def test_keeps_the_tokens_that_came_with_money(self):
        charge = cost_of(MoneyCost(Decimal(1), model="any", input_tokens=7, output_tokens=8))
        assert (charge.model, charge.input_tokens, charge.output_tokens) == ("any", 7, 8)


@pytest.mark.django_db
class TestWhatMustNotComeBack:
    """Of the system that this one replaces: scenarios H.49 and H.50, and its defects in what a request costs."""

    def test_an_amount_below_one_credit_is_not_free(self):
        assert [cost_of(CreditsCost(Decimal(x))).credits for x in ("0.0009", "0.0087")] == [
            Decimal("0.0009"),
            Decimal("0.0087"),
        ]

    def test_ten_times_a_tenth_is_one(self):
        team = make.team(1)
        make.settle(*[make.charge(team, None, CreditsCost(Decimal("0.1"))) for _ in range(10)])
        assert make.pool(team).available == 0

    def test_the_markup_is_of_the_cost_not_of_the_total_and_is_kept(self):
        charge = cost_of(MoneyCost(Decimal(1)))
        assert charge.credits == 110  # a tenth of the total would be 111.111112
        assert (charge.price["cost"], charge.price["markup_percent"], charge.price["currency"]) == (
            "1",
            "10",
            "USD",
        )

    def test_every_charge_keeps_what_the_provider_asked(self):
        make.price("painter", kind="images", each_price="0.04")
        make.price("house", input_price="0.001")
        costs = [
            MoneyCost(Decimal(1)),
            TokensCost("house", 5, 5),
            ImagesCost("painter", 1),
            UnitsCost("api_call", Decimal(2)),
        ]
        assert [cost_of(cost).price["cost"] for cost in costs] == ["1", "0.005", "0.04", "0.02"]

    def test_a_question_deducts_nothing_not_even_a_call(self):
        team = make.team(100)
        make.limit_calls(team, day=1)
        for byok in (False, True):
            checking.estimate(make.hold(team, None, MoneyCost(Decimal("0.1")), byok=byok))
            assert checking.check(make.hold(team, None, MoneyCost(Decimal("0.1")), byok=byok)).refusal is None
        assert make.pool(team).available == 100
        assert (
            make.settled(make.charge(team, None, 1)).charge.credits == 1
        )  # the one call of the day is still there

    def test_a_higher_markup_is_a_higher_cost(self):
        plans = ["founders_friend", "enterprise", "professional", "starter"]
        found = [cost_of(MoneyCost(Decimal(1)), plan).credits for plan in plans]
        assert found == sorted(set(found))

    def test_an_unknown_model_is_priced_by_the_default(self):
        make.price("*", output_price="0.01")
        assert cost_of(TokensCost("unheard-of", 0, 10)).credits == 11

    def test_no_tokens_cost_nothing_and_a_billion_cost_what_they_cost(self):
        make.price("house", input_price="0.0000001", output_price="0.000000000000001")
        assert cost_of(TokensCost("house", 0, 0)).credits == 0
        assert cost_of(TokensCost("house", 10**9, 10**9)).credits == Decimal("11000.00011")

    def test_a_table_that_cannot_be_read_makes_nothing_free(self, monkeypatch):
        team = make.team(100)
        make.price("house", output_price="0.01")

        def down(*_):
            raise OperationalError("the database is gone")

        monkeypatch.setattr(table.statements, "rows", down)
        table.forget()
        [outcome] = make.settle(make.charge(team, None, TokensCost("house", 0, 10)))
        monkeypatch.undo()
        assert outcome.status == 503
        assert make.pool(team).available == 100


amounts_of_money = st.decimals(min_value=0, max_value=10**6, places=12)


@given(amounts_of_money, st.decimals(min_value=0, max_value=100, places=2))
def test_money_never_comes_to_less_than_it_cost_nor_to_a_step_more(cost, markup):
    exact = cost * (100 + markup) / 100 * 100
    credits = amounts.from_money(cost, markup_percent=markup)
    assert exact <= credits < exact + Decimal("0.000001")


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_an_amount_reads_back_as_it_was_written(amount):
    assert amounts.parse(amounts.text(amount)) == amount


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "-0",
            "1_000",
            "\uff11\uff12",
            "1e3",
            "1,5",
            ".5",
            "5.",
            "NaN",
            "Infinity",
            "0x1",
        ),
        *("1.0000001", "1000000000.000001", 1.5, True, None, -1, 10**15, [], {}, b"1", "\u0661"),
    ],
)
def test_what_is_no_amount_is_refused(bad):
    with pytest.raises(ValueError, match="must"):
        amounts.parse(bad)

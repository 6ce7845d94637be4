"""«Why did this cost 3.2 credits?»: the lines that a screen shows, for every form of cost and everything beside it."""

from decimal import Decimal

import pytest

from credits.ledger import checking
from credits.models import UsageRecord
from credits.pricing import explaining
from credits.pricing.costs import CreditsCost, ImagesCost, MoneyCost, TokensCost, UnitsCost
from credits.pricing.explaining import Line
from orgs.models import Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    """A team with a markup of 10 %."""
    return make.team(1000)


def told(team, cost, **fields):
    """Return the lines of a charge, as (label, amount)."""
    charge = make.settled(make.charge(team, None, cost, **fields)).charge
    return [(line.label, line.amount) for line in explaining.of_record(UsageRecord.objects.get(pk=charge.id))]


RATE = ("1 USD is 100 credits; rounded up to the 6th decimal place", "")


class TestAChargeOf:
    def test_tokens_counts_each_kind_at_its_price(self, team):
        make.price("house", input_price="0.00001", cached_input_price="0.000001", output_price="0.00002")
        assert told(team, TokensCost("house-2026", 1600, 1, cached_input_tokens=400)) == [
            ("1,200 input tokens × 0.00001 USD", "0.012 USD"),
            ("1 output token × 0.00002 USD", "0.00002 USD"),
            ("400 cached input tokens × 0.000001 USD", "0.0004 USD"),
            ("List price of house", ""),
            ("Markup of the plan: 10 %", "0.001242 USD"),
            RATE,
            ("Cost", "1.3662 credits"),
        ]

    def test_images_names_size_and_quality_where_the_price_does(self, team):
        make.price("painter", kind="images", size="512x512", quality="hd", each_price="0.04")
        assert told(team, ImagesCost("painter", 2, "512x512", "hd")) == [
            ("2 images × 0.04 USD", "0.08 USD"),
            ("List price of painter, 512x512, hd", ""),
            ("Markup of the plan: 10 %", "0.008 USD"),
            RATE,
            ("Cost", "8.8 credits"),
        ]

    def test_units_counts_them(self, team):
        make.price("storage_cold", kind="units", each_price="0.02")
        assert told(team, UnitsCost("storage_cold", Decimal("2.5")))[0] == (
            "2.5 storage_cold × 0.02 USD",
            "0.05 USD",
        )

    def test_money_says_who_stated_it(self, team):
        assert told(team, MoneyCost(Decimal("0.5"))) == [
            ("Stated in money by whoever made the request", "0.5 USD"),
            ("Markup of the plan: 10 %", "0.05 USD"),
            RATE,
            ("Cost", "55 credits"),
        ]

    def test_credits_says_who_stated_them_and_adds_no_markup(self, team):
        assert told(team, CreditsCost(Decimal("3.2"))) == [
            ("Stated in credits by whoever made the request", "3.2 credits")
        ]

    def test_an_organizations_own_price_says_so(self, team):
        make.price("house", output_price="1", organization=team)
        assert ("Your organization's own price of house", "") in told(team, TokensCost("house", 0, 1))

    def test_the_default_price_says_so(self, team):
        make.price("*", output_price="1")
        assert ("List price of everything that has no other", "") in told(
            team, TokensCost("unheard-of", 0, 1)
        )

    def test_a_plan_without_markup_speaks_of_none(self):
        team = make.team(100)
        make.limit_calls(team)
        assert told(team, MoneyCost(Decimal("0.5"))) == [
            ("Stated in money by whoever made the request", "0.5 USD"),
            RATE,
            ("Cost", "50 credits"),
        ]

    def test_something_free_says_so(self, team):
        make.price("local")
        assert told(team, TokensCost("local", 3, 4))[-1] == ("Cost", "0 credits")


class TestACustomersOwnKey:
    """0 credits, with what the provider will ask, in every form of cost."""

    OWN = "Made with your own provider key: the provider asks you for"

    @pytest.mark.parametrize(
        ("cost", "asked"),
        [
            (TokensCost("house", 1000, 100), "0.012 USD"),
            (MoneyCost(Decimal("0.5")), "0.5 USD"),
            (CreditsCost(Decimal(5)), "what 5 credits are worth"),
            (ImagesCost("painter", 2), "0.08 USD"),
            (UnitsCost("storage_cold", Decimal(3)), "0.06 USD"),
        ],
        ids=lambda value: getattr(value, "form", ""),
    )
    def test_keeps_what_the_provider_asks_without_markup(self, team, cost, asked):
        make.price("house", input_price="0.00001", output_price="0.00002")
        make.price("painter", kind="images", each_price="0.04")
        make.price("storage_cold", kind="units", each_price="0.02")
        lines = told(team, cost, byok=True)
        assert lines[-2:] == [(self.OWN, asked), ("Charged here", "0 credits")]
        assert not any("Markup" in label for label, _ in lines)

    def test_keeps_it_through_a_hold(self, team):
        make.price("house", input_price="0.00001", output_price="0.00002")
        hold = make.held(team, None, TokensCost("house", 10, 10), byok=True)
        charge = make.captured(hold, TokensCost("", 1000, 100)).charge
        assert explaining.of_record(charge)[-2] == Line(self.OWN, "0.012 USD")

    def test_of_a_model_without_a_price_says_that_it_is_not_known(self, team):
        lines = told(team, TokensCost("unheard-of", 1, 1), byok=True)
        assert lines[-2][0].endswith("is not known")


class TestBesideThePrice:
    def test_a_flat_charge_is_told(self, team):
        Organization.objects.filter(pk=team.pk).update(unpriced="flat", unpriced_credits=2)
        assert told(team, TokensCost("unheard-of", 1, 1)) == [
            (
                "unheard-of has no price; your organization charges a flat amount for such requests",
                "2 credits",
            )
        ]

    def test_a_fallback_without_a_price_is_told(self, team):
        hold = make.held(team, None, 3)
        charge = make.captured(hold, TokensCost("unheard-of", 1, 1)).charge
        assert explaining.of_record(charge) == [
            Line("unheard-of has no price; charged what was held for the request", "3 credits", "sum")
        ]

    def test_late_and_owed_are_told(self):
        team = make.team(5)
        hold = make.held(team, None, 4)
        with make.later("11 minutes"):
            charge = make.captured(hold, 12).charge
        assert [(line.label, line.amount) for line in explaining.of_record(charge)] == [
            ("Stated in credits by whoever made the request", "12 credits"),
            ("Captured after the hold had expired", ""),
            ("Owed by the organization: more than the payer could give", "7 credits"),
            ("Taken from the payer", "5 credits"),
        ]

    def test_a_charge_after_the_fact_is_told(self, team):
        assert ("Charged after the call had happened", "") in told(team, 1, after_the_fact=True)

    def test_a_size_that_nobody_named_is_told(self, team):
        make.price("house", output_price="0.01", default_output_tokens=5)
        priced = checking.estimate(make.hold(team, None, TokensCost("house", 0, None)))
        labels = [
            line.label for line in explaining.of_explanation(priced.explanation, credits=priced.credits)
        ]
        assert any(label.startswith("No maximum was named") for label in labels)


class TestCorrections:
    def test_of_a_reversal_say_what_was_given_back(self, team):
        done = make.reversal(make.charged(team, None, 7), 3)
        assert explaining.of_record(done.reversal) == [
            Line("Given back of an earlier charge", "3 credits", "sum")
        ]

    def test_of_a_settlement_say_what_was_taken(self):
        team = make.team(5)
        make.captured(make.held(team, None, 4), 12)
        make.grant(team, 100)
        settlement = UsageRecord.objects.get(kind="settlement")
        assert explaining.of_record(settlement) == [
            Line("Taken for what an earlier charge had left owing", "7 credits", "sum")
        ]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"form": "tokens"},
        {"form": "tokens", "cost": "soon", "lines": [["input", None, "x"]]},
        {"form": "sorcery", "price": "house", "markup_percent": "NaN"},
        {"byok": True},
        {"unpriced": "house"},
    ],
)
def test_an_explanation_of_another_shape_gives_what_it_can(odd):
    assert explaining.of_explanation(odd, credits=Decimal("3.2"))[-1].amount == "3.2 credits"

"""What has no price: refused or charged flat, as the organization chose; noted after the decision, and never more than that."""

from decimal import Decimal

import pytest
from django.db import DatabaseError

from credits.ledger import checking, statements, unpriced
from credits.ledger.commands import Settled
from credits.models import Hold, TransactionKey, UnpricedUse, UsageRecord
from credits.pricing.costs import ImagesCost, MoneyCost, TokensCost, UnitsCost, Unpriced
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.factories import api
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

UNKNOWN = TokensCost("unheard-of", 10, 20)
COSTS = [UNKNOWN, ImagesCost("unheard-of", 1, "512x512"), UnitsCost("unheard_of", Decimal(3))]


@pytest.fixture
def team():
    return make.team(100)


def flat(team, credits="2.5"):
    Organization.objects.filter(pk=team.pk).update(unpriced="flat", unpriced_credits=credits)
    return team


def uses():
    return list(
        UnpricedUse.objects.order_by("kind", "name").values_list("kind", "name", "refused", "charged")
    )


class TestRefused:
    @pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.form)
    @pytest.mark.parametrize("ask", [make.hold, make.charge])
    def test_moves_nothing_and_leaves_no_key(self, team, ask, cost):
        [outcome] = make.settle(ask(team, None, cost, key="t"))
        assert isinstance(outcome, Unpriced)
        assert (outcome.status, outcome.code) == (422, "validation_error")
        assert "has no price" in outcome.message
        assert make.pool(team).available == 100
        assert not TransactionKey.objects.exists()

    def test_is_listed_once_a_name_with_how_often(self, team):
        make.settle(*[make.charge(team, None, UNKNOWN) for _ in range(3)], make.hold(team, None, COSTS[2]))
        make.settle(make.charge(team, None, UNKNOWN))
        assert uses() == [("tokens", "unheard-of", 4, 0), ("units", "unheard_of", 1, 0)]

    def test_can_be_had_for_money_instead(self, team):
        make.settle(make.charge(team, None, UNKNOWN, key="t"))
        paid = make.settled(make.charge(team, None, MoneyCost(Decimal("0.1"), model="unheard-of"), key="t"))
        assert (paid.charge.credits, paid.charge.unpriced) == (11, False)

    def test_is_refused_alone_in_a_batch(self, team):
        first, second, third = make.settle(
            make.charge(team, None, 1), make.charge(team, None, UNKNOWN), make.charge(team, None, 2)
        )
        assert isinstance(second, Unpriced)
        assert isinstance(first, Settled)
        assert isinstance(third, Settled)
        assert make.pool(team).available == 97


class TestFlat:
    @pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.form)
    def test_charges_what_the_organization_chose_and_says_so(self, team, cost):
        charge = make.settled(make.charge(flat(team), None, cost)).charge
        assert (charge.credits, charge.unpriced) == (Decimal("2.5"), True)
        name = "unheard_of" if cost.form == "units" else "unheard-of"
        assert charge.price == {"form": cost.form, "unpriced": name, "charged": "flat"}
        assert UsageRecord.objects.get(pk=charge.id).unpriced is True
        assert uses() == [(cost.form, name, 0, 1)]

    def test_takes_no_markup(self):
        team = make.team(100, unlimited=False)  # 30 % without a plan
        assert make.settled(make.charge(flat(team, "2"), None, UNKNOWN)).charge.credits == 2

    def test_is_held_and_captured_at_what_was_held_and_noted_once(self, team):
        hold = make.held(flat(team), None, UNKNOWN)
        assert Hold.objects.get(pk=hold).credits == Decimal("2.5")
        charge = make.captured(hold, TokensCost("", 10, 500)).charge
        assert (charge.credits, charge.unpriced, charge.price["charged"]) == (
            Decimal("2.5"),
            True,
            "the held amount",
        )
        assert uses() == [("tokens", "unheard-of", 0, 1)]

    def test_is_captured_by_its_price_where_it_has_got_one_meanwhile(self, team):
        hold = make.held(flat(team), None, UNKNOWN)
        make.price("unheard-of", output_price="0.01")
        charge = make.captured(hold, TokensCost("", 0, 10)).charge
        assert (charge.credits, charge.unpriced) == (11, False)

    def test_is_read_after_the_lock(self, team):
        """The choice stands in the standing, so that a request that waited is priced by what holds now."""
        make.settle(make.charge(flat(team), None, UNKNOWN))
        Organization.objects.filter(pk=team.pk).update(unpriced="refuse")
        [outcome] = make.settle(make.charge(team, None, UNKNOWN))
        assert isinstance(outcome, Unpriced)

    def test_needs_the_credits_like_any_other(self):
        team = flat(make.team(1), "2")
        [outcome] = make.settle(make.charge(team, None, UNKNOWN))
        assert outcome.status == 402
        assert uses() == []


class TestACaptureOfAFallback:
    def test_is_noted_where_its_hold_had_a_price(self, team):
        make.price("house", output_price="0.01")
        hold = make.held(team, None, TokensCost("house", 0, 10))
        charge = make.captured(hold, UNKNOWN).charge
        assert (charge.credits, charge.unpriced, charge.price["unpriced"]) == (11, True, "unheard-of")
        assert uses() == [("tokens", "unheard-of", 0, 1)]

    def test_is_the_same_where_the_organization_charges_flat(self, team):
        make.price("house", output_price="0.01")
        hold = make.held(flat(team, "99"), None, TokensCost("house", 0, 10))
        assert make.captured(hold, UNKNOWN).charge.credits == 11


class TestNoting:
    def test_counts_no_replay_no_release_and_no_question(self, team):
        flat(team)
        place = make.hold(team, None, UNKNOWN, key="t")
        hold = make.settled(place).hold
        assert make.settled(place).replayed
        make.settled(make.release(hold.pk))
        checking.check(make.hold(team, None, UNKNOWN))
        checking.estimate(make.hold(team, None, UNKNOWN))
        assert uses() == [("tokens", "unheard-of", 0, 1)]

    def test_counts_nothing_of_a_key_of_the_customers_own(self, team):
        charge = make.settled(make.charge(team, None, UNKNOWN, byok=True)).charge
        assert (charge.credits, charge.unpriced) == (0, False)
        assert uses() == []

    @pytest.mark.parametrize("choice", ["refuse", "flat"])
    def test_that_fails_fails_no_request(self, team, monkeypatch, choice):
        if choice == "flat":
            flat(team)

        def broken(*_):
            raise DatabaseError("the table is on fire")

        monkeypatch.setattr(
            unpriced, "statements", type("Broken", (), {"run": broken, "rows": statements.rows})
        )
        [outcome] = make.settle(make.charge(team, None, UNKNOWN))
        assert isinstance(outcome, Unpriced if choice == "refuse" else Settled)
        assert make.pool(team).available == (100 if choice == "refuse" else Decimal("97.5"))
        assert uses() == []

    def test_lists_no_more_names_than_an_organization_can_need(self, team, monkeypatch):
        monkeypatch.setattr(unpriced, "_MOST_NAMES", 3)
        for number in range(5):
            make.settle(make.charge(team, None, TokensCost(f"made-up-{number}", 1, 1)))
        make.settle(make.charge(team, None, TokensCost("made-up-0", 1, 1)))
        assert [(name, refused) for _, name, refused, _ in uses()] == [
            ("made-up-0", 2),
            ("made-up-1", 1),
            ("made-up-2", 1),
        ]


class TestTheChoice:
    @pytest.fixture
    def scene(self):
        return api.scene()

    def path(self, scene):
        return f"/orgs/{scene.org.public_id}"

    def test_is_made_over_the_api_and_audited(self, scene):
        owner = scene.http("owner")
        body = {"unpriced": "flat", "unpriced_credits": "2.50"}
        answer = owner.send("PATCH", self.path(scene), body)
        assert (answer.status_code, answer.json()["unpriced"], answer.json()["unpriced_credits"]) == (
            200,
            "flat",
            "2.5",
        )
        event = AuditEvent.objects.filter(organization=scene.org.public_id).latest("sequence")
        assert (event.action, event.before["unpriced"], event.after["unpriced"]) == (
            "organization.updated",
            "refuse",
            "flat",
        )
        charge = make.settled(make.charge(scene.org, None, UNKNOWN)).charge
        assert charge.credits == Decimal("2.5")

    @pytest.mark.parametrize(
        "body",
        [
            {"unpriced": "flat"},
            {"unpriced": "flat", "unpriced_credits": "0"},
            {"unpriced": "free"},
            {"unpriced_credits": "-1"},
            {"unpriced_credits": 2.5},
        ],
    )
    def test_is_refused_where_it_makes_no_sense(self, scene, body):
        answer = scene.http("owner").send("PATCH", self.path(scene), body)
        assert answer.status_code == 422
        assert scene.http("owner").ask(self.path(scene)).json()["unpriced"] == "refuse"

    def test_is_not_a_members(self, scene):
        assert scene.http("member").send("PATCH", self.path(scene), {"unpriced": "refuse"}).status_code == 403

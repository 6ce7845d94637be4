"""Hold, capture, release, expire: product.md §6."""

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from credits.ledger import holds
from credits.ledger.commands import Reach
from credits.ledger.holding import HoldEnded
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.payers import InsufficientCredits
from credits.models import Hold, Shortfall, UsageRecord
from credits.pricing.costs import TokensCost
from kit.errors import NotFound, PermissionDenied, ValidationError
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def status(hold_id: UUID) -> str:
    return Hold.objects.get(pk=hold_id).status


class TestHold:
    def test_reserves_and_does_not_spend(self):
        team = make.team(100)
        settled = make.settled(make.hold(team, None, 30, ttl=60))
        pool = make.pool(team)
        assert (pool.available, pool.held, pool.spent) == (70, 30, 0)
        assert settled.payer.remaining == 70
        assert (settled.hold.expires_at - settled.hold.created_at).total_seconds() == 60
        assert not UsageRecord.objects.exists()

    def test_says_the_organization_that_pays(self):
        team = make.team(100)
        settled = make.settled(make.hold(team, make.member(team), 1))
        assert settled.organization == settled.payer.organization == team.public_id

    def test_refuses_an_organization_that_does_not_exist(self):
        team = make.team(1)
        command = make.hold(team, None, 1)
        command.organization_id = 0
        assert isinstance(make.settle(command)[0], NotFound)

    def test_reserves_what_tokens_may_cost_at_most(self):
        make.price(input_price="0.000001", output_price="0.000004")
        team = make.team(100)
        settled = make.settled(make.hold(team, None, TokensCost("house-model", 1000, 500)))
        # (1000 x 0.000001 + 500 x 0.000004) x 110 % x 100 credits
        assert settled.hold.credits == Decimal("0.33")

    def test_without_a_maximum_takes_the_models_default(self):
        make.price(output_price="0.00001", default_output_tokens=100)
        team = make.team(100)
        settled = make.settled(make.hold(team, None, TokensCost("house-model", 0, None)))
        assert settled.hold.credits == Decimal("0.11")

    def test_of_a_model_without_a_price_is_refused(self):
        team = make.team(100)
        [outcome] = make.settle(make.hold(team, None, TokensCost("unknown", 1, 1)))
        assert isinstance(outcome, ValidationError)
        assert "unknown" in outcome.details["model"]


class TestCapture:
    @pytest.mark.parametrize("cost", [0, "0.000001", 12, 30])
    def test_of_up_to_what_is_held_returns_the_rest(self, cost):
        team = make.team(100)
        settled = make.captured(make.held(team, None, 30), cost)
        pool = make.pool(team)
        assert (pool.available, pool.held, pool.spent) == (100 - Decimal(cost), 0, Decimal(cost))
        assert settled.hold.status == "captured"
        assert (settled.charge.credits, settled.charge.shortfall) == (Decimal(cost), 0)
        assert settled.payer.remaining == 100 - Decimal(cost)

    def test_above_the_hold_takes_what_the_payer_still_has(self):
        team = make.team(100)
        settled = make.captured(make.held(team, None, 30), 80)
        assert (settled.charge.credits, settled.charge.shortfall) == (80, 0)
        assert make.pool(team).available == 20

    def test_beyond_the_pool_leaves_a_shortfall(self):
        team = make.team(100)
        settled = make.captured(make.held(team, None, 30), 130)
        assert (settled.charge.credits, settled.charge.cost, settled.charge.shortfall) == (100, 130, 30)
        assert Shortfall.objects.get().amount == 30
        assert make.pool(team).available == 0

    def test_beyond_the_pool_takes_the_overdraft_first(self):
        team = make.team(100)
        make.overdraft(team, 20)
        settled = make.captured(make.held(team, None, 30), 130)
        assert (settled.charge.credits, settled.charge.shortfall) == (120, 10)
        assert make.pool(team).available == -20

    def test_of_an_allocation_never_uses_the_overdraft_itself(self):
        team = make.team(30)
        make.overdraft(team, 20)
        user = make.member(team, 30)
        settled = make.captured(make.held(team, user, 30), 45)
        assert (settled.charge.credits, settled.charge.shortfall) == (30, 15)
        assert make.pool(team).available == 0

    def test_of_an_allocation_charges_the_rest_to_the_pool_at_once(self):
        team = make.team(100)
        user = make.member(team, 30)
        settled = make.captured(make.held(team, user, 30), 45)
        assert (settled.charge.credits, settled.charge.shortfall) == (30, 15)
        assert make.pool(team).available == 55
        settlement = UsageRecord.objects.get(kind="settlement")
        assert (settlement.corrects, settlement.credits, settlement.user_id) == (
            settled.charge.id,
            15,
            user.pk,
        )

    def test_keeps_the_attribution_of_the_hold(self):
        team = make.team(100)
        department = make.department(team, 10)
        user = make.member(team, department=department)
        hold = make.held(team, user, 2, service="chat", provider="openai", metadata={"ticket": "7"})
        make.captured(hold, 1)
        charge = UsageRecord.objects.get(hold_id=hold)
        assert (charge.user_id, charge.department_id) == (user.pk, department.pk)
        assert (charge.service, charge.provider, charge.metadata) == ("chat", "openai", {"ticket": "7"})
        assert charge.transaction_id == Hold.objects.get(pk=hold).transaction_id

    def test_with_the_same_figures_again_answers_the_first_charge(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        first = make.captured(hold, 10)
        make.charged(team, None, 5)
        again = make.captured(hold, 10)
        assert again.replayed
        assert again.charge.id == first.charge.id
        assert again.payer.remaining == 85

    def test_with_equal_figures_spelt_otherwise_is_the_same_capture(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        make.captured(hold, "10")
        assert make.captured(hold, "10.000000").replayed

    def test_with_other_figures_is_refused_and_moves_nothing(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        make.captured(hold, 10)
        [outcome] = make.settle(make.capture(hold, 11))
        assert isinstance(outcome, IdempotencyConflict)
        assert make.pool(team).available == 90

    def test_of_a_released_hold_is_refused(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        make.settled(make.release(hold))
        [outcome] = make.settle(make.capture(hold, 10))
        assert isinstance(outcome, HoldEnded)
        assert (outcome.status, outcome.details["status"]) == (409, "released")

    def test_is_not_refused_after_removal_suspension_or_revocation_of_the_allocation(self):
        team = make.team(100)
        user = make.member(team, 40)
        hold = make.held(team, user, 30)
        member = make.membership(team, user)
        make.orgs.memberships.remove(membership=member, by=SYSTEM, acting_as="owner")
        Organization.objects.filter(pk=team.pk).update(status="suspended")
        settled = make.captured(hold, 10)
        assert settled.charge.credits == 10
        assert make.pool(team).available == 90

    def test_at_a_price_of_an_unpriced_fallback_takes_what_was_held(self):
        make.price(output_price="0.001")
        team = make.team(100)
        hold = make.held(team, None, TokensCost("house-model", 0, 100))
        settled = make.captured(hold, TokensCost("nobody-knows-it", 10, 10))
        assert settled.charge.credits == Decimal(11)
        assert settled.charge.unpriced
        assert settled.charge.model == "nobody-knows-it"

    def test_takes_the_model_of_the_hold_where_it_names_none(self):
        make.price(output_price="0.001")
        hold = make.held(make.team(100), None, TokensCost("house-model", 0, 100))
        settled = make.captured(hold, TokensCost("", 0, 10))
        assert (settled.charge.credits, settled.charge.model) == (Decimal("1.1"), "house-model")

    def test_of_a_hold_nobody_placed_is_not_found(self):
        assert isinstance(make.settle(make.capture(uuid4(), 1))[0], NotFound)

    def test_beyond_what_a_request_may_move_is_malformed_and_leaves_the_hold_open(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        [outcome] = make.settle(make.capture(hold, "1000000000.000001"))
        assert isinstance(outcome, ValidationError)
        assert status(hold) == "active"


class TestZeroCredits:
    def test_a_hold_needs_no_payer(self):
        team = make.team(0, shared_spending="never")
        settled = make.settled(make.hold(team, make.member(team), 0))
        assert settled.payer is None
        assert (settled.hold.pool_id, settled.hold.allocation_id) == (None, None)

    def test_a_charge_needs_no_payer(self):
        team = make.team(0)
        settled = make.settled(make.charge(team, make.member(team), 0))
        assert (settled.charge.credits, settled.payer) == (0, None)

    def test_byok_costs_nothing_and_keeps_what_the_provider_asked(self):
        make.price(output_price="0.001")
        team = make.team(0)
        settled = make.settled(
            make.charge(team, make.member(team), TokensCost("house-model", 5, 10), byok=True)
        )
        assert (settled.charge.credits, settled.charge.byok) == (0, True)
        assert settled.charge.price["cost"] == "0.01"

    def test_a_byok_hold_captures_for_nothing_whatever_it_cost(self):
        team = make.team(10)
        hold = make.held(team, make.member(team), TokensCost("house-model", 5, 10), byok=True)
        assert make.captured(hold, 7).charge.credits == 0
        assert make.pool(team).available == 10

    def test_a_free_hold_may_turn_out_to_cost_something(self):
        team = make.team(10)
        user = make.member(team, 4)
        settled = make.captured(make.held(team, user, 0), 3)
        assert (settled.charge.credits, settled.payer.kind) == (3, "allocation")

    def test_a_free_hold_of_somebody_without_a_payer_is_charged_to_the_organization(self):
        team = make.team(10, shared_spending="never")
        settled = make.captured(make.held(team, make.member(team), 0), 3)
        assert (settled.charge.credits, settled.payer.kind) == (3, "pool")

    def test_needs_a_membership(self):
        outcome = make.settle(make.charge(make.team(), make.orgs.user(), 0))[0]
        assert isinstance(outcome, PermissionDenied)


class TestRelease:
    def test_returns_all_that_was_held(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        assert make.settled(make.release(hold)).hold.status == "released"
        pool = make.pool(team)
        assert (pool.available, pool.held) == (100, 0)

    def test_twice_returns_it_once(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        for _ in range(2):
            assert make.settled(make.release(hold)).hold.status == "released"
        assert make.pool(team).available == 100

    def test_of_a_captured_hold_is_refused(self):
        team = make.team(100)
        hold = make.held(team, None, 30)
        make.captured(hold, 10)
        [outcome] = make.settle(make.release(hold))
        assert isinstance(outcome, HoldEnded)
        assert make.pool(team).available == 90

    def test_after_its_time_ends_it_as_expired(self):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("61 seconds"):
            assert make.settled(make.release(hold)).hold.status == "expired"
        assert make.pool(team).available == 100


class TestExpiry:
    def test_returns_what_was_held(self):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("60 seconds"):
            assert holds.expire_due() == 1
        assert status(hold) == "expired"
        assert make.pool(team).available == 100

    def test_leaves_a_hold_whose_time_is_not_over(self):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("59 seconds"):
            assert holds.expire_due() == 0
            make.settle(make.expire(hold))
        assert status(hold) == "active"

    def test_takes_no_more_than_asked_oldest_first(self):
        team = make.team(100)
        newer = make.held(team, None, 1, ttl=120)
        older = make.held(team, None, 1, ttl=60)
        with make.later("1 hour"):
            assert holds.expire_due(at_most=1) == 1
        assert (status(older), status(newer)) == ("expired", "active")

    def test_of_a_captured_hold_changes_nothing(self):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        make.captured(hold, 10)
        with make.later("1 hour"):
            make.settle(make.expire(hold))
        assert status(hold) == "captured"
        assert make.pool(team).available == 90


class TestAnOverdueHold:
    """It is over by the database's clock, whether the sweeper ran or not."""

    @pytest.mark.parametrize("payer", ["pool", "allocation"])
    def test_keeps_no_credits_from_the_next_request(self, payer):
        team = make.team(10)
        user = make.member(team, 10 if payer == "allocation" else None)
        hold = make.held(team, user, 8, ttl=60)
        with make.later("59 seconds"):
            assert isinstance(make.settle(make.hold(team, user, 5))[0], InsufficientCredits)
        with make.later("61 seconds"):
            make.held(team, user, 5)
        assert status(hold) == "expired"

    def test_of_an_allocation_keeps_none_where_the_pool_was_asked_last(self):
        team = make.team(10, shared_spending="always")
        user = make.member(team, 10)
        hold = make.held(team, user, 8, ttl=60)
        with make.later("61 seconds"):
            make.held(team, user, 5)
        assert (status(hold), make.allocation(team, user).held) == ("expired", 5)

    def test_of_somebody_else_stays_as_it_is(self):
        team = make.team(20)
        first, second = make.member(team, 10), make.member(team, 10)
        hold = make.held(team, first, 8, ttl=60)
        with make.later("61 seconds"):
            assert isinstance(make.settle(make.hold(team, second, 11))[0], InsufficientCredits)
        assert status(hold) == "active"

    def test_makes_room_for_no_more_than_it_held(self):
        team = make.team(10)
        make.held(team, None, 8, ttl=60)
        with make.later("61 seconds"):
            [outcome] = make.settle(make.hold(team, None, 11))
        assert outcome.details["limit"]["remaining"] == "10"


class TestLateCapture:
    @pytest.mark.parametrize("swept", [True, False])
    def test_takes_like_an_overage_and_the_hold_stays_expired(self, swept):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("6 days"):
            if swept:
                holds.expire_due()
            settled = make.captured(hold, 120)
        assert settled.hold.status == status(hold) == "expired"
        assert (settled.charge.credits, settled.charge.shortfall, settled.charge.late) == (100, 20, True)
        assert make.pool(team).held == 0

    def test_may_find_its_credits_spent(self):
        team = make.team(30)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("1 hour"):
            holds.expire_due()
            make.charged(team, None, 25)
            settled = make.captured(hold, 30)
        assert (settled.charge.credits, settled.charge.shortfall) == (5, 25)

    def test_is_remembered_like_any_capture(self):
        hold = make.held(make.team(100), None, 30, ttl=60)
        with make.later("1 hour"):
            first = make.captured(hold, 10)
            assert make.captured(hold, 10).charge.id == first.charge.id
            assert isinstance(make.settle(make.capture(hold, 11))[0], IdempotencyConflict)
            assert isinstance(make.settle(make.release(hold))[0], HoldEnded)

    def test_seven_days_after_expiry_is_the_last_moment(self):
        hold = make.held(make.team(100), None, 30, ttl=60)
        with make.later("7 days 59 seconds"):
            assert make.captured(hold, 1).charge.late

    def test_later_than_seven_days_is_refused(self):
        team = make.team(100)
        hold = make.held(team, None, 30, ttl=60)
        with make.later("7 days 2 minutes"):
            assert isinstance(make.settle(make.capture(hold, 1))[0], HoldEnded)
            assert make.settled(make.release(hold)).hold.status == "expired"
        assert make.pool(team).available == 100


class TestWhoMayEndIt:
    def test_whoever_placed_it(self):
        team = make.team(10)
        hold = make.held(team, None, 1, by=make.spender(made_by="key_a"))
        mine = make.capture(hold, 1, by=make.spender(made_by="key_a"), reach=Reach.OWN, organization=team)
        assert make.settled(mine).charge.made_by == "key_a"

    @pytest.mark.parametrize("act", [make.capture, make.release])
    def test_another_key_does_not_know_it(self, act):
        team = make.team(10)
        hold = make.held(team, None, 1, by=make.spender(made_by="key_a"))
        stranger = make.spender(make.member(team), made_by="key_b")
        [outcome] = make.settle(act(hold, by=stranger, reach=Reach.OWN, organization=team))
        assert isinstance(outcome, NotFound)
        assert status(hold) == "active"

    def test_another_key_of_the_same_member_knows_it_and_may_not(self):
        team = make.team(10)
        user = make.member(team)
        hold = make.held(team, user, 1, by=make.spender(user, made_by="key_a"))
        other = make.spender(user, made_by="key_b")
        [outcome] = make.settle(make.release(hold, by=other, reach=Reach.OWN, organization=team))
        assert isinstance(outcome, PermissionDenied)

    def test_an_organization_key_ends_all_of_its_own_organization(self):
        team = make.team(10)
        hold = make.held(team, None, 1)
        own = make.release(
            hold, by=make.spender(made_by="key_o"), reach=Reach.ORGANIZATION, organization=team
        )
        assert make.settled(own).hold.status == "released"

    @pytest.mark.parametrize("act", [make.capture, make.release])
    @pytest.mark.parametrize("reach", [Reach.OWN, Reach.ORGANIZATION])
    def test_nobody_of_another_organization(self, act, reach):
        team, other = make.team(10), make.team(10)
        hold = make.held(team, None, 1)
        [outcome] = make.settle(act(hold, by=make.spender(), reach=reach, organization=other))
        assert isinstance(outcome, NotFound)
        assert (status(hold), make.pool(other).available) == ("active", 10)

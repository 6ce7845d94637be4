"""Charges, batches, repeats and refusals: `charging.settle`."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credits.ledger import charging
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.payers import InsufficientCredits
from credits.ledger.spending import ShortfallOpen
from credits.ledger.standing import OrganizationSuspended, PaymentOverdue
from credits.models import DailyUsage, Shortfall, TransactionKey, UsageRecord
from credits.pricing.costs import MoneyCost, TokensCost
from credits.signals import usage_recorded
from kit.errors import NotFound, PermissionDenied, Unauthorized, ValidationError
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Membership, Organization, Subscription
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def kinds(outcomes):
    return [
        getattr(one, "code", "replayed" if getattr(one, "replayed", False) else "done") for one in outcomes
    ]


def nothing_moved(team, credits):
    assert make.pool(team).available == credits
    assert not UsageRecord.objects.filter(organization=team).exists()
    assert not TransactionKey.objects.filter(organization=team).exists()


class TestCharge:
    def test_takes_and_attributes(self):
        team = make.team(100)
        user = make.member(team)
        make.settled(make.charge(team, user, "2.5", service="chat", provider="anthropic"))
        record = UsageRecord.objects.get()
        assert (record.credits, record.cost, record.user_id) == (Decimal("2.5"), Decimal("2.5"), user.pk)
        assert (record.service, record.provider, record.made_by) == ("chat", "anthropic", make.GATEWAY)
        assert make.pool(team).spent == Decimal("2.5")

    def test_adds_up_into_one_row_per_grain(self):
        team = make.team(100)
        user = make.member(team)
        make.settle(
            *(make.charge(team, user, 2) for _ in range(3)), make.charge(team, user, 1, service="rag")
        )
        rollup = DailyUsage.objects.order_by("service").values_list("service", "requests", "credits")
        assert list(rollup) == [("llm", 3, 6), ("rag", 1, 1)]

    def test_belongs_to_the_day_of_the_organizations_calendar(self):
        team = make.team(100)
        Organization.objects.filter(pk=team.pk).update(time_zone="Pacific/Kiritimati")  # 14 hours ahead
        with make.later("0"):
            charge = make.settled(make.charge(team)).charge
        assert charge.day == (charge.created_at + timedelta(hours=14)).date()

    def test_is_announced_once_with_all_records_of_its_batch(self):
        heard = []

        def listen(*, records, **_):
            heard.append([one.credits for one in records])

        usage_recorded.connect(listen)
        try:
            team = make.team(100)
            make.settle(make.charge(team, cost=1), make.charge(team, cost=2), make.charge(team, cost=3))
        finally:
            usage_recorded.disconnect(listen)
        assert heard == [[1, 2, 3]]

    def test_that_its_listener_refuses_never_happened(self):
        def fail(**_):
            raise RuntimeError("the outbox is full")

        team = make.team(100)
        usage_recorded.connect(fail)
        try:
            outcome = charging.settle_one(make.charge(team))
        finally:
            usage_recorded.disconnect(fail)
        assert (outcome.code, outcome.status) == ("internal_error", 500)
        nothing_moved(team, 100)


class TestBatch:
    def test_admits_first_fit_in_arrival_order(self):
        team = make.team(100)
        outcomes = make.settle(*(make.charge(team, cost=cost) for cost in (60, 70, 30)))
        assert kinds(outcomes) == ["done", "insufficient_credits", "done"]
        assert make.pool(team).available == 10

    def test_one_giant_refuses_no_small_one(self):
        team = make.team(10)
        outcomes = make.settle(make.charge(team, cost=999), *(make.charge(team, cost=1) for _ in range(10)))
        assert kinds(outcomes) == ["insufficient_credits"] + ["done"] * 10

    def test_tells_each_what_remained_after_it(self):
        team = make.team(10)
        outcomes = make.settle(*(make.hold(team, cost=cost) for cost in (1, 2, 3)))
        assert [one.payer.remaining for one in outcomes] == [9, 7, 4]

    def test_of_many_organizations_and_members_charges_each_their_own(self):
        teams = [make.team(50) for _ in range(3)]
        users = [make.member(team, 20) for team in teams]
        commands = [make.charge(team, user, 15) for team, user in zip(teams, users, strict=True)] * 1
        outcomes = make.settle(*commands, *(make.charge(team, None, 30) for team in teams))
        assert kinds(outcomes) == ["done"] * 6
        for team, user in zip(teams, users, strict=True):
            assert make.pool(team).available == 0
            assert make.allocation(team, user).remaining == 5

    def test_with_one_id_of_two_organizations_charges_both(self):
        first, second = make.team(5), make.team(5)
        outcomes = make.settle(make.charge(first, key="same"), make.charge(second, key="same"))
        assert kinds(outcomes) == ["done", "done"]

    def test_with_one_id_twice_charges_once(self):
        team = make.team(5)
        outcomes = make.settle(make.charge(team, key="same"), make.charge(team, key="same"))
        assert kinds(outcomes) == ["done", "replayed"]
        assert make.pool(team).available == 4

    def test_with_one_id_for_a_hold_and_a_charge_refuses_the_second(self):
        team = make.team(5)
        outcomes = make.settle(make.hold(team, key="same"), make.charge(team, key="same"))
        assert kinds(outcomes) == ["done", "idempotency_conflict"]

    def test_with_two_ends_of_one_hold_ends_it_once(self):
        team = make.team(10)
        hold = make.held(team, cost=5)
        outcomes = make.settle(make.capture(hold, 2), make.release(hold), make.capture(hold, 2))
        assert kinds(outcomes) == ["done", "hold_ended", "replayed"]
        assert make.pool(team).available == 8

    def test_with_a_release_before_a_capture_keeps_the_release(self):
        team = make.team(10)
        hold = make.held(team, cost=5)
        outcomes = make.settle(make.release(hold), make.capture(hold, 2))
        assert kinds(outcomes) == ["done", "hold_ended"]
        assert make.pool(team).available == 10

    def test_in_which_a_refused_id_comes_again_decides_it_again(self):
        team = make.team(5)
        outcomes = make.settle(make.charge(team, cost=6, key="same"), make.charge(team, cost=5, key="same"))
        assert kinds(outcomes) == ["insufficient_credits", "done"]

    def test_of_a_thousand_answers_in_the_order_sent(self):
        team = make.team(500)
        outcomes = make.settle(*(make.charge(team, key=f"n{n}") for n in range(1000)))
        assert kinds(outcomes) == ["done"] * 500 + ["insufficient_credits"] * 500
        assert [one.charge.transaction_id for one in outcomes[:500]] == [f"n{n}" for n in range(500)]

    def test_of_nothing_is_nothing(self):
        assert make.settle() == []


class TestRepeat:
    def test_answers_with_the_first_charge_and_takes_nothing(self):
        team = make.team(10)
        first = make.settled(make.charge(team, cost=4, key="one"))
        again = make.settled(make.charge(team, cost=4, key="one"))
        assert (again.replayed, again.charge.id) == (True, first.charge.id)
        assert make.pool(team).available == 6

    def test_answers_after_the_money_is_gone_and_the_member_left(self):
        team = make.team(10)
        user = make.member(team)
        first = make.settled(make.hold(team, user, 4, key="one"))
        make.charged(team, None, 6)
        Membership.objects.filter(user=user).update(ended_at=timezone.now())
        again = make.settled(make.hold(team, user, 4, key="one"))
        assert (again.hold.pk, again.payer.remaining) == (first.hold.pk, 0)

    def test_shows_the_present_status_of_the_hold(self):
        team = make.team(10)
        hold = make.held(team, cost=4, key="one")
        make.captured(hold, 1)
        again = make.settled(make.hold(team, cost=4, key="one"))
        assert (again.hold.status, again.payer.remaining) == ("captured", 9)

    def test_spelt_otherwise_is_the_same(self):
        team = make.team(10)
        make.charged(team, cost="4", key="one")
        assert make.settled(make.charge(team, cost="4.000", key="one")).replayed

    def test_with_other_metadata_or_ttl_is_the_same(self):
        team = make.team(10)
        make.held(team, key="one", ttl=60, metadata={"a": 1})
        assert make.settled(make.hold(team, key="one", ttl=90, metadata={"b": 2})).replayed

    @pytest.mark.parametrize(
        "other",
        [
            {"cost": 2},
            {"service": "rag"},
            {"provider": "openai"},
            {"byok": True},
            {"cost": MoneyCost(Decimal(1))},
        ],
        ids=str,
    )
    def test_with_other_content_is_refused_and_moves_nothing(self, other):
        team = make.team(10)
        make.charged(team, cost=1, key="one")
        [outcome] = make.settle(make.charge(team, key="one", **({"cost": 1} | other)))
        assert isinstance(outcome, IdempotencyConflict)
        assert make.pool(team).available == 9

    def test_with_another_member_or_model_is_refused(self):
        make.price(output_price="0.001")
        make.price("second-model", output_price="0.001")
        team = make.team(10)
        user = make.member(team)
        make.charged(team, user, TokensCost("house-model", 0, 1), key="one")
        others = [
            make.charge(team, make.member(team), TokensCost("house-model", 0, 1), key="one"),
            make.charge(team, user, TokensCost("second-model", 0, 1), key="one"),
            make.charge(team, user, TokensCost("house-model", 0, 2), key="one"),
            make.hold(team, user, TokensCost("house-model", 0, 1), key="one"),
        ]
        assert kinds(make.settle(*others)) == ["idempotency_conflict"] * 4

    def test_of_a_refused_request_may_succeed_later(self):
        team = make.team(1)
        assert kinds(make.settle(make.charge(team, cost=5, key="one"))) == ["insufficient_credits"]
        assert not TransactionKey.objects.exists()
        make.grant(team, 10)
        assert kinds(make.settle(make.charge(team, cost=5, key="one"))) == ["done"]

    def test_does_not_count_against_the_quota(self):
        team = make.team(10, unlimited=False)
        make.limit_calls(team, day=1)
        make.charged(team, key="one")
        again = make.settled(make.charge(team, key="one"))
        assert (again.quota["day"].used, again.quota["day"].limit) == (1, 1)


class TestRefusal:
    @pytest.mark.parametrize("command", [make.hold, make.charge])
    def test_of_somebody_who_is_no_member(self, command):
        team = make.team(10)
        [outcome] = make.settle(command(team, make.orgs.user()))
        assert isinstance(outcome, PermissionDenied)
        nothing_moved(team, 10)

    @pytest.mark.parametrize("command", [make.hold, make.charge])
    def test_of_somebody_who_left(self, command):
        team = make.team(10)
        user = make.member(team)
        Membership.objects.filter(user=user).update(ended_at=timezone.now())
        assert isinstance(make.settle(command(team, user))[0], PermissionDenied)
        nothing_moved(team, 10)

    def test_of_a_user_who_is_not_active(self):
        team = make.team(10)
        user = make.member(team)
        user.is_active = False
        user.save()
        assert isinstance(make.settle(make.charge(team, user))[0], PermissionDenied)

    @pytest.mark.parametrize("command", [make.hold, make.charge])
    def test_of_a_suspended_organization(self, command):
        team = make.team(10)
        make.orgs.organizations.suspend(organization=team, reason="fraud", by=SYSTEM)
        [outcome] = make.settle(command(team))
        assert isinstance(outcome, OrganizationSuspended)
        assert (outcome.code, outcome.status) == ("organization_suspended", 403)
        nothing_moved(team, 10)

    def test_of_an_archived_organization(self):
        team = make.team(10)
        Organization.objects.filter(pk=team.pk).update(status="archived")
        assert isinstance(make.settle(make.charge(team))[0], NotFound)

    def test_of_a_plan_unpaid_for_more_than_seven_days(self):
        team = make.team(10)
        Subscription.objects.update(
            status="past_due", past_due_since=timezone.now() - timedelta(days=7, minutes=1)
        )
        [outcome] = make.settle(make.charge(team))
        assert isinstance(outcome, PaymentOverdue)
        assert (outcome.code, outcome.status) == ("payment_overdue", 402)

    def test_not_yet_of_a_plan_unpaid_for_less_than_seven_days(self):
        team = make.team(10)
        Subscription.objects.update(
            status="past_due", past_due_since=timezone.now() - timedelta(days=6, hours=23)
        )
        make.charged(team)

    def test_of_a_key_that_was_revoked_or_has_expired(self):
        team = make.team(10)
        revoked = make.orgs.organization_key(team).key
        keys.revoke(key=revoked, by=SYSTEM)
        expired = make.orgs.organization_key(team).key
        AccessKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        outcomes = make.settle(
            *(make.charge(team, by=make.spender(key_id=pk)) for pk in (revoked.pk, expired.pk, 0))
        )
        assert [type(one) for one in outcomes] == [Unauthorized] * 3
        nothing_moved(team, 10)

    @pytest.mark.parametrize("cost", ["-1", "-0.000001", "1000000000.000001", "NaN", "Infinity"])
    @pytest.mark.parametrize("command", [make.hold, make.charge])
    def test_of_an_amount_that_is_none_leaves_its_neighbours_alone(self, command, cost):
        team = make.team(10)
        outcomes = make.settle(make.charge(team), command(team, None, cost), make.charge(team))
        assert kinds(outcomes) == ["done", "validation_error", "done"]
        assert make.pool(team).available == 8

    def test_of_more_places_than_a_credit_has(self):
        team = make.team(10)
        [outcome] = make.settle(make.charge(team, None, "0.0000001"))
        assert isinstance(outcome, ValidationError)


class TestShortfall:
    @pytest.fixture
    def debtor(self, settings):
        settings.SHORTFALL_LIMIT = 100
        team = make.team(10)
        make.captured(make.held(team, None, 10), 110)
        return team

    def test_at_the_limit_lets_go_on(self, debtor):
        assert isinstance(make.settle(make.charge(debtor))[0], InsufficientCredits)

    def test_above_the_limit_refuses_new_holds_and_charges(self, debtor):
        open_hold = make.held(debtor, None, 0)
        make.captured(open_hold, "0.000001")
        outcomes = make.settle(make.hold(debtor), make.charge(debtor), make.hold(debtor, None, 0))
        assert [type(one) for one in outcomes] == [ShortfallOpen] * 3
        assert (outcomes[0].code, outcomes[0].status) == ("shortfall_open", 402)
        assert outcomes[0].details["shortfall_open"] == "100.000001"

    def test_above_the_limit_captures_and_releases_go_on(self, debtor):
        first, second = make.held(debtor, None, 0), make.held(debtor, None, 0)
        make.captured(first, 50)
        assert make.captured(second, 50).charge.shortfall == 50

    def test_is_charged_by_the_next_grant_before_anybody_spends_it(self, debtor):
        make.grant(debtor, 150)
        assert make.pool(debtor).available == 50
        settlement = UsageRecord.objects.get(kind="settlement")
        assert (settlement.credits, settlement.corrects) == (100, Shortfall.objects.get().charge_id)
        make.charged(debtor, None, 50)

    def test_is_charged_in_part_by_a_smaller_grant(self, debtor):
        make.grant(debtor, 40)
        assert make.pool(debtor).available == 0
        assert Shortfall.objects.get().settled == 40

    def test_is_charged_oldest_first(self, debtor):
        make.captured(make.held(debtor, None, 0), 30)
        make.grant(debtor, 110)
        assert list(Shortfall.objects.order_by("pk").values_list("settled", flat=True)) == [100, 10]

    def test_is_charged_by_what_a_release_gives_back(self):
        team = make.team(50)
        kept = make.held(team, None, 30)
        make.captured(make.held(team, None, 20), 25)
        make.settled(make.release(kept))
        assert Shortfall.objects.get().settled == 5
        assert make.pool(team).available == 25

    def test_waits_while_the_pool_is_overdrawn(self):
        team = make.team(10)
        make.overdraft(team, 20)
        make.captured(make.held(team, None, 10), 40)
        assert (make.pool(team).available, Shortfall.objects.get().settled) == (-20, 0)
        make.grant(team, 15)
        assert (make.pool(team).available, Shortfall.objects.get().settled) == (-5, 0)
        make.grant(team, 15)
        assert (make.pool(team).available, Shortfall.objects.get().settled) == (0, 10)

    def test_is_charged_by_what_an_allocation_gives_back(self, debtor):
        make.grant(debtor, 130)
        user = make.member(debtor, 30)
        make.captured(make.held(debtor, None, 0), 20)
        make.revoke(debtor, user)
        assert make.pool(debtor).available == 10


class TestAfterTheFact:
    def test_is_taken_as_far_as_the_payer_goes_and_owed_beyond(self):
        team = make.team(100)
        user = make.member(team, 5)
        charge = make.settled(make.charge(team, user, 8, after_the_fact=True)).charge
        assert (charge.credits, charge.shortfall, charge.after_the_fact) == (5, 3, True)
        assert make.pool(team).available == 92  # what is owed was charged to the pool at once

    def test_lies_on_the_day_it_happened(self):
        team = make.team(10)
        happened = timezone.now() - timedelta(days=3)
        charge = make.settled(make.charge(team, after_the_fact=True, occurred_at=happened)).charge
        assert (charge.day, charge.occurred_at) == (happened.date(), happened)

    def test_of_somebody_who_left_is_still_theirs(self):
        team = make.team(10)
        user = make.member(team)
        Membership.objects.filter(user=user).update(ended_at=timezone.now())
        assert make.settled(make.charge(team, user, 1, after_the_fact=True)).charge.user_id == user.pk

    def test_is_not_refused_by_suspension_debt_quota_or_want_of_a_payer(self, settings):
        settings.SHORTFALL_LIMIT = 0
        team = make.team(0, shared_spending="never", unlimited=False)
        make.limit_calls(team, day=1)
        user = make.member(team)
        Organization.objects.filter(pk=team.pk).update(status="suspended")
        for _ in range(3):
            assert make.settled(make.charge(team, user, 1, after_the_fact=True)).charge.shortfall == 1

    def test_of_somebody_who_never_was_a_member_is_refused(self):
        outcome = make.settle(make.charge(make.team(10), make.orgs.user(), 1, after_the_fact=True))[0]
        assert isinstance(outcome, PermissionDenied)

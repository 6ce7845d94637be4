"""Plans and subscriptions: which limits hold."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from kit.errors import Conflict, NotFound, ValidationError
from orgs import signals, subscriptions
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Plan, PlanFee, Subscription
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
JANUARY, FEBRUARY, MARCH = (datetime(2027, month, 1, tzinfo=UTC) for month in (1, 2, 3))
PERIOD: dict[str, Any] = {"period_start": JANUARY, "period_end": FEBRUARY}
FEE: dict[str, Any] = {
    "amount_cents": 1900,
    "full_amount_cents": 1900,
    "currency": "USD",
    "reference": "INV-1",
}


@pytest.fixture(autouse=True)
def _verbs_run_in_a_transaction():
    with transaction.atomic():
        yield


@pytest.fixture
def team():
    return make.team()


@pytest.fixture
def starter(team):
    return subscriptions.set_plan(organization=team, plan_code="starter", by=SYSTEM, **PERIOD)


def test_the_plans_are_those_of_the_product_page():
    found = {plan.code: plan for plan in Plan.objects.all()}
    rows = {
        code: (one.daily_calls, one.monthly_calls, one.seats, one.markup_percent, one.included_credits)
        for code, one in found.items()
    }
    assert rows == {
        "none": (100, 1_000, 5, Decimal(30), 0),
        "founders_friend": (1_000, 10_000, 5, Decimal(0), 0),
        "trial": (100, 700, 5, Decimal(30), 500),
        "starter": (500, 10_000, 5, Decimal(30), 2_000),
        "professional": (5_000, 100_000, 25, Decimal(20), 6_000),
        "enterprise": (None, None, None, Decimal(10), 15_000),
    }


class TestSetPlan:
    def test_starts_then_changes_the_one_subscription(self, team, starter):
        changed = subscriptions.set_plan(
            organization=team, plan_code="professional", by=SYSTEM, period_start=FEBRUARY, period_end=MARCH
        )
        assert changed.pk == starter.pk
        assert (changed.started_at, changed.plan.code) == (JANUARY, "professional")
        event = AuditEvent.objects.filter(organization=team.public_id).latest("sequence")
        assert (event.action, event.before["plan_code"], event.after["plan_code"]) == (
            "subscription.changed", "starter", "professional",
        )  # fmt: skip
        assert subscriptions.plan_of(organization=team).code == "professional"

    @pytest.mark.parametrize("name", ["starter", "starter_monthly", "starter_annual", "starter_yearly"])
    def test_takes_the_names_of_periods(self, name):
        assert subscriptions.plan_named(name).code == "starter"

    def test_refuses(self, team):
        cases: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"plan_code": "platinum"}, NotFound),
            ({"plan_code": "none"}, ValidationError),
            ({"period_end": JANUARY}, ValidationError),
            ({"status": "past_due"}, ValidationError),
        ]
        for wrong, error in cases:
            with pytest.raises(error):
                subscriptions.set_plan(
                    **({"organization": team, "plan_code": "starter", "by": SYSTEM} | PERIOD | wrong)
                )

    def test_gives_seats(self, team):
        subscriptions.set_plan(organization=team, plan_code="enterprise", by=SYSTEM, **PERIOD)
        for _ in range(6):
            make.member(team)


class TestFeePaid:
    @pytest.fixture
    def pay(self, starter):
        """Return what tells of a paid fee, and how often it was announced."""

        def tell(**terms):
            asked = {"subscription": starter, "plan": starter.plan, "by": SYSTEM} | PERIOD | FEE | terms
            return subscriptions.fee_paid(**asked)

        return tell

    @pytest.fixture
    def announced(self):
        heard: list[PlanFee] = []

        def listen(*, fee, **_):
            heard.append(fee)

        signals.fee_paid.connect(listen)
        yield heard
        signals.fee_paid.disconnect(listen)

    def test_counts_once_per_period_and_is_announced_once(self, pay, announced):
        first, is_new = pay()
        again, is_new_again = pay()
        assert (first, is_new, is_new_again, announced) == (again, True, False, [first])
        assert AuditEvent.objects.filter(action="subscription.fee_paid").count() == 1

    def test_of_another_plan_in_the_same_period_is_another_fee(self, pay, announced):
        pay()
        pay(plan=Plan.objects.get(code="professional"), amount_cents=4900, full_amount_cents=4900)
        assert len(announced) == 2

    @pytest.mark.parametrize(
        "other",
        [{"amount_cents": 1}, {"currency": "EUR"}, {"full_amount_cents": 3800}, {"period_end": MARCH}],
    )
    def test_refuses_other_terms_for_a_paid_period(self, pay, other):
        pay()
        with pytest.raises(Conflict):
            pay(**other)

    def test_keeps_what_an_upgrade_gave_back(self, pay, starter):
        fee, _ = pay(
            plan=Plan.objects.get(code="professional"),
            amount_cents=2450,
            full_amount_cents=4900,
            replaced_plan=starter.plan,
            credited_cents=950,
            replaced_full_cents=1900,
        )
        assert (fee.replaced_plan, fee.credited_cents, fee.replaced_full_cents) == (starter.plan, 950, 1900)

    def test_database_keeps_one_a_period_and_amounts_within_the_price(self, pay, starter):
        fee, _ = pay()
        for values in ({"amount_cents": -1}, {"amount_cents": 1901}):
            with pytest.raises(IntegrityError, match="plan_fee_is_part_of_the_price"), transaction.atomic():
                PlanFee.objects.filter(pk=fee.pk).update(**values)
        with pytest.raises(IntegrityError, match="plan_fee_credit_is_part"), transaction.atomic():
            PlanFee.objects.filter(pk=fee.pk).update(credited_cents=1, replaced_full_cents=1)
        with pytest.raises(IntegrityError, match="plan_fee_once_per_period"), transaction.atomic():
            PlanFee.objects.create(
                subscription=starter, plan=starter.plan, period_start=JANUARY, period_end=MARCH, **FEE
            )


class TestStates:
    def test_past_due_keeps_its_first_date_until_restored(self, starter):
        subscriptions.mark_past_due(subscription=starter, since=JANUARY, by=SYSTEM)
        assert (
            subscriptions.mark_past_due(subscription=starter, since=MARCH, by=SYSTEM).past_due_since
            == JANUARY
        )
        restored = subscriptions.restore(subscription=starter, by=SYSTEM)
        assert (restored.status, restored.past_due_since) == ("active", None)

    def test_a_pause_outlasts_plans_and_periods_and_keeps_a_debt(self, team, starter):
        with pytest.raises(ValidationError, match="reason"):
            subscriptions.pause(subscription=starter, reason="  ", by=SYSTEM)
        subscriptions.mark_past_due(subscription=starter, since=JANUARY, by=SYSTEM)
        for _ in range(2):
            paused = subscriptions.pause(subscription=starter, reason="a dispute", by=SYSTEM)
            assert (paused.status, paused.past_due_since) == ("paused", JANUARY)
        changed = subscriptions.set_plan(organization=team, plan_code="professional", by=SYSTEM, **PERIOD)
        assert (changed.status, changed.plan.code) == ("paused", "professional")
        resumed = subscriptions.resume(subscription=changed, by=SYSTEM)
        assert (resumed.status, resumed.past_due_since) == ("past_due", JANUARY)
        assert subscriptions.resume(subscription=resumed, by=SYSTEM).status == "past_due"
        acts = AuditEvent.objects.filter(organization=team.public_id, action__startswith="subscription.")
        assert list(acts.order_by("pk").values_list("action", flat=True))[-3:] == [
            "subscription.paused",
            "subscription.changed",
            "subscription.resumed",
        ]

    def test_ended_ones_leave_the_limits_of_no_plan_and_room_for_another(self, team, starter):
        subscriptions.end(subscription=starter, at=FEBRUARY, by=SYSTEM)
        assert subscriptions.live(organization=team) is None
        assert subscriptions.plan_of(organization=team).code == "none"
        with pytest.raises(subscriptions.NotSubscribed):
            subscriptions.end(subscription=starter, at=FEBRUARY, by=SYSTEM)
        second = subscriptions.set_plan(organization=team, plan_code="starter", by=SYSTEM, **PERIOD)
        assert second.pk != starter.pk

    @pytest.mark.parametrize(
        ("constraint", "values"),
        [
            ("subscription_is_terminated_when_it_ended", {"ended_at": MARCH}),
            ("subscription_is_terminated_when_it_ended", {"status": "terminated"}),
            ("subscription_is_terminated_when_it_ended", {"status": "paid"}),
            ("subscription_past_due_says_since_when", {"status": "past_due"}),
            ("subscription_period_runs_forward", {"current_period_end": JANUARY}),
        ],
    )
    def test_database_refuses(self, starter, constraint, values):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            Subscription.objects.filter(pk=starter.pk).update(**values)

    def test_database_keeps_one_live_subscription(self, team, starter):
        starter.pk = None
        with (
            pytest.raises(IntegrityError, match="subscription_one_live_per_organization"),
            transaction.atomic(),
        ):
            starter.save(force_insert=True)

    def test_database_keeps_markup_from_falling_below_zero(self):
        with pytest.raises(IntegrityError, match="plan_markup_not_negative"), transaction.atomic():
            Plan.objects.filter(code="starter").update(markup_percent=-1)

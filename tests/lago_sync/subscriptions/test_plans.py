"""The subscription of an organization at Lago, and what the portal knows of it."""

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from kit.errors import TryAgain, ValidationError
from lago_sync.client import subscriptions as at_lago
from lago_sync.customers import linking
from lago_sync.errors import LagoUnavailable, LagoUnreachable, PurchasesStopped
from lago_sync.models import LagoCustomer, LagoSubscription
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import mirror, plans, prices
from orgs import organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Plan, Subscription
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
DAY = 86_400


@pytest.fixture
def installed(lago):
    installing.install(webhook_url=guard.webhook_url(), now=now(lago))
    return lago


@pytest.fixture
def team(installed):
    return make.team("Acme")


def now(lago) -> datetime:
    return datetime.fromisoformat(lago.now())


def subscribe(lago, team, plan_code="starter", **more):
    return plans.subscribe(organization=team, plan_code=plan_code, by=SYSTEM, now=now(lago), **more)


def refresh(lago, team):
    return plans.refresh(organization=team, now=now(lago))


def post(lago, team, plan_code, external_id=None):
    """Subscribe beside the portal."""
    fields = {"external_customer_id": team.public_id, "external_id": external_id or plans.external_id(team), "plan_code": plan_code, "billing_time": "anniversary"}  # fmt: skip
    answer = lago.api("POST", "subscriptions", json={"subscription": fields})
    assert answer.status_code == 200, answer.text
    lago.drain()
    return answer.json()["subscription"]


def live_at(lago):
    return [one for one in lago.dump()["subscription"] if one["status"] == "active"]


def fact(team):
    return subscriptions.live(organization=team)


class TestSubscribe:
    def test_starts_it_at_lago_and_mirrors_it(self, installed, team):
        row = subscribe(installed, team)
        [found] = live_at(installed)
        assert (found["external_id"], found["billing_time"]) == (f"sub_{team.public_id}", "anniversary")
        assert (str(row.lago_id), row.plan_code, row.plan_name) == (found["id"], "starter", "Starter")
        assert (row.amount_cents, row.currency, row.interval, row.status) == (1900, "USD", "monthly", "active")  # fmt: skip
        assert row.period_start < now(installed) < row.period_end
        known = fact(team)
        assert (known.plan.code, known.status) == ("starter", "active")
        assert (known.current_period_start, known.current_period_end) == (row.period_start, row.period_end)
        assert AuditEvent.objects.filter(organization=team.public_id, action="subscription.created").exists()

    @pytest.mark.parametrize(
        ("name", "code", "base"),
        [
            ("starter_monthly", "starter", "starter"),
            ("starter_yearly", "starter_yearly", "starter"),
            ("starter_annual", "starter_yearly", "starter"),
            ("founders_friend", "founders_friend", "founders_friend"),
        ],
    )
    def test_takes_the_names_of_periods(self, installed, team, name, code, base):
        assert subscribe(installed, team, name).plan_code == code
        assert fact(team).plan.code == base

    @pytest.mark.parametrize("name", ["platinum", "none", "trial_yearly", "", "..", "a/b"])
    def test_refuses_what_is_no_plan(self, installed, team, name):
        with pytest.raises(ValidationError) as refusal:
            subscribe(installed, team, name)
        assert refusal.value.details == {"plan_code": "There is no such plan."}
        assert not live_at(installed)
        assert not installed.dump()["customer"]

    def test_refuses_a_plan_without_a_price_in_the_organizations_currency(self, installed, team):
        team.currency = "EUR"
        team.save()
        with pytest.raises(ValidationError, match="no price in EUR"):
            subscribe(installed, team)
        assert not installed.dump()["customer"]

    def test_refuses_another_billing_time(self, installed, team):
        with pytest.raises(ValidationError):
            subscribe(installed, team, billing_time="weekly")
        assert subscribe(installed, team, billing_time="calendar").billing_time == "calendar"

    def test_refuses_a_plan_that_bills_usage(self, installed, team):
        Plan.objects.create(code="priced", name="Priced")
        metric = installed.api("GET", "billable_metrics/credits_used").json()["billable_metric"]["lago_id"]
        priced = {"billable_metric_id": metric, "charge_model": "standard", "properties": {"amount": "1"}}
        plan = {"name": "x", "code": "priced", "interval": "monthly", "amount_cents": 0, "amount_currency": "USD", "pay_in_advance": True, "charges": [priced]}  # fmt: skip
        installed.api("POST", "plans", json={"plan": plan})
        with pytest.raises(PurchasesStopped, match="billed twice"):
            subscribe(installed, team, "priced")

    def test_a_second_is_refused(self, installed, team):
        subscribe(installed, team)
        for plan_code in ("starter", "professional"):
            with pytest.raises(plans.SubscriptionExists) as refusal:
                subscribe(installed, team, plan_code)
            assert (refusal.value.status, refusal.value.details) == (409, {"plan_code": "starter"})
        assert len(installed.dump()["subscription"]) == 1

    def test_is_one_though_the_answer_was_lost(self, installed, team):
        installed.faults(
            {"method": "POST", "path": "subscriptions", "times": 3, "drop": True, "after_commit": True}
        )
        with pytest.raises(LagoUnavailable):
            subscribe(installed, team)
        assert fact(team) is None
        assert subscribe(installed, team).plan_code == "starter"
        assert len(installed.dump()["subscription"]) == 1

    def test_adopts_one_that_is_live_under_another_id(self, installed, team):
        linking.ensure_customer(organization=team, now=now(installed))
        post(installed, team, "professional", external_id="old-contract-7")
        row = subscribe(installed, team, "professional")
        assert (row.external_id, fact(team).plan.code) == ("old-contract-7", "professional")
        assert len(live_at(installed)) == 1

    def test_adopts_one_on_another_plan_and_says_that_there_is_one(self, installed, team):
        linking.ensure_customer(organization=team, now=now(installed))
        post(installed, team, "professional")
        with pytest.raises(plans.SubscriptionExists):
            subscribe(installed, team, "starter")
        assert fact(team).plan.code == "professional"
        assert [one["status"] for one in installed.dump()["subscription"]] == ["active"]

    @pytest.mark.parametrize("other", ["starter", "professional"])
    def test_of_two_at_once_one_starts_it_and_the_other_may_try_again(
        self, installed, team, monkeypatch, other
    ):
        """Lago would take the second, with another plan, for a change of the first."""
        original = at_lago.create

        def somebody_else_comes(fields):
            with pytest.raises(TryAgain):
                subscribe(installed, team, other)
            return original(fields)

        monkeypatch.setattr(at_lago, "create", somebody_else_comes)
        subscribe(installed, team, "starter")
        with pytest.raises(plans.SubscriptionExists):
            subscribe(installed, team, other)
        assert [one["status"] for one in installed.dump()["subscription"]] == ["active"]
        assert installed.requested("POST", "/api/v1/subscriptions") == 1

    def test_one_who_died_over_it_is_waited_for_no_longer_than_the_lease(self, installed, team):
        linking.ensure_customer(organization=team, now=now(installed))
        LagoCustomer.objects.update(subscribing_until=now(installed) + timedelta(minutes=3))
        with pytest.raises(TryAgain):
            subscribe(installed, team)
        installed.advance(181)
        assert subscribe(installed, team).plan_code == "starter"
        assert LagoCustomer.objects.get().subscribing_until is None

    def test_where_the_answer_was_lost_no_other_plan_is_asked_for_until_the_lease_is_over(
        self, installed, team
    ):
        """Lago may still make the first one, and would take the second for a change of it."""
        installed.faults({"method": "POST", "path": "subscriptions", "times": 2, "drop": True, "after_commit": False})  # fmt: skip
        with pytest.raises(LagoUnavailable):
            subscribe(installed, team, "starter")
        asked = installed.requested("POST", "/api/v1/subscriptions")
        with pytest.raises(TryAgain):
            subscribe(installed, team, "professional")
        assert installed.requested("POST", "/api/v1/subscriptions") == asked
        installed.advance(181)
        assert subscribe(installed, team, "professional").plan_code == "professional"
        assert len(installed.dump()["subscription"]) == 1

    def test_that_did_not_reach_lago_is_waited_for_by_nobody(self, installed, team, monkeypatch):
        def unreachable(_fields):
            raise LagoUnreachable("Lago cannot be reached.")

        with monkeypatch.context() as away:
            away.setattr(at_lago, "create", unreachable)
            with pytest.raises(LagoUnreachable):
                subscribe(installed, team)
        assert subscribe(installed, team, "professional").plan_code == "professional"

    def test_is_seen_though_somebody_looked_after_it_was_asked_for(self, installed, team, monkeypatch):
        """A webhook of the plan that ended comes while the next one is being started."""
        subscribe(installed, team)
        plans.end(organization=team, now=now(installed), by=SYSTEM)
        installed.drain()
        installed.advance(60)
        began, original = now(installed), at_lago.create

        def somebody_looks(fields):
            plans.look(organization=team, now=began + timedelta(milliseconds=1), by=SYSTEM)
            return original(fields)

        monkeypatch.setattr(at_lago, "create", somebody_looks)
        row = plans.subscribe(organization=team, plan_code="professional", by=SYSTEM, now=began)
        assert (row.plan_code, fact(team).plan.code) == ("professional", "professional")

    def test_that_lago_does_not_show_yet_is_looked_for_again_and_then_asked_for_again(
        self, installed, team, monkeypatch
    ):
        shown, looks = at_lago.of_customer, []

        def late(public_id, *, statuses):
            looks.append(public_id)
            return iter(()) if len(looks) < 7 else shown(public_id, statuses=statuses)

        monkeypatch.setattr(at_lago, "of_customer", late)
        monkeypatch.setattr(plans, "_LOOKS_AFTER", (0.0, 0.0, 0.0))
        with pytest.raises(TryAgain):
            subscribe(installed, team)
        assert len(looks) == 4  # one before, three after
        assert subscribe(installed, team).plan_code == "starter"
        assert len(installed.dump()["subscription"]) == 1

    def test_for_a_price_that_a_credit_note_changed_meanwhile_is_refused(self, installed, team):
        row = subscribe(installed, team, "professional")
        installed.drain()
        [invoice] = installed.dump()["invoice"]
        installed.pay(invoice["id"])
        ended = installed.api("DELETE", f"subscriptions/{row.external_id}", params={"on_termination_credit_note": "credit"})  # fmt: skip
        assert ended.status_code == 200
        installed.drain()
        refresh(installed, team)
        with pytest.raises(prices.PriceChanged) as changed:
            subscribe(installed, team, "starter", confirmed_due_cents=1900)
        assert changed.value.price.due_cents == 0
        assert fact(team) is None

    def test_where_lago_is_away_nothing_is_kept(self, installed, team, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        with pytest.raises(LagoUnavailable):
            plans.subscribe(organization=team, plan_code="starter", by=SYSTEM, now=now(installed))
        assert fact(team) is None
        assert not LagoSubscription.objects.exists()


class TestTrial:
    def test_lasts_a_week_and_is_not_renewed(self, installed, team):
        row = subscribe(installed, team, "trial")
        assert fact(team).status == "trialing"
        installed.advance(6 * DAY)
        assert refresh(installed, team) == row
        installed.advance(3 * DAY)
        assert refresh(installed, team) is None
        assert fact(team) is None
        assert subscriptions.plan_of(organization=team).code == "none"
        ended = LagoSubscription.objects.get()
        assert timedelta(days=6) < ended.ended_at - ended.started_at < timedelta(days=8, hours=2)

    def test_comes_once_to_an_organization(self, installed, team):
        subscribe(installed, team, "trial")
        installed.api("DELETE", f"subscriptions/{plans.external_id(team)}")
        refresh(installed, team)
        with pytest.raises(plans.TrialUsed) as refusal:
            subscribe(installed, team, "trial")
        assert refusal.value.status == 409
        assert not live_at(installed)
        assert subscribe(installed, team, "starter").plan_code == "starter"

    def test_comes_once_to_an_owner(self, installed, team):
        owner = team.memberships.get(role="owner").user
        subscribe(installed, team, "trial")
        with pytest.raises(plans.TrialUsed):
            subscribe(installed, make.team("Acme Two", owner=owner), "trial")
        subscribe(installed, make.team("Others"), "trial")

    def test_that_became_a_plan_was_one(self, installed, team):
        subscribe(installed, team, "trial")
        post(installed, team, "starter")
        assert refresh(installed, team).plan_code == "starter"
        assert fact(team).status == "canceled"  # changed beside the portal: Lago hands the trial's end down
        installed.api("DELETE", f"subscriptions/{plans.external_id(team)}")
        refresh(installed, team)
        with pytest.raises(plans.TrialUsed):
            subscribe(installed, team, "trial")


class TestRefresh:
    def test_of_what_is_not_at_lago_is_none_and_ends_nothing(self, installed, team):
        with transaction.atomic():
            start = now(installed)
            subscriptions.set_plan(organization=team, plan_code="enterprise", period_start=start, period_end=start + timedelta(days=30), by=SYSTEM)  # fmt: skip
        assert refresh(installed, team) is None
        linking.ensure_customer(organization=team, now=now(installed))
        assert refresh(installed, team) is None
        assert fact(team).plan.code == "enterprise"

    def test_moves_the_period_at_a_renewal(self, installed, team):
        first = subscribe(installed, team)
        installed.advance(32 * DAY)
        renewed = refresh(installed, team)
        assert renewed.lago_id == first.lago_id
        assert renewed.period_start > first.period_end - timedelta(seconds=2)
        assert fact(team).current_period_end == renewed.period_end

    def test_that_finds_nothing_new_writes_no_audit_event(self, installed, team):
        subscribe(installed, team)
        before = AuditEvent.objects.count()
        installed.advance(60)
        assert refresh(installed, team).synced_at >= now(installed) - timedelta(seconds=10)
        assert AuditEvent.objects.count() == before

    def test_follows_an_upgrade_at_lago(self, installed, team):
        first = subscribe(installed, team)
        installed.advance(10 * DAY)
        post(installed, team, "professional")
        second = refresh(installed, team)
        assert (second.plan_code, second.external_id) == ("professional", first.external_id)
        assert second.lago_id != first.lago_id
        assert fact(team).plan.code == "professional"
        assert Subscription.objects.filter(organization=team).count() == 1
        first.refresh_from_db()
        assert (first.status, first.ended_at is not None) == ("terminated", True)

    def test_shows_a_planned_downgrade(self, installed, team):
        subscribe(installed, team, "professional")
        post(installed, team, "starter")
        row = refresh(installed, team)
        assert (row.plan_code, row.next_plan_code) == ("professional", "starter")
        assert row.downgrade_at is not None
        installed.advance(32 * DAY)
        row = refresh(installed, team)
        assert (row.plan_code, row.next_plan_code, row.downgrade_at) == ("starter", "", None)
        assert fact(team).plan.code == "starter"

    def test_ends_what_was_ended_at_lago(self, installed, team):
        subscribe(installed, team)
        installed.api("DELETE", f"subscriptions/{plans.external_id(team)}")
        assert refresh(installed, team) is None
        ended = Subscription.objects.get(organization=team)
        assert (ended.status, ended.ended_at) == ("terminated", LagoSubscription.objects.get().ended_at)

    def test_ends_what_lago_has_lost(self, installed, team):
        row = subscribe(installed, team)
        LagoSubscription.objects.filter(pk=row.pk).update(lago_id="11111111-1111-4111-8111-111111111111")
        installed.api("DELETE", f"subscriptions/{plans.external_id(team)}")
        assert refresh(installed, team) is None
        assert not LagoSubscription.objects.filter(ended_at=None).exists()

    def test_keeps_a_plan_that_the_portal_does_not_know_out_of_its_facts(self, installed, team, caplog):
        subscribe(installed, team)
        plan = {"name": "Deal", "code": "deal", "interval": "monthly", "amount_cents": 9_000, "amount_currency": "USD", "pay_in_advance": True}  # fmt: skip
        installed.api("POST", "plans", json={"plan": plan})
        post(installed, team, "deal")
        assert refresh(installed, team).plan_code == "deal"
        assert fact(team).plan.code == "starter"
        assert "on plan deal, which the portal does not know" in caplog.text

    def test_keeps_a_debt_through_a_renewal(self, installed, team):
        subscribe(installed, team)
        since = now(installed)
        with transaction.atomic():
            subscriptions.mark_past_due(subscription=fact(team), since=since, by=SYSTEM)
        installed.advance(32 * DAY)
        refresh(installed, team)
        assert (fact(team).status, fact(team).past_due_since) == ("past_due", since)

    def test_ends_the_subscription_of_an_archived_organization_at_lago(self, installed, team):
        subscribe(installed, team)
        with transaction.atomic():
            archived = organizations.archive(organization=team, by=SYSTEM)
        installed.advance(32 * DAY)
        assert refresh(installed, archived) is None
        assert not live_at(installed)
        assert not LagoSubscription.objects.filter(ended_at=None).exists()

    def test_a_look_that_began_earlier_changes_nothing(self, installed, team):
        subscribe(installed, team)
        seen = list(at_lago.of_customer(team.public_id))
        early = now(installed)
        installed.advance(60)
        post(installed, team, "professional")
        later = refresh(installed, team)
        with transaction.atomic():
            kept = mirror.write(mirror.Look(organization=team, found=seen, at=early), by=SYSTEM)
        assert kept == later
        assert fact(team).plan.code == "professional"


class TestCovers:
    def test_is_open_while_it_lives_and_has_no_gap_at_a_change_of_plan(self, installed, team):
        first = subscribe(installed, team)
        [live] = plans.covers([team.public_id])[team.public_id]
        assert (live.external_id, live.start, live.end) == (first.external_id, first.started_at, None)
        installed.advance(5 * DAY)
        post(installed, team, "professional")
        refresh(installed, team)
        old, new = plans.covers([team.public_id, "org_unknown"])[team.public_id]
        assert old.end == new.start
        assert new.end is None

    def test_leaves_out_who_has_none(self, installed, team):
        assert plans.covers([team.public_id]) == {}

    def test_has_an_end_after_the_end(self, installed, team):
        row = subscribe(installed, team)
        installed.advance(5 * DAY)
        installed.api("DELETE", f"subscriptions/{row.external_id}")
        refresh(installed, team)
        [interval] = plans.covers([team.public_id])[team.public_id]
        assert interval.start < interval.end <= now(installed)

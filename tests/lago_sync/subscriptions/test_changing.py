"""Changing a plan: upgrade, downgrade, cancel, take back; once, though Lago loses answers, refuses or is away."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import override_settings

from credits.ledger.standing import OrganizationSuspended
from kit.errors import Conflict, InvalidRequest, NotFound
from lago_sync import tasks
from lago_sync.client import circuit
from lago_sync.client import subscriptions as at_lago
from lago_sync.invoices import mirror as invoices
from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.subscriptions import changes, changing, plans, prices
from orgs import organizations, subscriptions
from orgs.audit.events import SYSTEM, Actor
from orgs.audit.models import AuditEvent
from orgs.notices.models import Notice
from tests.factories import orgs as make
from tests.lago_sync.subscriptions import story

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(lago):
    story.installed(lago, "2026-04-01T09:00:00Z")
    return story.Team(lago)


def acts(team):
    return list(AuditEvent.objects.filter(organization=team.org.public_id).order_by("pk").values_list("action", flat=True))  # fmt: skip


class TestUpgrade:
    def test_is_at_once_and_of_one_subscription_for_life(self, team):
        first = team.subscribe()
        made = team.change("professional")
        assert (made.kind, made.status, made.plan_code) == ("upgrade", "applied", "professional")
        assert (made.price_change["kind"], made.price_change["due_cents"]) == ("upgrade", 3000)
        assert (team.row.external_id, team.row.plan_code) == (first.external_id, "professional")
        assert (team.fact.plan.code, team.fact.status) == ("professional", "active")
        assert set(team.at_lago) == {"active"}
        assert acts(team)[-3:] == ["subscription.change_ordered", "subscription.changed", "subscription.change_applied"]  # fmt: skip

    def test_of_a_trial_does_not_end_with_it(self, team):
        team.subscribe("trial")
        team.advance(2)
        team.change("starter")
        assert (team.fact.status, team.row.ending_at) == ("active", None)
        team.advance(40)
        assert team.fact.plan.code == "starter"

    def test_drops_a_planned_downgrade(self, team):
        team.subscribe("professional")
        team.change("starter")
        assert set(team.at_lago) == {"active", "pending"}
        team.change("enterprise")
        assert set(team.at_lago) == {"active"}
        assert (team.row.plan_code, team.row.next_plan_code) == ("enterprise", "")


class TestDowngrade:
    def test_waits_for_the_end_of_the_period_and_can_be_taken_back(self, team):
        team.subscribe("enterprise")
        made = team.change("starter")
        assert (made.kind, made.status) == ("downgrade", "applied")
        assert (team.row.plan_code, team.row.next_plan_code, str(team.row.downgrade_at)) == ("enterprise", "starter", "2026-05-01")  # fmt: skip
        assert team.fact.plan.code == "enterprise"
        team.change("professional")  # another one replaces it
        assert team.row.next_plan_code == "professional"
        assert team.take_back().kind == "take_back"
        assert (team.row.next_plan_code, set(team.at_lago)) == ("", {"active"})
        team.change("starter")
        assert team.advance(31).plan_code == "starter"
        assert team.fact.plan.code == "starter"
        titles = list(Notice.objects.filter(user=team.owner, kind="plan_changed").order_by("created_at").values_list("title", flat=True))  # fmt: skip
        assert "Acme changes to Starter after 30 April 2026" in titles
        assert "The plan of Acme goes on" in titles


class TestCancel:
    def test_ends_with_the_period_before_a_renewal_is_billed(self, team):
        team.subscribe("starter")
        team.change("founders_friend")
        team.cancel()
        assert (team.row.next_plan_code, team.row.ending_at.isoformat()) == ("", "2026-05-01T00:00:00+00:00")
        assert (team.fact.status, set(team.at_lago)) == ("canceled", {"active"})
        billed = len(team.invoices())
        team.move_to("2026-04-30T23:50:00Z")
        assert team.refresh() is not None
        assert team.fact.status == "canceled"
        team.move_to("2026-05-01T02:00:00Z")
        assert team.refresh() is None
        assert team.fact is None
        later = team.invoices()[billed:]
        assert sum(one["fees_amount_cents"] for one in later) == 0
        assert team.credit_notes() == []
        again = team.subscribe("professional")
        assert (again.external_id, team.fact.status, again.ending_at) == (f"sub_{team.org.public_id}", "active", None)  # fmt: skip

    def test_taken_back_goes_on_and_an_upgrade_then_gives_back_unused_days(self, team):
        team.subscribe()
        team.cancel()
        with pytest.raises(Conflict, match="take the cancellation back"):
            team.change("professional")
        with pytest.raises(Conflict, match="ends by itself already"):
            team.cancel()
        team.take_back()
        assert (team.fact.status, team.row.ending_at) == ("active", None)
        team.change("professional")
        assert sum(one["total_amount_cents"] for one in team.credit_notes()) == 1900
        assert team.advance(31).plan_code == "professional"

    def test_of_a_trial_is_not_needed_nor_taken_back(self, team):
        team.subscribe("trial")
        with pytest.raises(Conflict, match="ends by itself already"):
            team.cancel()
        with pytest.raises(NotFound):
            team.take_back()
        assert team.fact.status == "trialing"


class TestRefusals:
    def test_of_what_cannot_be_changed_record_nothing(self, team):
        for act in (lambda: team.change("starter"), team.cancel, team.take_back):
            with pytest.raises(NotFound):
                act()
        team.subscribe("professional")
        with pytest.raises(InvalidRequest):
            team.change("professional")
        with pytest.raises(NotFound, match="Nothing is planned"):
            team.take_back()
        with transaction.atomic():
            subscriptions.pause(subscription=team.fact, reason="a dispute", by=SYSTEM)
        with pytest.raises(OrganizationSuspended):
            team.change("enterprise")
        with transaction.atomic():
            subscriptions.resume(subscription=team.fact, by=SYSTEM)
            organizations.suspend(organization=team.org, reason="staff", by=SYSTEM)
        with pytest.raises(OrganizationSuspended):
            team.change("enterprise")
        assert not PlanChange.objects.exists()
        assert team.cancel().status == "applied"

    def test_of_a_plan_that_staff_set_says_so(self, team):
        start = team.now
        with transaction.atomic():
            subscriptions.set_plan(organization=team.org, plan_code="enterprise", period_start=start, period_end=start + timedelta(days=30), by=SYSTEM)  # fmt: skip
        for act in (lambda: team.change("starter"), team.cancel, lambda: team.preview("starter")):
            with pytest.raises(Conflict, match="set by staff"):
                act()

    def test_of_another_price_than_was_confirmed_says_the_new_one(self, team):
        team.subscribe()
        with pytest.raises(prices.PriceChanged) as refusal:
            team.change("professional", confirmed_due_cents=1)
        assert refusal.value.details["price_change"]["due_cents"] == 3000
        assert not PlanChange.objects.exists()
        assert team.change("professional", confirmed_due_cents=3000).status == "applied"

    def test_where_lago_would_charge_more_than_was_shown_nothing_is_changed(self, team):
        team.subscribe()
        team.lago.api("PUT", "plans/professional", json={"plan": {"amount_cents": 5900}})
        with pytest.raises(changing.ChangeRefused, match="price has changed"):
            team.change("professional")
        assert (team.fact.plan.code, team.at_lago["active"]["plan_code"]) == ("starter", "starter")
        assert team.preview("professional").fee_cents == 5900
        assert team.changes() == [("upgrade", "refused")]
        assert Notice.objects.filter(user=team.owner, title="The plan of Acme was not changed").exists()
        assert acts(team)[-1] == "subscription.change_refused"


class TestLagoInTrouble:
    def test_a_lost_answer_is_seen_at_the_next_look_and_nothing_is_sent_twice(self, team):
        team.subscribe()
        team.lago.faults({"method": "POST", "path": "subscriptions", "times": 3, "drop": True, "after_commit": True})  # fmt: skip
        with pytest.raises(changing.ChangeWaits):
            team.change("professional")
        sent = team.lago.requested("POST", "/api/v1/subscriptions")
        assert team.fact.plan.code == "starter"
        with pytest.raises(changes.ChangeUnderWay):  # nobody sends anything while the outcome is unknown
            team.change("professional")
        with pytest.raises(changes.ChangeUnderWay):
            team.cancel()
        [one] = PlanChange.objects.all()
        assert changing.carry_out(change_id=one.pk, now=team.now).status == "applied"
        assert team.fact.plan.code == "professional"
        assert team.lago.requested("POST", "/api/v1/subscriptions") == sent

    def test_a_lago_that_is_away_changes_nothing_and_the_job_carries_on(self, team, settings):
        team.subscribe()
        url, settings.LAGO_API_URL = settings.LAGO_API_URL, "http://127.0.0.1:9"
        with pytest.raises(changing.ChangeWaits) as refusal:
            changing.cancel(organization=team.org, by=team.by, now=team.now)
        assert (refusal.value.code, refusal.value.status) == ("billing_unavailable", 502)
        assert (team.changes(), team.fact.status) == ([("cancel", "pending")], "active")
        settings.LAGO_API_URL = url
        PlanChange.objects.update(due_at=team.now - timedelta(days=400))
        assert tasks.apply_plan_changes() == 1
        assert (team.changes(), team.fact.status) == ([("cancel", "applied")], "canceled")

    def test_the_same_person_may_send_it_again_and_nobody_else_something_else(self, team, settings):
        team.subscribe()
        url, settings.LAGO_API_URL = settings.LAGO_API_URL, "http://127.0.0.1:9"
        with pytest.raises(changing.ChangeWaits):
            team.change("professional")
        other = Actor(kind="user", public_id="usr_other")
        for plan_code, by in (("enterprise", team.by), ("professional", other)):
            with pytest.raises(changes.ChangeUnderWay):
                changing.change_plan(organization=team.org, plan_code=plan_code, by=by, now=team.now)
        settings.LAGO_API_URL = url
        assert team.change("professional").status == "applied"
        assert team.changes() == [("upgrade", "applied")]

    def test_a_take_back_that_waits_is_not_taken_for_the_plan_that_it_names(self, team):
        team.subscribe("enterprise")
        team.change("starter")
        with override_settings(LAGO_API_URL="http://127.0.0.1:9"), pytest.raises(changing.ChangeWaits):
            team.take_back()
        with pytest.raises(changes.ChangeUnderWay):
            team.change("starter")

    def test_a_cancellation_that_comes_after_the_renewal_is_refused_and_not_moved_a_period_on(self, team):
        team.subscribe()
        team.advance(29)
        with override_settings(LAGO_API_URL="http://127.0.0.1:9"), pytest.raises(changing.ChangeWaits):
            team.cancel()
        team.advance(2)
        circuit.forget()
        changing.carry_on(now=team.now)
        assert team.changes() == [("cancel", "refused")]
        assert team.row.ending_at is None
        assert Notice.objects.filter(title__endswith="was not changed").exists()

    def test_is_refused_where_a_renewal_used_the_credit_note_that_was_counted_on(self, team):
        team.subscribe("starter_yearly")
        team.lago.pay(team.invoices()[0]["lago_id"])
        team.lago.drain()
        team.refresh()
        team.change("professional")
        invoices.refresh(organization=team.org, now=team.now)
        for moment in ("2026-05-01T01:00:00Z", "2026-06-01T01:00:00Z"):  # nobody hears of the notes
            team.move_to(moment)
            team.refresh()
        price, billed = team.preview("enterprise"), team.invoices()
        assert price.balance_cents > 0
        with pytest.raises(changing.ChangeRefused, match="The price has changed"):
            team.change("enterprise", confirmed_due_cents=price.due_cents)
        assert team.invoices() == billed
        assert team.preview("enterprise").due_cents > price.due_cents

    def test_of_two_organizations_of_one_owner_that_start_a_trial_at_once_one_gets_it(
        self, team, monkeypatch
    ):
        other, create = make.team("Other", owner=team.owner), at_lago.create

        def beside_the_other(fields):
            monkeypatch.setattr(at_lago, "create", create)
            with pytest.raises(plans.TrialUsed):
                plans.subscribe(organization=other, plan_code="trial", by=team.by, now=team.now)
            return create(fields)

        monkeypatch.setattr(at_lago, "create", beside_the_other)
        team.subscribe("trial")
        assert LagoSubscription.objects.filter(plan_code="trial").count() == 1

    def test_a_suspended_organization_takes_no_plan(self, team):
        with transaction.atomic():
            organizations.suspend(organization=team.org, reason="a dispute", by=SYSTEM)
        with pytest.raises(OrganizationSuspended):
            team.subscribe()
        assert team.lago.dump()["subscription"] == []

    def test_what_lago_refuses_ends_there(self, team):
        team.subscribe()
        said = '{"status": 422, "error": "Unprocessable Entity", "code": "validation_errors", "error_details": {"ending_at": ["invalid_date"]}}'
        team.lago.faults(
            {"method": "PUT", "path": "subscriptions/.*", "times": 1, "status": 422, "body": said}
        )
        with pytest.raises(changing.ChangeRefused, match="invalid_date"):
            team.cancel()
        assert (team.changes(), team.fact.status) == ([("cancel", "refused")], "active")
        assert team.cancel().status == "applied"

    def test_a_change_made_at_lago_meanwhile_is_left_as_it_is(self, team, settings):
        team.subscribe()
        url, settings.LAGO_API_URL = settings.LAGO_API_URL, "http://127.0.0.1:9"
        with pytest.raises(changing.ChangeWaits):
            team.change("professional")
        settings.LAGO_API_URL = url
        fields = {"external_customer_id": team.org.public_id, "external_id": team.row.external_id, "plan_code": "enterprise"}  # fmt: skip
        team.lago.api("POST", "subscriptions", json={"subscription": fields})
        [one] = PlanChange.objects.all()
        assert changing.carry_out(change_id=one.pk, now=team.now).last_error.startswith("The plan was changed elsewhere")  # fmt: skip
        assert team.fact.plan.code == "enterprise"
        assert LagoSubscription.objects.filter(organization=team.org, ended_at=None).count() == 1

    def test_one_that_breaks_stops_no_other(self, team, monkeypatch):
        others = [team, story.Team(team.lago, "Other")]
        for one in others:
            one.subscribe()
            PlanChange.objects.create(organization=one.org, kind="cancel", made_by="usr_x", due_at=team.now - timedelta(days=400))  # fmt: skip
        original = changing._look
        monkeypatch.setattr(changing, "_look", lambda change, now: original(change, now) if change.organization != team.org else 1 / 0)  # fmt: skip
        assert changing.carry_on(now=team.now) == 2
        assert (team.changes(), others[1].changes()) == ([("cancel", "pending")], [("cancel", "applied")])

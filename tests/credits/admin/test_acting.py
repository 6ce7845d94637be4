"""What staff do in the admin: each act asks why, is done once however often it is clicked, and is in the audit log."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credits.models import CreditPool, Grant, ProposedGrant, Shortfall
from orgs.audit.models import AuditEvent
from tests.factories import credits as ledger
from tests.factories import orgs

pytestmark = pytest.mark.django_db
GRANT = {"credits": "25.5", "source": "goodwill", "reason": "An outage", "reference": "abc"}


def signed_in(**fields):
    client = Client()
    client.force_login(orgs.user("Sys Admin", **fields))
    return client


@pytest.fixture
def staff():
    return signed_in(is_staff=True, is_superuser=True)


@pytest.fixture
def colleague():
    return signed_in(is_staff=True, is_superuser=True)


def act(client, model, action, *rows, **fields):
    """Choose rows in a list and act; with fields the form is sent, without them it is asked for."""
    body = {"action": action, "_selected_action": [row.pk for row in rows], **fields}
    if fields:
        body["apply"] = "1"
    return client.post(reverse(f"admin:credits_{model}_changelist"), body, follow=bool(fields))


def said(answer):
    return [str(one) for one in answer.context["messages"]]


def own_pool(organization):
    return CreditPool.objects.get(organization=organization, department=None)


class TestGranting:
    def test_asks_how_many_and_why_then_grants_and_audits(self, staff):
        pool = own_pool(ledger.team(10))
        asked = act(staff, "creditpool", "grant_credits", pool).content.decode()
        [reference] = re.findall(r'name="reference" value="(\w+)"', asked)

        answer = act(staff, "creditpool", "grant_credits", pool, **GRANT | {"reference": reference})

        assert said(answer) == ["Done for 1."]
        pool.refresh_from_db()
        assert pool.available == Decimal("35.5")
        grant = Grant.objects.get(source="goodwill")
        assert (grant.reason, grant.expires_at) == ("An outage", None)
        event = AuditEvent.objects.filter(action="credits.granted", after__reason="An outage").get()
        assert event.actor_kind == "system_admin"

    def test_a_second_click_grants_nothing(self, staff):
        pool = own_pool(ledger.team(10))
        for _ in range(2):
            act(staff, "creditpool", "grant_credits", pool, **GRANT)
        pool.refresh_from_db()
        assert pool.available == Decimal("35.5")

    def test_until_a_last_day_ends_with_it(self, staff):
        day = timezone.now().date() + timedelta(days=30)
        act(
            staff,
            "creditpool",
            "grant_credits",
            own_pool(ledger.team(10)),
            **GRANT,
            expires_on=day.isoformat(),
        )
        ends = Grant.objects.get(source="goodwill").expires_at
        assert ends == datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"reason": ""},
            {"credits": "0"},
            {"credits": "-1"},
            {"credits": "NaN"},
            {"source": "purchase"},
            {"expires_on": "2020-01-01"},
            {"expires_on": "soon"},
        ],
        ids=str,
    )
    def test_refuses_bad_input_and_grants_nothing(self, staff, wrong):
        answer = act(staff, "creditpool", "grant_credits", own_pool(ledger.team(10)), **GRANT | wrong)
        assert answer.status_code == 422
        assert Grant.objects.count() == 1

    def test_is_not_for_people_who_are_no_staff(self):
        act(signed_in(), "creditpool", "grant_credits", own_pool(ledger.team(10)), **GRANT)
        assert Grant.objects.count() == 1

    def test_enters_at_pools_of_organizations_only(self, staff):
        department = ledger.department(ledger.team(10), 5)
        answer = act(staff, "creditpool", "grant_credits", ledger.pool(department), **GRANT)
        assert said(answer) == ["Choose pools of organizations, not of departments."]
        assert Grant.objects.count() == 1


class TestGrantingMuch:
    @pytest.fixture
    def proposal(self, staff, settings):
        settings.GRANT_APPROVAL_THRESHOLD = 25
        pool = own_pool(ledger.team(10))
        for _ in range(2):
            act(staff, "creditpool", "grant_credits", pool, **GRANT)
        return ProposedGrant.objects.get()

    def available(self, proposal):
        return own_pool(proposal.organization).available

    def test_waits_for_another_admin_who_approves_once(self, proposal, colleague):
        assert (proposal.status, self.available(proposal)) == ("pending", 10)
        for _ in range(2):
            act(colleague, "proposedgrant", "approve", proposal)
        proposal.refresh_from_db()
        assert (proposal.status, self.available(proposal)) == ("approved", Decimal("35.5"))

    def test_is_not_approved_or_declined_by_who_proposed_it(self, proposal, staff):
        for action in ("approve", "decline"):
            answer = staff.post(
                reverse("admin:credits_proposedgrant_changelist"),
                {"action": action, "_selected_action": [proposal.pk]},
                follow=True,
            )
            assert "Another system admin must decide" in said(answer)[0]
        proposal.refresh_from_db()
        assert (proposal.status, self.available(proposal)) == ("pending", 10)

    def test_declined_grants_nothing_and_stays_declined(self, proposal, colleague):
        act(colleague, "proposedgrant", "decline", proposal)
        act(colleague, "proposedgrant", "approve", proposal)
        proposal.refresh_from_db()
        assert (proposal.status, self.available(proposal)) == ("declined", 10)


class TestOverdraft:
    ASKED = {"credits": "50", "reason": "A good customer"}

    def test_asks_how_much_and_why_then_sets_it_once(self, staff):
        pool = own_pool(ledger.team(10))
        assert "Set the overdraft" in act(staff, "creditpool", "set_overdraft", pool).content.decode()
        for _ in range(2):
            act(staff, "creditpool", "set_overdraft", pool, **self.ASKED)
        pool.refresh_from_db()
        assert pool.overdraft_limit == 50
        [event] = AuditEvent.objects.filter(action="pool.overdraft_set")
        assert (event.actor_kind, event.after["reason"]) == ("system_admin", "A good customer")

    def test_says_why_it_cannot_be_lowered(self, staff):
        team = ledger.team(10)
        act(staff, "creditpool", "set_overdraft", own_pool(team), **self.ASKED)
        ledger.captured(ledger.held(team, None, 10), 40)
        answer = act(staff, "creditpool", "set_overdraft", own_pool(team), **self.ASKED | {"credits": "0"})
        assert "30 credits of the overdraft are used" in said(answer)[0]
        assert own_pool(team).overdraft_limit == 50

    @pytest.mark.parametrize("wrong", [{"reason": ""}, {"credits": "-1"}, {"credits": ""}], ids=str)
    def test_refuses_bad_input(self, staff, wrong):
        pool = own_pool(ledger.team(10))
        assert act(staff, "creditpool", "set_overdraft", pool, **self.ASKED | wrong).status_code == 422
        pool.refresh_from_db()
        assert pool.overdraft_limit == 0

    def test_is_not_for_pools_of_departments(self, staff):
        department = ledger.department(ledger.team(10), 5)
        answer = act(staff, "creditpool", "set_overdraft", ledger.pool(department), **self.ASKED)
        assert said(answer) == ["Choose pools of organizations, not of departments."]


class TestForgiving:
    @pytest.fixture
    def shortfall(self):
        team = ledger.team(100)
        ledger.captured(ledger.held(team, None, 100), 130)
        return Shortfall.objects.get()

    def test_asks_why_then_forgives_once(self, staff, shortfall):
        asked = act(staff, "shortfall", "forgive", shortfall).content.decode()
        assert "30 credits of charge" in asked
        assert said(act(staff, "shortfall", "forgive", shortfall, reason="Our outage")) == ["Done for 1."]
        again = act(staff, "shortfall", "forgive", shortfall, reason="Our outage")
        assert "Nothing is owed" in said(again)[0]
        shortfall.refresh_from_db()
        assert shortfall.forgiven == 30
        [event] = AuditEvent.objects.filter(action="shortfall.forgiven")
        assert (event.actor_kind, event.after["reason"]) == ("system_admin", "Our outage")

    def test_needs_a_reason(self, staff, shortfall):
        assert act(staff, "shortfall", "forgive", shortfall, reason=" ").status_code == 422
        shortfall.refresh_from_db()
        assert shortfall.forgiven == 0

    def test_is_not_for_people_who_are_no_staff(self, shortfall):
        act(signed_in(), "shortfall", "forgive", shortfall, reason="Please")
        shortfall.refresh_from_db()
        assert shortfall.forgiven == 0

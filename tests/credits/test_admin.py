"""Django admin of the ledger: books are read-only, credits enter by an action with a reason, lists stay cheap."""

import re
from decimal import Decimal

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from credits.models import Allocation, CreditPool, Grant, Hold, LedgerEntry, Price, UsageRecord
from orgs.audit.models import AuditEvent
from tests.factories import credits as ledger
from tests.factories import orgs

BOOKS = (Grant, Hold, LedgerEntry, UsageRecord)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    client = Client()
    client.force_login(orgs.user("Sys Admin", is_staff=True, is_superuser=True))
    return client


def pools_url():
    return reverse("admin:credits_creditpool_changelist")


def chosen(pool, **fields):
    return {"action": "grant_credits", "_selected_action": [pool.pk], **fields}


class TestGrantingCredits:
    def test_asks_how_many_and_why_then_grants_and_audits(self, staff):
        organization = ledger.team(10)
        pool = CreditPool.objects.get(organization=organization)
        asked = staff.post(pools_url(), chosen(pool)).content.decode()
        [reference] = re.findall(r'name="reference" value="(\w+)"', asked)

        answer = staff.post(
            pools_url(),
            chosen(
                pool, apply="1", credits="25.5", source="goodwill", reason="An outage", reference=reference
            ),
        )

        assert answer.status_code == 302
        pool.refresh_from_db()
        assert pool.available == Decimal("35.5")
        assert Grant.objects.get(source="goodwill").reason == "An outage"
        event = AuditEvent.objects.filter(action="credits.granted", after__reason="An outage").get()
        assert event.actor_kind == "system_admin"

    def test_a_second_click_grants_nothing(self, staff):
        pool = CreditPool.objects.get(organization=ledger.team(10))
        fields = chosen(pool, apply="1", credits="5", source="goodwill", reason="Once", reference="abc")

        staff.post(pools_url(), fields)
        staff.post(pools_url(), fields)

        pool.refresh_from_db()
        assert pool.available == 15

    @pytest.mark.parametrize(
        "wrong",
        [{"reason": ""}, {"credits": "0"}, {"credits": "-1"}, {"credits": "NaN"}, {"source": "purchase"}],
    )
    def test_refuses_bad_input_and_grants_nothing(self, staff, wrong):
        pool = CreditPool.objects.get(organization=ledger.team(10))
        fields = {"credits": "5", "source": "goodwill", "reason": "Why", "reference": "abc"} | wrong

        answer = staff.post(pools_url(), chosen(pool, apply="1", **fields))

        assert answer.status_code == 422
        assert Grant.objects.count() == 1

    def test_is_not_for_people_who_are_no_staff(self):
        pool = CreditPool.objects.get(organization=ledger.team(10))
        client = Client()
        client.force_login(orgs.user())

        client.post(
            pools_url(), chosen(pool, apply="1", credits="5", source="goodwill", reason="x", reference="y")
        )

        assert Grant.objects.count() == 1


class TestTheBooks:
    @pytest.mark.parametrize("model", [*BOOKS, CreditPool, Allocation], ids=lambda model: model.__name__)
    def test_can_be_read_but_not_added_to_changed_or_deleted(self, staff, rf, model):
        organization = ledger.team(10)
        member = ledger.member(organization, 5)
        ledger.settled(ledger.charge(organization, member, 1))
        ledger.settled(ledger.hold(organization, member, 1))
        name = f"admin:credits_{model._meta.model_name}"
        row = model.objects.first()

        assert staff.get(reverse(f"{name}_changelist")).status_code == 200
        assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert staff.get(reverse(f"{name}_add")).status_code == 403
        assert staff.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
        assert staff.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("model", BOOKS, ids=lambda model: model.__name__)
    def test_a_list_asks_the_same_number_of_queries_however_long(
        self, staff, django_assert_max_num_queries, model
    ):
        organization = ledger.team(100)
        for _ in range(6):
            member = ledger.member(organization, 5)
            ledger.settled(ledger.charge(organization, member, 1))
            ledger.settled(ledger.hold(organization, member, 1))

        with django_assert_max_num_queries(12):
            staff.get(reverse(f"admin:credits_{model._meta.model_name}_changelist"))

    def test_are_found_by_the_organizations_public_id(self, staff):
        organization, other = ledger.team(10), ledger.team(20)

        page = staff.get(reverse("admin:credits_grant_changelist"), {"q": organization.public_id})

        assert [row.organization_id for row in page.context["cl"].result_list] == [organization.pk]
        assert other.pk != organization.pk


class TestPrices:
    def test_are_added_by_staff(self, staff):
        fields = {
            "kind": "units",
            "name": "page",
            "input_price": "0",
            "output_price": "0",
            "each_price": "0.25",
            "default_output_tokens": "1",
            "valid_from_0": "2026-01-01",
            "valid_from_1": "00:00",
        }

        answer = staff.post(reverse("admin:credits_price_add"), fields)

        assert answer.status_code == 302, answer.context["errors"]
        assert Price.objects.get(name="page").each_price == Decimal("0.25")
        event = AuditEvent.objects.get(action="price.added")
        assert (event.organization, event.target, event.after["each_price"]) == ("platform", "page", "0.25")


def test_every_model_that_staff_must_see_has_a_page():
    shown = {model.__name__ for model in admin.site._registry if model._meta.app_label == "credits"}

    assert {"CreditPool", "Allocation", "Grant", "Hold", "UsageRecord", "LedgerEntry"} <= shown

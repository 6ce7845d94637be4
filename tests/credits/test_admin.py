"""Django admin of the ledger: books are read-only, lists stay cheap; what staff do there is in test_acting.py."""

import re
from decimal import Decimal

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credits.ledger import burndown, proposals, withdrawals
from credits.models import (
    Allocation,
    CreditPool,
    Grant,
    Hold,
    LedgerEntry,
    Price,
    ProposedGrant,
    Shortfall,
    UsageRecord,
    Verification,
    Withdrawal,
)
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import credits as ledger
from tests.factories import orgs

BOOKS = (Grant, Hold, LedgerEntry, ProposedGrant, Shortfall, UsageRecord, Verification, Withdrawal)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    client = Client()
    client.force_login(orgs.user("Sys Admin", is_staff=True, is_superuser=True))
    return client


class TestTheBooks:
    @pytest.mark.parametrize("model", [*BOOKS, CreditPool, Allocation], ids=lambda model: model.__name__)
    def test_can_be_read_but_not_added_to_changed_or_deleted(self, staff, rf, model):
        _fill(ledger.team(10), 1)
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
        _fill(ledger.team(100), 6)

        with django_assert_max_num_queries(12):
            staff.get(reverse(f"admin:credits_{model._meta.model_name}_changelist"))

    def test_are_found_by_the_organizations_public_id(self, staff):
        organization, other = ledger.team(10), ledger.team(20)

        page = staff.get(reverse("admin:credits_grant_changelist"), {"q": organization.public_id})

        assert [row.organization_id for row in page.context["cl"].result_list] == [organization.pk]
        assert other.pk != organization.pk


class TestGrants:
    def test_show_what_became_of_them(self, staff):
        organization = ledger.team(10)
        ledger.charged(organization, None, 4)
        with transaction.atomic():
            burndown.burn(organization_ids=[organization.pk])
        page = staff.get(reverse("admin:credits_grant_changelist"))
        shown = re.findall(r'class="field-(\w+)[^"]*">([^<]*)<', page.content.decode())
        assert {("granted", "10"), ("left", "6"), ("consumed", "4"), ("expires", "never")} <= set(shown)


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

    books = {model.__name__ for model in BOOKS}
    assert books | {"CreditPool", "Allocation", "Price"} <= shown


def _fill(organization, count):
    """Make some rows of every book."""
    for number in range(count):
        member = ledger.member(organization, 2)
        ledger.charged(organization, member, 1)
        ledger.captured(ledger.held(organization, member, 1), 2)
        ledger.settled(ledger.hold(organization, None, 0))
        grant = ledger.grant(organization, 3)
        with transaction.atomic():
            withdrawals.withdraw(
                organization=organization,
                grant_source=grant.source,
                grant_reference=grant.reference,
                credits=Decimal(1),
                reference=f"refund {number}",
                reason="Refunded",
                by=SYSTEM,
            )
            proposals.propose(
                organization=organization,
                source="goodwill",
                credits=Decimal(1_000_000),
                reference=f"gift {number}",
                reason="A gift",
                by=SYSTEM,
            )
        now = timezone.now()
        Verification.objects.create(started_at=now, finished_at=now, organizations=1, laws=1, violations=0)

"""`manage.py demo`: the stories are there, sign in, and a second run changes nothing."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from billing_portal.demo import cast
from credits.models import Allocation, Grant, UsageRecord
from lago_sync.models import (
    AutoTopUp,
    LagoInvoice,
    LagoSubscription,
    PaymentMethod,
    Purchase,
    Refund,
)
from orgs.access import keys
from orgs.models import Membership, Organization, User


@pytest.fixture
def notes(settings, lago, tmp_path, monkeypatch):
    settings.DEBUG = settings.LAGO_IS_SANDBOX = True
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    settings.SITE_URL = "http://127.0.0.1:9"
    monkeypatch.setattr("billing_portal.embedded.sandbox.url", lambda: lago.url)
    monkeypatch.setattr(
        "billing_portal.management.commands.demo.PORTAL", type("Here", (), {"folder": tmp_path})()
    )
    return tmp_path / "demo.json"


def _counts():
    return [one.objects.count() for one in (UsageRecord, User, Organization, Purchase, Grant, Refund)]


def load():
    said = StringIO()
    call_command("demo", stdout=said)
    return said.getvalue()


@pytest.mark.django_db
class TestDemo:
    def test_has_the_three_stories_and_a_person_alone_and_repeats_without_a_change(self, notes, lago):
        load()

        acme = Organization.objects.get(slug="acme")
        assert Membership.objects.live().filter(organization=acme).count() >= 114
        assert acme.departments.count() == 4
        assert Membership.objects.live().filter(user__email="consultant@example.com").count() == 3
        assert Organization.objects.get(personal_of__email="solo@example.com").kind == "personal"
        assert Allocation.objects.get(user__email="member@acme.example").used > 0
        assert UsageRecord.objects.filter(organization=acme).dates("day", "month")
        bought = Purchase.objects.filter(organization=acme).values_list("credits", "status")
        assert sorted(bought) == [
            (10_000, "awaiting_payment"),
            (50_000, "completed"),
            (50_000, "completed"),
        ]
        assert Purchase.objects.get(organization__personal_of__email="solo@example.com").credits == 500
        assert Purchase.objects.filter(organization__slug="globex", status="declined").count() == 1
        assert Purchase.objects.filter(organization__slug="globex", status="abandoned").count() == 1
        [refund] = Refund.objects.all()
        assert (refund.credits, refund.voided_at is not None) == (2_500, True)
        assert AutoTopUp.objects.get(organization=acme).is_on
        assert PaymentMethod.objects.filter(organization=acme, is_default=True).count() == 1
        assert LagoSubscription.objects.get(organization__slug="globex").next_plan_code == "starter"
        assert LagoInvoice.objects.filter(organization=acme, payment_status="succeeded").count() >= 3
        of_plans = Grant.objects.filter(source="plan").values_list("organization__slug", "credits")
        assert {("acme", 15_000), ("sprout", 2_000), ("globex", 6_000)} <= set(of_plans)
        assert all(one.expires_at > timezone.now() for one in Grant.objects.filter(source="plan"))
        [at_lago] = lago.api("GET", f"customers/{acme.public_id}/subscriptions").json()["subscriptions"]
        assert at_lago["plan_code"] == "enterprise"
        assert at_lago["started_at"] < (timezone.now() - timedelta(days=27)).isoformat()
        assert lago.now()[:16] == timezone.now().isoformat()[:16]
        before = _counts()
        known = json.loads(notes.read_text())

        assert "Acme 0 new calls" in load()

        assert _counts() == before
        assert json.loads(notes.read_text())["key"] == known["key"]
        assert keys.find(known["key"]) is not None

    def test_everybody_it_names_can_sign_in(self, notes):
        load()

        for person in json.loads(notes.read_text())["sign_ins"]:
            client = Client()
            assert client.login(email=person["email"], password=cast.PASSWORD), person["email"]

    def test_refuses_to_load_at_a_lago_where_money_moves(self, settings):
        settings.DEBUG, settings.LAGO_IS_SANDBOX = True, False

        with pytest.raises(CommandError, match="LAGO_API_URL"):
            call_command("demo")

    def test_refuses_to_load_without_debug(self, settings):
        settings.DEBUG = False

        with pytest.raises(CommandError, match="DEBUG"):
            call_command("demo")

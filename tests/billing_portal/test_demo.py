"""`manage.py demo`: the stories are there, sign in, and a second run changes nothing."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from billing_portal.demo import cast
from credits.models import Allocation, UsageRecord
from orgs.access import keys
from orgs.models import Membership, Organization, User


@pytest.fixture
def notes(settings, tmp_path, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr(
        "billing_portal.management.commands.demo.PORTAL", type("Here", (), {"folder": tmp_path})()
    )
    return tmp_path / "demo.json"


def load():
    said = StringIO()
    call_command("demo", stdout=said)
    return said.getvalue()


@pytest.mark.django_db
class TestDemo:
    def test_has_the_three_stories_and_a_person_alone_and_repeats_without_a_change(self, notes):
        load()

        acme = Organization.objects.get(slug="acme")
        assert Membership.objects.live().filter(organization=acme).count() >= 114
        assert acme.departments.count() == 4
        assert Membership.objects.live().filter(user__email="consultant@example.com").count() == 3
        assert Organization.objects.get(personal_of__email="solo@example.com").kind == "personal"
        assert Allocation.objects.get(user__email="member@acme.example").used > 0
        assert UsageRecord.objects.filter(organization=acme).dates("day", "month")
        before = (UsageRecord.objects.count(), User.objects.count(), Organization.objects.count())
        known = json.loads(notes.read_text())

        assert "Acme 0 new calls" in load()

        assert (UsageRecord.objects.count(), User.objects.count(), Organization.objects.count()) == before
        assert json.loads(notes.read_text())["key"] == known["key"]
        assert keys.find(known["key"]) is not None

    def test_everybody_it_names_can_sign_in(self, notes):
        load()

        for person in json.loads(notes.read_text())["sign_ins"]:
            client = Client()
            assert client.login(email=person["email"], password=cast.PASSWORD), person["email"]

    def test_refuses_to_load_without_debug(self, settings):
        settings.DEBUG = False

        with pytest.raises(CommandError, match="DEBUG"):
            call_command("demo")

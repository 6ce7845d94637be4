"""The feed of an organization's page: every kind of entry has its sentence."""

import pytest

from billing_portal.dashboards import movements
from credits.sharing import resets
from tests.factories import books
from tests.factories import credits as make

pytestmark = pytest.mark.django_db


def test_every_kind_of_movement_says_what_happened(monkeypatch):
    monkeypatch.setattr(movements, "SHOWN", 50)
    team = books.everything()
    happened = {line.sentence.split()[0] for line in movements.latest(organization=team)}
    assert happened == {"granted", "transferred", "allocated", "restored", "withdrawn"}


def test_a_reset_names_whose_amount_was_restored():
    team = make.team(100)
    user = make.member(team)
    make.allocate(team, user, 30, reset_period="daily")
    make.charged(team, user, 10)
    with make.later("1 day"):
        resets.run_due()
    newest = movements.latest(organization=team)[0]
    assert (newest.sentence, newest.credits) == (f"restored for {user.name}", 10)

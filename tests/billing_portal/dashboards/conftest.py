"""The people of these tests: Acme with an owner, a member with an allocation, a member without, and an outsider."""

from collections.abc import Callable

import pytest
from django.test import Client

from orgs.models import User
from tests.billing_portal.dashboards.story import Team, person


@pytest.fixture
def acme(db: None) -> Team:
    """10,000 credits granted, 1,000 of them Mia's; 250.75 spent, 20 held."""
    team = Team.made("Acme").granted("10000")
    mia = team.joined_by(person("Mia Member"), department="Engineering")
    paul = team.joined_by(person("Paul Pool"))
    team.people |= {"mia": mia, "paul": paul}
    team.allocated(mia, "1000").spent(mia, "200.5", model="gpt-5").spent(mia, "0.25", model="llama", days=3)
    team.spent(paul, "50", model="llama", service="search")
    team.held(mia, "20")
    return team


@pytest.fixture
def outsider(db: None) -> User:
    return Team.made("Globex").owner


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in

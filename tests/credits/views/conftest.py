"""The people of these tests: see tests/billing_portal/dashboards/story.py."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from credits.sharing import transfers
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.models import Department, User
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team, person


@pytest.fixture
def acme(db: None) -> Team:
    return story.acme_with_people()


@pytest.fixture
def outsider(db: None) -> User:
    return Team.made("Globex").owner


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    return story.sign_in


@pytest.fixture
def managed(acme: Team) -> Team:
    """Acme with Engineering funded with 500 credits, and `max` who manages it; `erin` works there without a share."""
    department = Department.objects.get(name="Engineering")
    with transactions.durable():
        transfers.move(department=department, credits=Decimal(500), by=SYSTEM)
    acme.people["max"] = acme.joined_by(person("Max Manager"), department="Engineering")
    acme.people["erin"] = acme.joined_by(person("Erin Engineer"), department="Engineering")
    return acme.managed_by(acme.people["max"])


@pytest.fixture
def owner(acme: Team, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(acme.owner)


@pytest.fixture
def manager(managed: Team, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(managed.people["max"])

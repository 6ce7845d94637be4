"""The people of these tests: Acme with an owner, a member with an allocation, a member without, and an outsider."""

from collections.abc import Callable

import pytest
from django.test import Client

from orgs.models import User
from tests.billing_portal.dashboards import story
from tests.billing_portal.dashboards.story import Team


@pytest.fixture
def acme(db: None) -> Team:
    return story.acme_with_people()


@pytest.fixture
def outsider(db: None) -> User:
    return Team.made("Globex").owner


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    return story.sign_in

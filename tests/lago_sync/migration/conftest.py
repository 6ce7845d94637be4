"""Migrations speak to the real sandbox."""

import pytest

from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.migration.story import Legacy


@pytest.fixture
def legacy(lago, settings):  # noqa: F811
    """Return a Lago with our plans, on which customers are still users."""
    return Legacy(lago, settings)

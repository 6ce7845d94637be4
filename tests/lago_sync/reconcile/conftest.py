"""These tests talk to the real sandbox."""

import pytest

from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.reconcile.story import NOWHERE, Story


@pytest.fixture(autouse=True)
def _webhooks_go_nowhere(settings):
    settings.SITE_URL = NOWHERE


@pytest.fixture
def story(db, lago, settings):  # noqa: F811
    return Story(lago, settings)

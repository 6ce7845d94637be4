"""These tests talk to the real sandbox."""

import pytest

from tests.factories.lago import lago, lago_process  # noqa: F401


@pytest.fixture(autouse=True)
def _webhooks_go_nowhere(settings):
    """Where nobody listens, found without asking for a name: the sandbox sends to the address that setup gives it."""
    settings.SITE_URL = "http://127.0.0.1:9"

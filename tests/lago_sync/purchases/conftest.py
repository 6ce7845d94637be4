"""Purchases speak to the real sandbox."""

import pytest

from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.purchases.story import Shop


@pytest.fixture
def shop(lago, settings):  # noqa: F811
    """Return who orders and pays at the sandbox, whose payment provider is linked."""
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    return Shop(lago)

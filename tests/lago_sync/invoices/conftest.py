"""Invoices of the real sandbox, whose payment provider is linked."""

from datetime import datetime

import pytest

from lago_sync.setup import guard, installing
from tests.factories.lago import lago, lago_process  # noqa: F401
from tests.lago_sync.invoices.story import Billed


@pytest.fixture
def installed(lago, settings, db):  # noqa: F811
    settings.SITE_URL = "http://127.0.0.1:9"  # webhooks go nowhere
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    installing.install(webhook_url=guard.webhook_url(), now=datetime.fromisoformat(lago.now()))
    return lago


@pytest.fixture
def billed(installed):
    """Return an organization with an unpaid invoice of its plan."""
    return Billed(installed)

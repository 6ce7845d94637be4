"""System checks of the settings as a whole."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def refuse_test_sessions(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse session settings that let tests move the clock and empty the ledger, anywhere but in tests."""
    if settings.TESTING:
        return []
    return [
        Error(
            f"DATABASES[{alias!r}] sets portal.* in its session options, which only the test settings may.",
            hint="Take `-c portal.…` out of the options of DATABASE_URL.",
            id="portal.E001",
        )
        for alias, database in settings.DATABASES.items()
        if "portal." in str(database.get("OPTIONS", {}).get("options", ""))
    ]

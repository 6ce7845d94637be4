"""Whether Lago is there and takes our key."""

from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from lago_sync.client import organization
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable

HEALTHY = "healthy"
UNHEALTHY = "unhealthy"
UNREACHABLE = "unreachable"


def check_lago_health() -> dict[str, str]:
    """Ask Lago for its version and whether it takes the key; never raises, and the key is in no answer.

    `status` is healthy, unhealthy (not configured, a wrong key, a wrong address) or unreachable (no usable answer),
    beside `api_url` and a sentence in `message`. Whether plans, metrics and wallets are as they must be is looked at by
    `manage.py lago_health`.
    """
    try:
        version = str(organization.health().get("version") or "unknown")
        organization.get()
    except LagoUnavailable as error:
        return _answer(UNREACHABLE, error.message)
    except LagoRefused as error:
        if error.http_status == 401:
            return _answer(UNHEALTHY, "Lago does not take LAGO_API_KEY.")
        return _answer(UNHEALTHY, error.message)
    except LagoIntegrationError as error:
        return _answer(UNHEALTHY, error.message)
    return _answer(HEALTHY, f"Lago {version} answers and takes the key.")


def _answer(status: str, message: str) -> dict[str, str]:
    return {"status": status, "api_url": _address(), "message": message}


def _address() -> str:
    """Return the configured address without a name and password that may stand in it."""
    try:
        parts = urlsplit(str(settings.LAGO_API_URL))
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))

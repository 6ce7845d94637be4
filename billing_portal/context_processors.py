"""What every page knows: the portal's name, the environment, the theme, and the organizations to switch to."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

from billing_portal.dashboards.switcher import Switcher

THEMES: Final = ("light", "dark")
THEME_COOKIE: Final = "theme"


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the values; the switcher asks the database only where a template looks at it."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    user = getattr(request, "user", None)
    match = request.resolver_match
    return {
        "PORTAL_NAME": settings.PORTAL_NAME,
        "ENVIRONMENT": "" if settings.ENVIRONMENT == "production" else settings.ENVIRONMENT,
        "LAGO_IS_SANDBOX": settings.LAGO_IS_SANDBOX,
        "theme": theme if theme in THEMES else "",
        "account_page": bool(match and match.route.startswith("accounts/")),
        "switcher": Switcher(user=user, slug=match.kwargs.get("slug") if match else None)
        if user is not None and user.is_authenticated
        else None,
    }

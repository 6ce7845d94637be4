"""Where a member whose request met a limit can ask for more: `details.request_url` of 402 and 429 (contract.md §4)."""

from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings

from credits.ledger.commands import Command, Spend
from kit.errors import DomainError
from orgs.models import Organization

_MOST: Final = 100_000
_pages: dict[int, str] = {}


def named(refusal: DomainError, command: Command) -> DomainError:
    """Return the refusal, with the address where to ask for more if it names a limit."""
    limit = refusal.details.get("limit")
    if limit is not None:
        refusal.details.setdefault("request_url", f"{settings.SITE_URL}{_path(command, limit)}")
    return refusal


def _path(command: Command, limit: dict[str, Any]) -> str:
    """Return the page of requests, for a member of a team; where nobody could be asked, the dashboard."""
    if not isinstance(command, Spend) or command.spender.user_id is None:
        return "/billing/"
    page = _page(command.organization_id)
    if (
        page and "needed" in limit and limit.get("kind") != "quota"
    ):  # a quota counts calls, which nobody gives
        return f"{page}?{urlencode({'needed': limit['needed']})}"
    return page or "/billing/"


def _page(organization_id: int) -> str:
    """Return the address of an organization's page of requests, "" for a personal one; neither ever changes."""
    found = _pages.get(organization_id)
    if found is None:
        rows = Organization.objects.filter(pk=organization_id, kind=Organization.Kind.TEAM)
        slug = rows.values_list("slug", flat=True).first()
        if len(_pages) >= _MOST:
            _pages.clear()
        found = _pages[organization_id] = f"/orgs/{slug}/requests/" if slug else ""
    return found

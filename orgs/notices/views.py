"""The inbox: what a person was told, and which of it they want by e-mail."""

from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kit import transactions
from orgs.access import pages
from orgs.models import Organization
from orgs.notices import inbox, preferences
from orgs.notices.kinds import DESCRIPTIONS, Kind
from orgs.notices.models import Notice

SHOWN: Final = 25


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show what the visitor was told, newest first."""
    user = pages.visitor(request)
    organizations = inbox.organizations(user=user)
    wanted = _wanted(request, organizations)
    kind = request.GET.get("kind", "")
    known = kind if kind in set(Kind) else ""
    only_unread = request.GET.get("show") == "unread"
    rows = inbox.rows(user=user, unread=only_unread, kind=known, organization=wanted)
    page: Page[Notice] = Paginator(rows, SHOWN).get_page(request.GET.get("page", "1"))
    context = {
        "page": page,
        "unread": inbox.unread(user=user),
        "only_unread": only_unread,
        "is_narrow": bool(known or wanted),
        "kind": known,
        "kinds": [one for kinds in preferences.offered(user=user).values() for one in _described(kinds)],
        "organization": wanted,
        "organizations": organizations,
    }
    return render(request, "notices/inbox.html", context)


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark one notice as read, or all of them; back to where the visitor was in the inbox."""
    given = request.POST.get("id", "")
    ids = None if given == "all" else _ids(given)
    with transactions.durable():
        inbox.read(user=pages.visitor(request), ids=ids, now=timezone.now())
    return redirect(_back(request))


@require_POST
def follow(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """Mark a notice as read and go to what it is about."""
    user = pages.visitor(request)
    notice = get_object_or_404(Notice, user=user, pk=notice_id)
    with transactions.durable():
        inbox.read(user=user, ids=[notice.pk], now=timezone.now())
    return redirect(notice.path or "notices:inbox")


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """Show which kinds come by e-mail, and change it."""
    user = pages.visitor(request)
    offered = preferences.offered(user=user)
    if request.method == "POST":
        wanted = set(request.POST.getlist("mail"))
        off = [kind for kinds in offered.values() for kind in kinds if kind.value not in wanted]
        with transactions.durable():
            preferences.switch_off(user=user, kinds=off)
        messages.success(request, "Your choice of mails is saved.")
        return redirect("notices:preferences")
    off_now = preferences.off(user=user)
    groups = {heading: _described(kinds) for heading, kinds in offered.items()}
    return render(request, "notices/preferences.html", {"groups": groups, "off": off_now})


def _described(kinds: list[Kind]) -> list[tuple[Kind, str]]:
    return [(kind, DESCRIPTIONS[kind]) for kind in kinds]


def _wanted(request: HttpRequest, organizations: list[Organization]) -> Organization | None:
    slug = request.GET.get("organization", "")
    return next((one for one in organizations if one.slug == slug), None)


def _ids(given: str) -> list[UUID]:
    try:
        return [UUID(given)]
    except ValueError:
        return []


def _back(request: HttpRequest) -> str:
    """Return the page of the inbox that the form stood on."""
    target, ours = request.POST.get("next", ""), reverse("notices:inbox")
    is_ours = url_has_allowed_host_and_scheme(target, None) and urlsplit(target).path == ours
    return target if is_ours else ours

"""The first pages. Each view asks who may see what, makes one call and renders; rules and sums live elsewhere."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from billing_portal.context_processors import THEME_COOKIE, THEMES
from billing_portal.dashboards import (
    directory,
    lago_page,
    outlook,
    overview,
    own,
    periods,
    standing,
    usage_panel,
)
from billing_portal.dashboards import mine as mine_page
from billing_portal.dashboards import system as system_page
from billing_portal.dashboards.switcher import Switcher
from credits.sharing import resets
from kit import transactions
from orgs import organizations
from orgs.access import capabilities, pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

_YEAR_SECONDS = 365 * 24 * 60 * 60


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Send people to their credits, and strangers to sign-in."""
    return redirect("dashboards:mine" if request.user.is_authenticated else "account_login")


@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """Show a person's credits in all their organizations."""
    user = pages.visitor(request)
    resets.refresh_of(user)
    switcher = Switcher(user=user, slug=None)
    page = mine_page.build(user=user, entries=switcher.entries, now=timezone.now())
    return render(request, "dashboards/mine.html", {**vars(page), "switcher": switcher})


@require_safe
def organization(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an organization: whole to those who may see it whole, else the visitor's own part."""
    user = pages.visitor(request)
    found = pages.organization(request, slug)
    sees_all = capabilities.allows(user=user, organization=found, capability=Capability.SEE_FIGURES)
    resets.refresh(found)
    now = timezone.now()
    part: overview.PoolPart | own.OwnPart
    if sees_all:
        part = overview.part(organization=found, page_number=request.GET.get("page", "1"))
    else:
        part = own.part(organization=found, user=user)
    used = usage_panel.part(organization=found, query=request.GET, now=now, user=None if sees_all else user)
    context = {
        **vars(part),
        **vars(used),
        "organization": found,
        "plan": standing.plan_facts(organization=found),
        "outlook": outlook.part(organization=found, now=now, user=None if sees_all else user),
        "period_choices": periods.DAYS,
        "groupings": periods.GROUPINGS if sees_all else {},
    }
    with timezone.override(found.time_zone):
        return render(request, "dashboards/overview.html", context)


@require_safe
def system(request: HttpRequest) -> HttpResponse:
    """Show everything to system admins; nobody else may know of this page."""
    if not capabilities.is_system_admin(pages.visitor(request)):
        raise Http404
    page = system_page.build(query=request.GET, now=timezone.now())
    context = {"page": page, "kinds": directory.KINDS}
    return render(request, "dashboards/system.html", context)


@require_safe
def system_lago(request: HttpRequest) -> HttpResponse:
    """Show system admins how the portal and Lago lie to each other; nobody else may know of this page."""
    if not capabilities.is_system_admin(pages.visitor(request)):
        raise Http404
    page = lago_page.build(page_number=request.GET.get("page", "1"), now=timezone.now())
    return render(request, "dashboards/system_lago.html", {"page": page})


@require_POST
def switch_organization(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an organization pay for the person's next call, and show it."""
    user = pages.visitor(request)
    found = get_object_or_404(Organization.objects.of_member(user), slug=slug)
    with transactions.durable():
        organizations.switch(user=user, organization=found, by=pages.actor(request))
    messages.success(request, f"{found.name} pays for your next call.")
    return redirect("dashboards:organization", slug=found.slug)


@login_not_required
@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Set the theme where no script does; back to where the person was."""
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(target if is_ours else "/")
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        # Read by the page's own script too, so not HttpOnly; it is no secret.
        response.set_cookie(
            THEME_COOKIE, theme, max_age=_YEAR_SECONDS, samesite="Lax", secure=request.is_secure()
        )
    else:
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    return response

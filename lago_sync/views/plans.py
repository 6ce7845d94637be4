"""The plan on pages: what it is, what else could be chosen, what a change costs, and the way out and back."""

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from kit.errors import DomainError, InvalidRequest
from lago_sync.models import PlanChange
from lago_sync.subscriptions import catalogue, changing, plans, prices
from lago_sync.views import plan_cards
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

_DECIDED: Final = frozenset({400, 403, 404, 409, 422})
"""Statuses of refusals that the page answers with; all others are trouble that passes, 503."""


@never_cache
@require_safe
def plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the present plan and what can be chosen."""
    return _plan(request, pages.organization_for(request, slug, Capability.BUY))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Show exactly what choosing a plan costs, and choose it once that is confirmed."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    given = request.POST if request.method == "POST" else request.GET
    plan_code = given.get("plan", "")
    try:
        if request.method == "POST":
            return _choose(request, organization, plan_code)
        return _confirmation(request, organization, plan_code)
    except prices.PriceChanged as changed:
        return _confirmation(request, organization, plan_code, notice=changed.message, status=409)
    except DomainError as refusal:
        return _refused(request, organization, refusal)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask once more, then end the plan with its period."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    present = plan_cards.present_of(organization=organization)
    if present is None or present.row is None or not present.renews:
        return redirect("plans:plan", slug=slug)
    if request.method != "POST":
        return pages.show(request, organization, "plans/cancel.html", {"present": present})
    try:
        changing.cancel(organization=organization, by=pages.actor(request), now=timezone.now())
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    messages.success(request, "The plan is canceled. It can be used until its period ends.")
    return redirect("plans:plan", slug=slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def take_back(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask once more, then let the plan go on as it is."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    present = plan_cards.present_of(organization=organization)
    if present is None or not (present.is_canceled or present.next_name):
        return redirect("plans:plan", slug=slug)
    if request.method != "POST":
        return pages.show(request, organization, "plans/take_back.html", {"present": present})
    try:
        changing.take_back(organization=organization, by=pages.actor(request), now=timezone.now())
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    messages.success(request, "The plan goes on as it is.")
    return redirect("plans:plan", slug=slug)


def _choose(request: HttpRequest, organization: Organization, plan_code: str) -> HttpResponse:
    """Choose a plan for the price that was shown; a second click finds it chosen."""
    confirmed = request.POST.get("due_cents", "")
    if not confirmed.isdecimal():
        return _confirmation(request, organization, plan_code)
    try:
        changing.choose(
            organization=organization,
            plan_code=plan_code,
            by=pages.actor(request),
            now=timezone.now(),
            confirmed_due_cents=int(confirmed),
        )
    except (InvalidRequest, plans.SubscriptionExists):
        messages.warning(request, "Nothing was changed: see below what holds now.")
    else:
        messages.success(request, "The plan was chosen.")
    return redirect("plans:plan", slug=organization.slug)


def _confirmation(
    request: HttpRequest, organization: Organization, plan_code: str, *, notice: str = "", status: int = 200
) -> HttpResponse:
    price = prices.preview(organization=organization, plan_code=plan_code, now=timezone.now())
    offer = catalogue.find(plan_code, currency=organization.currency)
    context = {
        "price": price,
        "offer": offer,
        "every": plan_cards.INTERVALS[offer.at_lago.interval],
        "is_downgrade": price.kind == PlanChange.Kind.DOWNGRADE,
        "is_new": price.kind == PlanChange.Kind.SUBSCRIBE,
        "present": plan_cards.present_of(organization=organization),
        "differences": plan_cards.differences(organization=organization, offer=offer),
        "members": plan_cards.too_many_members(organization=organization, offer=offer),
        "notice": notice,
    }
    return pages.show(request, organization, "plans/confirm.html", context, status=status)


def _refused(request: HttpRequest, organization: Organization, refusal: DomainError) -> HttpResponse:
    """Show the plan with why nothing was done, or that what was asked for is recorded and on its way."""
    status = refusal.status if refusal.status in _DECIDED else 503
    fields = refusal.details.values() if refusal.status == 422 else ()
    said = " ".join(str(why) for why in fields) or refusal.message
    if isinstance(refusal, changing.ChangeWaits):
        said = ""  # the page says so of every change that is on its way
    return _plan(request, organization, notice=said, status=status)


def _plan(
    request: HttpRequest, organization: Organization, *, notice: str = "", status: int = 200
) -> HttpResponse:
    found = plan_cards.page(organization=organization)
    return pages.show(
        request, organization, "plans/plan.html", {"page": found, "notice": notice}, status=status
    )

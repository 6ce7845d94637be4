"""Auto top-up on a page: what is bought below which threshold, its caps, and how far this month has come."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from credits.reports import figures
from credits.views import refusals
from kit.errors import DomainError
from lago_sync.customers import methods
from lago_sync.models import AutoTopUp
from lago_sync.purchases import auto_orders, auto_top_ups
from lago_sync.views import offers
from lago_sync.views.forms import AutoTopUpForm
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show and set what is bought by itself."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    row = auto_top_ups.of_organization(organization=organization)
    form = _form(request, organization, row)
    if request.method == "POST" and form.is_valid():
        try:
            pages.once(request, _content(request), lambda: _set(request, organization, form))
        except DomainError as refusal:
            form.explain(refusal)
        else:
            messages.success(
                request, "Auto top-up is on." if form.terms.is_on else "Auto top-up is saved, and off."
            )
            return redirect("methods:auto-top-up", slug=slug)
    return _shown(request, organization, row, form)


@require_POST
def turn_off(request: HttpRequest, slug: str) -> HttpResponse:
    """Buy nothing by itself any more."""
    organization, by = pages.organization_for(request, slug, Capability.BUY), pages.actor(request)

    def run() -> dict[str, Any]:
        auto_top_ups.turn_off(organization=organization, by=by, now=timezone.now())
        return {}

    try:
        pages.once(request, {}, run)
        messages.success(request, "Auto top-up is off. What was ordered before stands.")
    except DomainError as refusal:
        messages.error(request, refusals.sentence(refusal))
    return redirect("methods:auto-top-up", slug=slug)


def _set(request: HttpRequest, organization: Organization, form: AutoTopUpForm) -> dict[str, Any]:
    by, now = pages.actor(request), timezone.now()
    auto_top_ups.configure(organization=organization, terms=form.terms, by=by, now=now)
    return {}


def _form(request: HttpRequest, organization: Organization, row: AutoTopUp | None) -> AutoTopUpForm:
    packages = [one.package for one in offers.offers(currency=organization.currency)]
    return AutoTopUpForm(
        request.POST if request.method == "POST" else None,
        currency=organization.currency,
        packages=packages,
        row=row,
        has_card=methods.has_default(organization=organization),
    )


def _shown(
    request: HttpRequest, organization: Organization, row: AutoTopUp | None, form: AutoTopUpForm
) -> HttpResponse:
    now = timezone.now()
    context = {
        "row": row,
        "form": form,
        "key": refusals.key_for(request, form),
        "off_key": pages.new_key(),
        "spent": auto_orders.spent(organization=organization, now=now),
        "available": figures.own_pool(organization=organization),
        "open_purchase": auto_orders.open_purchase(organization=organization),
        "has_card": methods.has_default(organization=organization),
        "has_provider": bool(settings.LAGO_PAYMENT_PROVIDER),
        "stopped": offers.why_stopped(organization=organization),
    }
    status = 422 if form.is_bound else 200
    return pages.show(request, organization, "methods/auto_top_up.html", context, status=status)


def _content(request: HttpRequest) -> dict[str, str]:
    left_out = {pages.FORM_KEY, "csrfmiddlewaretoken"}
    return {name: str(value) for name, value in request.POST.items() if name not in left_out}

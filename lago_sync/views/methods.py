"""Stored cards and accounts on a page: what is kept, storing one at the payment provider, the default, removing one."""

import logging
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kit.errors import DomainError
from lago_sync import tasks
from lago_sync.customers import methods
from lago_sync.errors import LagoIntegrationError
from lago_sync.models import PaymentMethod
from lago_sync.purchases import auto_top_ups
from lago_sync.views.buying import STORING_A_CARD
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

logger = logging.getLogger(__name__)

_AWAY = "The billing engine does not answer right now, and nothing was changed. Try again in a moment."


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List what is stored, as Lago showed it last."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    if request.session.pop(STORING_A_CARD, None) is not None:  # back from the page where one is stored
        tasks.enqueue_methods(organization.public_id)
        messages.info(request, "A card that you have just stored shows within a minute.")
    return _listed(request, organization)


@never_cache
@require_POST
def store(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the way to the payment provider's page: a link, since a form may not lead to another site."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    try:
        address = methods.page_to_store(organization=organization, now=timezone.now())
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    request.session[STORING_A_CARD] = slug
    return pages.show(request, organization, "methods/store.html", {"address": address})


@require_POST
def refresh(request: HttpRequest, slug: str) -> HttpResponse:
    """Look at Lago now."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    try:
        methods.refresh(organization=organization, now=timezone.now())
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    return redirect("methods:list", slug=slug)


@require_POST
def make_default(request: HttpRequest, slug: str, method_id: UUID) -> HttpResponse:
    """Have one charged from now on."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    chosen, by = _stored(organization, method_id), pages.actor(request)
    try:
        methods.make_default(organization=organization, method_id=method_id, by=by, now=timezone.now())
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    messages.success(request, f"{methods.name_of(chosen)} is charged from now on.")
    return redirect("methods:list", slug=slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, slug: str, method_id: UUID) -> HttpResponse:
    """Ask whether one is to be forgotten, and have it forgotten."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    chosen = _stored(organization, method_id)
    if request.method != "POST":
        setting = auto_top_ups.of_organization(organization=organization)
        context = {
            "method": chosen,
            "name": methods.name_of(chosen),
            "feeds_top_up": setting is not None and setting.is_on,
        }
        return pages.show(request, organization, "methods/remove.html", context)
    try:
        methods.remove(
            organization=organization, method_id=method_id, by=pages.actor(request), now=timezone.now()
        )
    except DomainError as refusal:
        return _refused(request, organization, refusal)
    messages.success(request, f"{methods.name_of(chosen)} was removed.")
    return redirect("methods:list", slug=slug)


def _refused(request: HttpRequest, organization: Organization, refusal: DomainError) -> HttpResponse:
    """Show the list with what went wrong: 503 where it is Lago's, which passes."""
    if isinstance(refusal, LagoIntegrationError):
        logger.warning("payment methods of %s: %s", organization.public_id, refusal.message)
        return _listed(request, organization, notice=_AWAY, status=503)
    return _listed(request, organization, notice=refusal.message, status=refusal.status)


def _listed(
    request: HttpRequest, organization: Organization, *, notice: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "methods": [
            (one, methods.name_of(one)) for one in methods.of_organization(organization=organization)
        ],
        "as_of": methods.as_of(organization=organization),
        "has_provider": bool(settings.LAGO_PAYMENT_PROVIDER),
        "top_up": auto_top_ups.of_organization(organization=organization),
        "notice": notice,
    }
    return pages.show(request, organization, "methods/list.html", context, status=status)


def _stored(organization: Organization, method_id: UUID) -> PaymentMethod:
    found = methods.of_organization(organization=organization).filter(pk=method_id).first()
    if found is None:
        raise Http404
    return found

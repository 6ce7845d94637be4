"""Buying credits on pages: choose, confirm, pay at the payment page, and see them come."""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from credits.reports import figures
from kit import transactions
from kit.errors import Conflict, DomainError, TryAgain
from lago_sync import tasks
from lago_sync.invoices import listing
from lago_sync.models import Purchase
from lago_sync.purchases import abandoning, orders, refunds
from lago_sync.purchases.orders import Order
from lago_sync.views import offers
from lago_sync.views.forms import OrderForm
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

STORING_A_CARD: Final = "storing_a_card"
"""In the session of who went to the payment provider's page for that: the slug of the organization."""
_RETURNS_WITHIN: Final = timedelta(days=1)
_SHOWN: Final = frozenset({400, 403, 409, 422})
"""Statuses of refusals that the page answers with; all others are trouble that passes, 503."""


class PriceChanged(Conflict):
    """The price is no longer the one that was confirmed; nothing was ordered."""


@require_safe
def shop(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what can be bought, and what was."""
    return _shop(request, pages.organization_for(request, slug, Capability.BUY), OrderForm())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an order with its price, and place it once it is confirmed."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    form = OrderForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        return _shop(request, organization, form, status=422)
    order = form.order(return_url=urljoin(settings.SITE_URL, reverse("purchases:returned")))
    try:
        if request.method == "POST":
            return redirect("purchases:purchase", slug=slug, purchase_id=_place(request, organization, order))
        return _confirmation(request, organization, order)
    except PriceChanged as changed:
        return _confirmation(request, organization, order, notice=changed.message, status=409)
    except DomainError as refusal:
        _explain(refusal, form)
        status = refusal.status if refusal.status in _SHOWN else 503
        return _shop(request, organization, form, status=status)


@login_not_required
@require_safe
def purchase(request: HttpRequest, slug: str, purchase_id: UUID) -> HttpResponse:
    """Show how far a purchase is; the page asks again by itself until it has ended."""
    is_fragment = "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers
    if not request.user.is_authenticated:
        if is_fragment:  # signed out meanwhile: the whole page goes to sign-in, not a part of it
            return HttpResponse(headers={"HX-Refresh": "true"})
        return redirect_to_login(request.get_full_path())
    organization = pages.organization_for(request, slug, Capability.BUY)
    found = orders.find(organization=organization, purchase_id=purchase_id)
    if found is None:
        raise Http404
    state = _state(found)
    if is_fragment and request.GET.get("state") == state:
        response = HttpResponse(status=204)  # nothing new: what is on screen stays, and so does the focus
    else:
        template = "purchases/parts/progress.html" if is_fragment else "purchases/purchase.html"
        response = pages.show(request, organization, template, _purchase_context(organization, found, state))
    patch_vary_headers(response, ["HX-Request"])
    patch_cache_control(response, no_store=True)
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def abandon(request: HttpRequest, slug: str, purchase_id: UUID) -> HttpResponse:
    """Ask whether an order is to be given up, and note that it is."""
    organization = pages.organization_for(request, slug, Capability.BUY)
    found = orders.find(organization=organization, purchase_id=purchase_id)
    if found is None:
        raise Http404
    refusal = ""
    if request.method == "POST":
        try:
            _give_up(request, found)
            return redirect("purchases:purchase", slug=slug, purchase_id=purchase_id)
        except DomainError as error:
            refusal = error.message
    context = {
        "purchase": found,
        "may_give_up": found.status in Purchase.OPEN and not found.marked_paid_by,
        "refusal": refusal,
    }
    return pages.show(
        request, organization, "purchases/abandon.html", context, status=409 if refusal else 200
    )


@require_safe
def returned(request: HttpRequest) -> HttpResponse:
    """Send who comes back from the payment page to what they bought, or to the card that they stored."""
    user, now = pages.visitor(request), timezone.now()
    if (storing := request.session.get(STORING_A_CARD)) is not None:
        return redirect("methods:list", slug=storing)
    newest = orders.newest_of(made_by=user.public_id, since=now - _RETURNS_WITHIN)
    if newest is None or not Organization.objects.visible_to(user).filter(pk=newest.organization_id).exists():
        return redirect("dashboards:mine")
    if newest.status in Purchase.OPEN:
        tasks.enqueue_advance(newest.pk)  # they have likely just paid
    return redirect("purchases:purchase", slug=newest.organization.slug, purchase_id=newest.pk)


def _place(request: HttpRequest, organization: Organization, order: Order) -> UUID:
    """Order once for the key of the form; raises PriceChanged where the price is not the one that was shown."""
    key = request.POST.get(pages.FORM_KEY, "")
    by = pages.actor(request)
    with pages.decided(), transactions.durable():
        placed, is_new = orders.place(
            organization=organization, order=order, idempotency_key=key, by=by, now=timezone.now()
        )
        if is_new and str(placed.amount_cents) != request.POST.get("amount_cents"):
            raise PriceChanged("The price has changed. Nothing was ordered; look at it and confirm again.")
        transaction.on_commit(lambda: tasks.enqueue_advance(placed.pk))
    return placed.pk


def _give_up(request: HttpRequest, found: Purchase) -> None:
    by, now = pages.actor(request), timezone.now()
    with pages.decided(), transactions.durable():
        abandoning.give_up(purchase=found, by=by, now=now)
        transaction.on_commit(lambda: tasks.enqueue_advance(found.pk))


def _confirmation(
    request: HttpRequest, organization: Organization, order: Order, *, notice: str = "", status: int = 200
) -> HttpResponse:
    user = pages.visitor(request)
    twin = None
    if "another" not in request.GET and request.method != "POST":
        twin = offers.open_twin(organization=organization, user=user, order=order)
    context = {
        "quote": offers.quote(organization=organization, order=order),
        "key": offers.key_for(organization=organization, user=user, order=order),
        "twin": twin,
        "notice": notice,
        "stopped": offers.why_stopped(organization=organization),
    }
    return pages.show(request, organization, "purchases/confirm.html", context, status=status)


def _shop(
    request: HttpRequest, organization: Organization, form: OrderForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "offers": offers.offers(currency=organization.currency),
        "available": figures.own_pool(organization=organization),
        "recent": offers.recent(organization=organization),
        "stopped": offers.why_stopped(organization=organization),
        "form": form,
    }
    return pages.show(request, organization, "purchases/buy.html", context, status=status)


def _purchase_context(organization: Organization, found: Purchase, state: str) -> dict[str, Any]:
    return {
        "purchase": found,
        "state": state,
        "is_open": found.status in Purchase.OPEN,
        "is_given_up": abandoning.is_given_up(found),
        "refunds": refunds.of_purchase(found),
        "is_mirrored": found.invoice_id is not None
        and listing.find(organization=organization, invoice_id=found.invoice_id) is not None,
        # what came from outside becomes a link only if it is one
        "pay_url": found.payment_url if found.payment_url.startswith(("https://", "http://")) else "",
        "ordered_by": offers.ordered_by(found),
        "available": figures.own_pool(organization=organization),
    }


def _state(found: Purchase) -> str:
    """Return what the page shows of it in a word; another word is news."""
    parts = [
        found.status,
        "payable" if found.payment_url else "",
        "marked" if found.marked_paid_by else "",
        "given-up" if abandoning.is_given_up(found) else "",
        "late" if found.last_error else "",
    ]
    return "-".join(part for part in parts if part)


def _explain(refusal: DomainError, form: OrderForm) -> None:
    """Say a refusal on the form: beside the amount where it is about that."""
    fields = refusal.details if refusal.status == 422 else {}
    if "credits" in fields:
        form.add_error("credits", str(fields["credits"]))
    elif fields:
        form.add_error(None, " ".join(str(why) for why in fields.values()))
    elif isinstance(refusal, TryAgain):
        form.add_error(None, "The portal was busy and nothing was ordered. Send it again.")
    else:
        form.add_error(None, refusal.message)

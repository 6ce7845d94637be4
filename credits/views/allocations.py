"""Sharing out on pages: the list of allocations, giving credits to a member, changing and revoking what one has."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credits import amounts
from credits.models import Allocation, CreditPool
from credits.reports import figures
from credits.sharing import allocations, resets
from credits.sharing.allocations import Share
from credits.sharing.reach import Reach
from credits.views import listing, pools, reach, refusals
from credits.views.forms import AllocateForm, ShareForm
from kit.errors import DomainError
from orgs.access import pages
from orgs.models import Membership, Organization, User

_LIST: Final = "credits:allocations"
_MEMBER: Final = "credits:allocation"


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List the allocations that the visitor may see, and what the pools behind them have."""
    within = reach_of(request, slug)
    resets.refresh(within.organization)
    found = pools.lines(reach=within)
    context = {
        "organization": within.organization,
        "is_whole": within.managed is None,
        "pools": found,
        "total": pools.total(found),
        "listing": listing.build(reach=within, query=request.GET),
        "statuses": listing.STATUSES,
    }
    return _page(request, within, "credits/allocations.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def allocate(request: HttpRequest, slug: str) -> HttpResponse:
    """Give credits to a member, also to one who has no allocation yet."""
    within = reach_of(request, slug)
    search = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    initial = {"member": request.GET.get("member", "")}
    form = AllocateForm(request.POST or None, reach=within, search=search, initial=initial)
    status = 200
    if request.method == "POST":
        status = _give(request, within, form, form.cleaned_data["member"]) if form.is_valid() else 422
        if status == 200:
            return redirect(_LIST, slug=slug)
    context = {
        "organization": within.organization,
        "pools": pools.lines(reach=within),
        "form": form,
        "key": refusals.key_for(request, form),
        "search": search,
        "shows_search": form.is_cut or bool(search),
    }
    return _page(request, within, "credits/allocate.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: HttpRequest, slug: str, user_id: str) -> HttpResponse:
    """Show one member's allocation, and change it."""
    within = reach_of(request, slug)
    user, membership = _member(within, user_id)
    resets.refresh(within.organization)
    rows = figures.allocation_rows(organization=within.organization)
    row = rows.filter(pk__in=within.allocations().values("pk"), user=user).first()
    zone = ZoneInfo(within.organization.time_zone)
    form = ShareForm(request.POST or None, zone=zone, row=row) if membership is not None else None
    status = 200
    if request.method == "POST":
        if form is None or membership is None:
            raise Http404
        status = _give(request, within, form, membership) if form.is_valid() else 422
        if status == 200:
            return redirect(_MEMBER, slug=slug, user_id=user_id)
    context = {
        "organization": within.organization,
        "member": user,
        "membership": membership,
        "row": row,
        "figures": figures.allocation(row) if row is not None else None,
        "pool": _source(within, row, membership),
        "form": form,
        "key": refusals.key_for(request, form),
    }
    return _page(request, within, "credits/allocation.html", context, status=status)


@require_POST
def revoke(request: HttpRequest, slug: str, user_id: str) -> HttpResponse:
    """Close a member's allocation; all that is unspent returns to its pool."""
    return _close(request, slug, user_id, limited=True)


@require_POST
def open_to_pool(request: HttpRequest, slug: str, user_id: str) -> HttpResponse:
    """Close a member's allocation and let them spend from the pool."""
    return _close(request, slug, user_id, limited=False)


def _give(request: HttpRequest, within: Reach, form: ShareForm, membership: Membership) -> int:
    """Allocate what a valid form says; returns the status, with the form's errors filled where it was refused."""
    given = form.cleaned_data
    terms = form.terms()
    share = Share(
        user=membership.user, credits=given["credits"], mode=given["mode"], notes=given["notes"], **terms
    )

    def run() -> dict[str, Any]:
        row = allocations.assign(organization=within.organization, share=share, by=pages.actor(request))
        who = f"{share.user.name} has {amounts.display(row.allocated)} credits"
        return {
            "sentence": f"{who}, {amounts.display(row.remaining)} of them left. {_pool_after(row, within)}"
        }

    content = {
        "member": share.user.public_id,
        "credits": amounts.text(share.credits),
        "mode": str(share.mode),
        "notes": share.notes,
        **{name: str(value) for name, value in terms.items()},
    }
    try:
        messages.success(request, pages.once(request, content, run)["sentence"])
    except DomainError as refusal:
        refusals.explain(refusal, form, source=_source(within, None, membership))
        return 503 if refusal.status == 503 else 422
    return 200


def _close(request: HttpRequest, slug: str, user_id: str, *, limited: bool) -> HttpResponse:
    within = reach_of(request, slug)
    user, membership = _member(within, user_id)
    if membership is None:
        raise Http404

    def run() -> dict[str, Any]:
        row = allocations.revoke(
            organization=within.organization, user=user, by=pages.actor(request), limited=limited
        )
        what = (
            f"The allocation of {user.name} is closed."
            if limited
            else f"{user.name} spends from the pool now."
        )
        return {"sentence": f"{what} {_pool_after(row, within)}"}

    try:
        messages.success(request, pages.once(request, {"limited": limited}, run)["sentence"])
    except DomainError as refusal:
        messages.error(request, refusals.sentence(refusal))
    return redirect(_MEMBER, slug=slug, user_id=user_id)


def _pool_after(row: Allocation, within: Reach) -> str:
    pool = CreditPool.objects.select_related("department").get(pk=row.pool_id)
    return f"{pools.name_of(pool, reach=within)} has {amounts.display(pool.available)} free now."


def reach_of(request: HttpRequest, slug: str) -> Reach:
    """Return how far the visitor reaches in a team; 404 where there is none, 403 for who may share out nothing."""
    organization = pages.organization(request, slug)
    if organization.kind == Organization.Kind.PERSONAL:
        raise Http404  # its pool pays; there is nobody to share with
    return reach.of(user=pages.visitor(request), organization=organization)


def _member(within: Reach, user_id: str) -> tuple[User, Membership | None]:
    """Return the person, and their membership if the visitor may give to them; 404 for whom they may not know of."""
    membership = within.members().filter(user__public_id=user_id).first()
    if membership is not None:
        return membership.user, membership
    known = within.allocations().filter(user__public_id=user_id).select_related("user").first()
    if known is None:
        raise Http404
    return known.user, None


def _source(within: Reach, row: Allocation | None, membership: Membership | None) -> pools.Source | None:
    """Return the pool that credits would come from now, else the one that they came from."""
    if membership is not None:
        return pools.source_for(membership, reach=within)
    return pools.source_of(row.pool, reach=within) if row is not None else None


def _page(
    request: HttpRequest, within: Reach, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    with timezone.override(within.organization.time_zone):
        return render(request, template, context, status=status)

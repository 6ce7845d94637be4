"""What new members are given, by role: for those who may share out the whole organization's credits."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from credits import amounts
from credits.models import StandardAllocation
from credits.sharing import standard
from credits.views import allocations, pools, refusals
from credits.views.forms import PERIODS, StandardForm
from kit.errors import DomainError
from orgs.access import pages
from orgs.models import Membership, Organization

_PAGE = "credits:standard"


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what each role is given, and set it."""
    within = allocations.reach_of(request, slug)
    if not within.is_whole:
        raise PermissionDenied
    organization = within.organization
    form = StandardForm(request.POST or None, initial={"role": Membership.Role.MEMBER})
    status = 200
    if request.method == "POST":
        status = _put(request, organization, form) if form.is_valid() else 422
        if status == 200:
            return redirect(_PAGE, slug=slug)
    given = StandardAllocation.objects.filter(organization=organization).order_by("role")
    roles, periods = dict(Membership.Role.choices), dict(PERIODS)
    context = {
        "organization": organization,
        "form": form,
        "key": refusals.key_for(request, form),
        "given": [(row, roles[row.role], periods[row.reset_period]) for row in given],
        "pools": pools.lines(reach=within),
    }
    return render(request, "credits/standard.html", context, status=status)


@require_POST
def remove(request: HttpRequest, slug: str, role: str) -> HttpResponse:
    """Give new members of a role nothing any more."""
    within = allocations.reach_of(request, slug)
    if not within.is_whole:
        raise PermissionDenied

    def run() -> str:
        standard.remove(organization=within.organization, role=role, by=pages.actor(request))
        return "New members of this role are given nothing from now on."

    try:
        messages.success(request, _once(request, {"role": role}, run))
    except DomainError as refusal:
        messages.error(request, refusals.sentence(refusal))
    return redirect(_PAGE, slug=slug)


def _put(request: HttpRequest, organization: Organization, form: StandardForm) -> int:
    given = form.cleaned_data

    def run() -> str:
        row = standard.put(organization=organization, **given, by=pages.actor(request))
        return f"New members of this role are given {amounts.display(row.credits)} credits from now on."

    try:
        messages.success(request, _once(request, {**given, "credits": amounts.text(given["credits"])}, run))
    except DomainError as refusal:
        refusals.explain(refusal, form, source=None)
        return 503 if refusal.status == 503 else 422
    return 200


def _once(request: HttpRequest, content: dict[str, Any], run: Callable[[], str]) -> str:
    answer: str = pages.once(request, content, lambda: {"sentence": run()})["sentence"]
    return answer

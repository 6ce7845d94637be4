"""The page of proposals: what three months of use suggest, chosen and applied in one go."""

import re
from decimal import Decimal
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from credits import amounts
from credits.reports import proposals, proposed
from credits.reports.proposals import Accepted
from credits.sharing import resets
from credits.views import refusals
from kit.errors import DomainError, ValidationError
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

_PAGE: Final = "credits:proposals"
_PUBLIC_ID: Final = re.compile(r"(usr|dep)_[A-Za-z0-9]{1,60}", re.ASCII)


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is proposed, and apply what is chosen of it."""
    organization = pages.organization(request, slug)
    pages.require(request, organization, Capability.BUY)
    resets.refresh(organization)
    problem, status = "", 200
    if request.method == "POST":
        try:
            messages.success(request, _apply(request, organization))
            return redirect(_PAGE, slug=slug)
        except DomainError as refusal:
            problem, status = _sentence(refusal), 503 if refusal.status == 503 else 422
    found = proposals.find(organization=organization, now=timezone.now())
    context = {
        "organization": organization,
        "found": found,
        "least_days": proposed.LEAST_DAYS,
        "problem": problem,
        "key": pages.new_key(),
        "chosen": set(request.POST.getlist("member") + request.POST.getlist("department")),
    }
    with timezone.override(organization.time_zone):
        return render(request, "credits/proposals.html", context, status=status)


def _apply(request: HttpRequest, organization: Organization) -> str:
    """Apply what is chosen; returns what was done, in a sentence."""
    accepted = Accepted(
        members=_chosen(request.POST.getlist("member")),
        departments=_chosen(request.POST.getlist("department")),
    )
    content = {
        "members": {key: amounts.text(one) for key, one in accepted.members.items()},
        "departments": {key: amounts.text(one) for key, one in accepted.departments.items()},
    }

    def run() -> dict[str, Any]:
        given, made = proposals.apply(organization=organization, accepted=accepted, by=pages.actor(request))
        return {"allocations": len(given), "budgets": len(made)}

    done = pages.once(request, content, run)
    return f"Applied: {done['allocations']} allocations and {done['budgets']} budgets."


def _chosen(values: list[str]) -> dict[str, Decimal]:
    """Return the credits by public id; a box carries both, so that what is applied is what was shown."""
    found: dict[str, Decimal] = {}
    for value in values:
        public_id, _, credits = value.partition(" ")
        try:
            found[public_id] = amounts.parse(credits)
        except ValueError:
            raise _damaged() from None
        if _PUBLIC_ID.fullmatch(public_id) is None:
            raise _damaged()
    return found


def _damaged() -> ValidationError:
    return ValidationError(accepted="This form was damaged on its way. Choose again.")


def _sentence(refusal: DomainError) -> str:
    if isinstance(refusal, ValidationError):
        return " ".join(str(why) for why in refusal.details.values())
    return refusals.sentence(refusal)

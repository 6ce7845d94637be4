"""Giving many members an amount at once: chosen by checkboxes, all or none, what cannot be named by member."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from credits import amounts
from credits.models import Allocation
from credits.sharing import previews, resets
from credits.sharing.previews import Preview, PreviewChanged
from credits.sharing.reach import Reach
from credits.sharing.sheets import Line
from credits.views import allocations, pools, refusals
from credits.views.forms import MOST_CHOICES, ManyForm
from kit.errors import DomainError
from orgs.access import pages
from orgs.models import Membership

_LONGEST_SEARCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member to choose, what they have now, and why they cannot be given it."""

    membership: Membership
    row: Allocation | None
    pool: str
    is_chosen: bool
    faults: Sequence[str]


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Offer members to choose, and set or add one amount for all who were."""
    within = allocations.reach_of(request, slug)
    resets.refresh(within.organization)
    asked = request.POST if request.method == "POST" else request.GET
    search, department = (
        asked.get("q", "").replace("\x00", "").strip()[:_LONGEST_SEARCH],
        asked.get("department", ""),
    )
    members = _members(within, search, department)
    offered = members[:MOST_CHOICES]
    zone = ZoneInfo(within.organization.time_zone)
    form = ManyForm(request.POST or None, zone=zone, offered=[one.user.public_id for one in offered])
    status, seen = 200, None
    if request.method == "POST":
        status, seen = _give(request, within, form) if form.is_valid() else (422, None)
        if status == 200:
            return redirect("credits:allocations", slug=slug)
    context = {
        "organization": within.organization,
        "form": form,
        "key": refusals.key_for(request, form),
        "candidates": _candidates(within, offered, form, seen),
        "is_cut": len(members) > MOST_CHOICES,
        "search": search,
        "department": department,
        "departments": within.departments(),
        "pools": pools.lines(reach=within),
        "short": [one for one in seen.pools if one.is_short] if seen is not None else [],
    }
    with timezone.override(within.organization.time_zone):
        return render(request, "credits/allocate_many.html", context, status=status)


def _members(within: Reach, search: str, department: str) -> list[Membership]:
    rows = within.members()
    if search:
        rows = rows.filter(Q(user__name__icontains=search) | Q(user__email__icontains=search))
    if department in {one.public_id for one in within.departments()}:
        rows = rows.filter(department__public_id=department)
    return list(rows[: MOST_CHOICES + 1])


def _give(request: HttpRequest, within: Reach, form: ManyForm) -> tuple[int, Preview | None]:
    """Give all chosen ones what a valid form says; returns the status, and where it was refused why, by member."""
    given, terms = form.cleaned_data, form.terms()
    lines = [
        Line(
            number=number,
            user_id=user_id,
            credits=given["credits"],
            mode=given["mode"],
            notes=given["notes"],
            **terms,
        )
        for number, user_id in enumerate(form.chosen(), start=1)
    ]
    seen = previews.preview(reach=within, lines=lines)
    content = {
        "members": [line.user_id for line in lines],
        "credits": amounts.text(given["credits"]),
        "mode": str(given["mode"]),
        "notes": given["notes"],
        **{name: str(value) for name, value in terms.items()},
    }

    def run() -> dict[str, Any]:
        done = previews.apply(reach=within, lines=lines, digest=seen.digest, by=pages.actor(request))
        return {"sentence": sentence(done)}

    try:
        messages.success(request, pages.once(request, content, run)["sentence"])
    except PreviewChanged as changed:
        if changed.preview.is_clean:
            form.add_error(None, changed.message)
        return 422, changed.preview
    except DomainError as refusal:
        refusals.explain(refusal, form, source=None)
        return 503 if refusal.status == 503 else 422, None
    return 200, None


def sentence(done: Preview) -> str:
    """Return what was done, in a sentence."""
    count = len(done.changes)
    who = "1 member has" if count == 1 else f"{count:,} members have"
    free = ", ".join(f"{amounts.display(one.after)}" for one in done.pools)
    rest = (
        f" Free in {'the pool' if len(done.pools) == 1 else 'the pools'} now: {free}." if done.pools else ""
    )
    return f"{who} new allocations.{rest}"


def _candidates(
    within: Reach, members: Sequence[Membership], form: ManyForm, seen: Preview | None
) -> list[Candidate]:
    open_ones = Allocation.objects.filter(
        organization=within.organization, user__in=[one.user_id for one in members], closed_at=None
    )
    rows = {row.user_id: row for row in open_ones}
    faults = {one.line.user_id: one.faults for one in seen.changes} if seen is not None else {}
    chosen = set(form.data.getlist("members")) if form.is_bound and hasattr(form.data, "getlist") else set()
    return [
        Candidate(
            membership=one,
            row=rows.get(one.user_id),
            pool=_pool(one, within),
            is_chosen=one.user.public_id in chosen or bool(form.is_bound and form.data.get("everyone")),
            faults=faults.get(one.user.public_id, ()),
        )
        for one in members
    ]


def _pool(membership: Membership, within: Reach) -> str:
    department = membership.department
    funded = department is not None and hasattr(department, "credit_pool")
    return pools.pool_of(department.name if funded and department else within.organization.name)

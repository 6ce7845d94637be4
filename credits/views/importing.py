"""Sharing out from a CSV: look at every line before and after, then apply exactly what was shown, or nothing."""

import hashlib
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from credits import amounts
from credits.models import Allocation
from credits.reports import figures
from credits.sharing import previews, resets, sheets
from credits.sharing.previews import Preview, PreviewChanged
from credits.sharing.reach import Reach
from credits.sharing.terms import KEEP
from credits.views import allocations, many, pools, refusals
from credits.views.forms import SheetForm
from kit import spreadsheets
from kit.errors import DomainError, ValidationError
from orgs.access import pages

_PAGE: Final = "credits/import.html"
_SHOWN: Final = 500
"""Lines that the preview shows in full; the faulty ones come first."""


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a CSV and show what it would come to; nothing is written."""
    within = allocations.reach_of(request, slug)
    form = SheetForm(request.POST or None, request.FILES or None)
    if request.method != "POST":
        return _page(request, within, {"form": SheetForm()})
    if not form.is_valid():
        return _page(request, within, {"form": form}, status=422)
    data = form.cleaned_data["file"]
    try:
        resets.refresh(within.organization)
        lines = sheets.read(data, zone=ZoneInfo(within.organization.time_zone))
    except ValidationError as refusal:
        form.add_error("file", f"The file {refusal.details['file']}.")
        return _page(request, within, {"form": form}, status=422)
    seen = previews.preview(reach=within, lines=lines)
    return _preview(request, within, seen, data.decode("utf-8-sig"), status=200 if seen.is_clean else 422)


@require_http_methods(["POST"])
def confirm(request: HttpRequest, slug: str) -> HttpResponse:
    """Apply what the preview showed; where figures changed meanwhile, show it anew (409)."""
    within = allocations.reach_of(request, slug)
    text, digest = request.POST.get("sheet", ""), request.POST.get("digest", "")
    try:
        resets.refresh(within.organization)
        lines = sheets.read(text.encode(), zone=ZoneInfo(within.organization.time_zone))
    except ValidationError:
        return redirect("credits:import", slug=slug)
    content = {"sheet": hashlib.sha256(text.encode()).hexdigest(), "digest": digest}

    def run() -> dict[str, Any]:
        done = previews.apply(reach=within, lines=lines, digest=digest, by=pages.actor(request))
        return {"sentence": many.sentence(done)}

    try:
        messages.success(request, pages.once(request, content, run)["sentence"])
    except PreviewChanged as changed:
        return _preview(request, within, changed.preview, text, status=409, notice=changed.message)
    except DomainError as refusal:
        seen = previews.preview(reach=within, lines=lines)
        status = refusal.status if refusal.status in (409, 503) else 422
        return _preview(request, within, seen, text, status=status, notice=refusals.sentence(refusal))
    return redirect("credits:allocations", slug=slug)


@require_safe
def example(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the members within reach with what they have, as a CSV to change and import.

    Lines of members without an allocation only name them: as they stand they change nothing.
    """
    within = allocations.reach_of(request, slug)
    resets.refresh(within.organization)
    rows = figures.allocation_rows(organization=within.organization).filter(closed_at=None)
    had = {row.user_id: row for row in rows}
    lines = [spreadsheets.line(("user_id", "name", "credits", "mode", "reset_period", "expires_at"))]
    for member in within.members():
        row = had.get(member.user_id)
        terms = _terms(row) if row is not None else ("", "", "", "")
        lines.append(spreadsheets.line((member.user.public_id, member.user.name, *terms)))
    response = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="allocations-{slug}.csv"'
    return response


def _terms(row: Allocation) -> tuple[str, str, str, str]:
    ends = row.expires_at.isoformat() if row.expires_at is not None else ""
    return amounts.text(row.allocated), "set", row.reset_period, ends


def _preview(
    request: HttpRequest, within: Reach, seen: Preview, text: str, *, status: int, notice: str = ""
) -> HttpResponse:
    ordered = sorted(seen.changes, key=lambda one: not one.faults)
    context = {
        "form": None,
        "seen": seen,
        "rows": Paginator(ordered, _SHOWN).get_page(1),
        "afters": [(pools.name_of(one.pool, reach=within), one) for one in seen.pools],
        "sheet": text,
        "key": pages.new_key(),
        "notice": notice,
        "keep": KEEP,
    }
    return _page(request, within, context, status=status)


def _page(request: HttpRequest, within: Reach, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    whole = {"organization": within.organization, "columns": sheets.COLUMNS, **context}
    with timezone.override(within.organization.time_zone):
        return render(request, _PAGE, whole, status=status)

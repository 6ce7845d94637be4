"""The usage page: what was spent, by whom and on what, and why one request cost what it cost."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from credits.models import UsageRecord
from credits.pricing import explaining
from credits.reports import calendars, exports, movements
from credits.views import asking, sight, spending
from credits.views.asking import Asked
from credits.views.sight import Sight
from orgs.access import pages


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show use of some days, or hand it out as a file."""
    within = _sight(request, slug)
    now = timezone.now()
    asked = asking.read(
        request.GET, sight=within, today=calendars.today(organization=within.organization, now=now)
    )
    wanted = request.GET.get("format", "")
    if wanted == "csv" and not asked.problem:
        return exports.usage(spending.report_of(asked=asked, sight=within))
    if wanted == "records" and not asked.problem:
        return exports.records(spending.exported(asked=asked, sight=within))
    with timezone.override(within.organization.time_zone):
        status = 422 if asked.problem else 200
        context = _context(request, asked, within, now)
        return render(request, "credits/usage.html", context, status=status)


@require_safe
def record(request: HttpRequest, slug: str, record_id: UUID) -> HttpResponse:
    """Answer why one request cost what it cost."""
    within = _sight(request, slug)
    rows = movements.record_rows(organization=within.organization, filters=within.filters())
    found = get_object_or_404(rows, pk=record_id)
    context = {
        "organization": within.organization,
        "record": found,
        "lines": explaining.of_record(found),
        "facts": movements.facts(record=found),
    }
    with timezone.override(within.organization.time_zone):
        return render(request, "credits/usage_record.html", context)


def _sight(request: HttpRequest, slug: str) -> Sight:
    return sight.of(user=pages.visitor(request), organization=pages.organization(request, slug))


def _context(request: HttpRequest, asked: Asked, within: Sight, now: datetime) -> dict[str, Any]:
    context: dict[str, Any] = {
        "organization": within.organization,
        "sight": within,
        "asked": asked,
        "period_choices": asking.DAYS,
        "groupings": asking.offered(within),
        "departments": [] if within.is_own else within.departments(),
        "kinds": UsageRecord.Kind,
        "exported": spending.EXPORTED,
    }
    if asked.problem:
        return context
    page = spending.build(asked=asked, sight=within, now=now, before=_cursor(request))
    return context | {"page": page, "expected": spending.expected(page.outlook)}


def _cursor(request: HttpRequest) -> UUID | None:
    """Return the record to go on from; a made-up one starts at the newest."""
    try:
        return UUID(request.GET.get("before", ""))
    except ValueError:
        return None

"""Reports: a month by department, member and model, on the page, as PDF and as CSV; idle allocations, unusual spending."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from credits.reports import monthly, monthly_csv
from credits.reports.monthly import MonthlyReport
from credits.reports.months import Month
from orgs.access import capabilities, pages
from orgs.access.capabilities import Capability
from orgs.models import Department, Organization

_INDEX: Final = "credits:reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`departments` is what the reports may be of beside the organization; `is_whole` whether that is in sight."""

    organization: Organization
    is_whole: bool
    departments: list[Department]


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List the months there is a report of."""
    reading, now = _reading(request, slug), timezone.now()
    context = {
        "organization": reading.organization,
        "reading": reading,
        "months": monthly.months(organization=reading.organization, now=now),
    }
    return _page(request, reading, "credits/reports.html", context)


@require_safe
def month(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Show one month, or hand it out as a file."""
    reading, now = _reading(request, slug), timezone.now()
    report = _report(request, reading, name, now)
    wanted = request.GET.get("format", "")
    if wanted == "pdf":
        from credits.reports import printing  # the library is large, and few processes ever print

        return _file(printing.pdf(report), monthly_csv.name(report, "pdf"), "application/pdf")
    if wanted == "csv":
        text = monthly_csv.text(report).encode()
        return _file(text, monthly_csv.name(report, "csv"), "text/csv; charset=utf-8")
    months = monthly.months(organization=reading.organization, now=now)
    context = {
        "organization": reading.organization,
        "reading": reading,
        "report": report,
        "is_first": report.month == months[-1],
        "is_present": report.month == months[0],
    }
    return _page(request, reading, "credits/report.html", context)


def _reading(request: HttpRequest, slug: str) -> Reading:
    """Return what the visitor may read; PermissionDenied (403) for who sees no figures but their own."""
    user, organization = pages.visitor(request), pages.organization(request, slug)
    asked: dict[str, Any] = {"organization": organization, "capability": Capability.SEE_FIGURES}
    if capabilities.allows(user=user, **asked):
        departments = Department.objects.filter(organization=organization).order_by("name", "pk")
        return Reading(organization=organization, is_whole=True, departments=list(departments))
    managed = capabilities.managed_departments(user=user, **asked)
    if not managed:
        raise PermissionDenied
    return Reading(organization=organization, is_whole=False, departments=managed)


def _report(request: HttpRequest, reading: Reading, name: str, now: datetime) -> MonthlyReport:
    asked, department = Month.read(name), _department(request, reading)
    if asked is None or not monthly.exists(organization=reading.organization, month=asked, now=now):
        raise Http404
    return monthly.build(organization=reading.organization, month=asked, now=now, department=department)


def _department(request: HttpRequest, reading: Reading) -> Department | None:
    """Return the department that is asked for; who sees only departments gets their first one."""
    wanted = request.GET.get("department", "")
    if not wanted:
        return None if reading.is_whole else reading.departments[0]
    found = next((one for one in reading.departments if one.public_id == wanted), None)
    if found is None:
        raise Http404
    return found


def _file(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _page(request: HttpRequest, reading: Reading, template: str, context: dict[str, Any]) -> HttpResponse:
    with timezone.override(reading.organization.time_zone):
        return render(request, template, context)

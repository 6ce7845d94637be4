"""Reports: a month by department, member and model, on the page, as PDF and as CSV; idle allocations, unusual spending."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from credits import amounts
from credits.amounts import ZERO
from credits.models import Allocation
from credits.reports import idle, monthly, monthly_csv, unusual, usage
from credits.reports.monthly import MonthlyReport
from credits.reports.months import Month
from credits.reports.usage import EVERYTHING, Filters
from credits.sharing import resets
from credits.views import refusals
from kit.errors import DomainError
from orgs.access import capabilities, pages
from orgs.access.capabilities import Capability
from orgs.models import Department, Organization

_INDEX: Final = "credits:reports"
_UNUSUAL_DAYS: Final = 7
"""That the page looks back at, today included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`departments` is what the reports may be of beside the organization; `is_whole` whether that is in sight."""

    organization: Organization
    is_whole: bool
    departments: list[Department]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A month in the list."""

    month: Month
    used: Decimal


@require_safe
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List the months there is a report of."""
    reading, now = _reading(request, slug), timezone.now()
    resets.refresh(reading.organization)
    days = _days(request.GET.get("idle", ""))
    quiet = idle.find(organization=reading.organization, within=_allocations(reading), now=now, days=days)
    context = {
        "organization": reading.organization,
        "reading": reading,
        "months": _listed(reading, now),
        "unusual": unusual.find(
            organization=reading.organization, now=now, days=_UNUSUAL_DAYS, filters=_filters(reading)
        ),
        "unusual_days": _UNUSUAL_DAYS,
        "idle": quiet,
        "idle_total": idle.total(quiet),
        "idle_days": days,
        "idle_choices": idle.CHOICES,
        "key": pages.new_key(),
    }
    return _page(request, reading, "credits/reports.html", context)


@require_POST
def revoke(request: HttpRequest, slug: str) -> HttpResponse:
    """Revoke the idle allocations that were chosen, all or none."""
    reading, now = _reading(request, slug), timezone.now()
    days = _days(request.POST.get("idle", ""))
    chosen = sorted({one.replace("\x00", "") for one in request.POST.getlist("member")})

    def run() -> dict[str, Any]:
        returned = idle.revoke(
            organization=reading.organization,
            within=_allocations(reading),
            user_ids=chosen,
            days=days,
            now=now,
            by=pages.actor(request),
        )
        return {"returned": amounts.text(returned)}

    try:
        done = pages.once(request, {"members": chosen, "days": days}, run)
        credits = amounts.display(Decimal(done["returned"]))
        count = f"{len(chosen)} allocation{'s' if len(chosen) > 1 else ''}"
        messages.success(request, f"{count} revoked; {credits} credits went back.")
    except DomainError as refusal:
        messages.error(request, f"{refusals.sentence(refusal)} Nothing was changed.")
    return redirect(f"{reverse(_INDEX, args=[slug])}?idle={days}#idle")


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
    known: dict[str, Any] = {"organization": reading.organization, "now": now}
    context = {
        "organization": reading.organization,
        "reading": reading,
        "report": report,
        "has_previous": monthly.exists(month=report.month.previous, **known),
        "has_following": monthly.exists(month=report.month.following, **known),
    }
    return _page(request, reading, "credits/report.html", context)


def _listed(reading: Reading, now: datetime) -> list[Listed]:
    """Return the months there is a report of, with what was used on their days."""
    months = monthly.months(organization=reading.organization, now=now)
    found = usage.breakdown(
        organization=reading.organization,
        since=months[-1].first,
        until=months[0].last,
        group_by="month",
        filters=_filters(reading),
    )
    used = {row.key: row.credits for row in found.rows}
    return [Listed(month=one, used=used.get(one.first.isoformat(), ZERO)) for one in months]


def _filters(reading: Reading) -> Filters:
    """Return whose use is in sight."""
    if reading.is_whole:
        return EVERYTHING
    return Filters(departments=tuple(one.pk for one in reading.departments))


def _allocations(reading: Reading) -> QuerySet[Allocation]:
    """Return the allocations in sight: a manager's are those from the pools of their departments."""
    rows = Allocation.objects.filter(organization=reading.organization)
    return rows if reading.is_whole else rows.filter(pool__department__in=reading.departments)


def _days(wanted: str) -> int:
    return next((one for one in idle.CHOICES if str(one) == wanted), idle.DAYS)


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

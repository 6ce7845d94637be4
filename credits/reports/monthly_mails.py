"""The monthly report on the first of the month: who is told of it, and the files that the mail carries along."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.core.mail import EmailMultiAlternatives
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from credits import amounts
from credits.models import LedgerEntry
from credits.reports import monthly, monthly_csv
from credits.reports.monthly import MonthlyReport
from credits.reports.months import Month
from kit import transactions
from orgs.models import Department, Organization
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice

_ATTACHED: Final = "credits.monthly"


def tell_due(*, now: datetime) -> int:
    """Tell everybody whose month is over since it was told last; returns how many people. Opens its own transactions.

    Runs every hour, since a month ends when it does on the organization's wall. Who was told is not told again.
    """
    return sum(
        _tell(organization, month, now)
        for zone in Organization.objects.order_by().values_list("time_zone", flat=True).distinct()
        for organization, month in _due(zone, now)
    )


def attach(*, attachment: str, message: EmailMultiAlternatives) -> None:
    """Attach PDF and CSV where `attachment` names a monthly report; anything else is not ours."""
    kind, _, rest = attachment.partition(" ")
    if kind != _ATTACHED:
        return
    from credits.reports import printing  # the library is large, and few processes ever print

    name, organization_id, *parts = rest.split()
    month = Month.read(name)
    organization = Organization.objects.get(public_id=organization_id)
    if month is None:
        raise ValueError(f"{attachment!r} names no month")
    department = Department.objects.get(organization=organization, public_id=parts[0]) if parts else None
    report = monthly.build(organization=organization, month=month, now=timezone.now(), department=department)
    message.attach(monthly_csv.name(report, "pdf"), printing.pdf(report), "application/pdf")
    message.attach(monthly_csv.name(report, "csv"), monthly_csv.text(report), "text/csv")


def _due(zone: str, now: datetime) -> Iterator[tuple[Organization, Month]]:
    """Yield the organizations of one time zone with books, of whose last month nobody was told yet."""
    sample = Organization.objects.filter(time_zone=zone).order_by("pk").first()
    if sample is None:
        return
    month = Month.of(organization=sample, now=now).previous
    _, until = month.bounds(sample)
    told = Notice.objects.filter(kind=Kind.MONTHLY_REPORT, crossing=str(month), subject=OuterRef("public_id"))
    booked = LedgerEntry.objects.filter(organization=OuterRef("pk"), created_at__lt=until)
    found = Organization.objects.filter(Exists(booked), ~Exists(told), time_zone=zone).exclude(
        status=Organization.Status.ARCHIVED
    )
    for organization in found.order_by("pk").iterator():
        yield organization, month


def _tell(organization: Organization, month: Month, now: datetime) -> int:
    figures = monthly.read(organization=organization, month=month, now=now)
    whole = monthly.report(figures)
    if whole.statement is None or (whole.statement.is_empty and not whole.requests):
        return 0
    parts = [
        monthly.report(figures, department=one)
        for one in Department.objects.live().filter(organization=organization).order_by("pk")
    ]
    with transactions.durable():
        told = sum(_once(one, one.department) for one in parts)
        return told + _once(whole, None)


def _once(report: MonthlyReport, department: Department | None) -> int:
    organization, month = report.organization, report.month
    to = audience.admins(organization) if department is None else audience.managers(department)
    subject = organization.public_id if department is None else department.public_id
    part = "" if department is None else f"?department={department.public_id}"
    named = [_ATTACHED, str(month), organization.public_id]
    return notices.once(
        kind=Kind.MONTHLY_REPORT,
        subject=subject,
        crossing=str(month),
        to=to,
        organization=organization,
        title=f"{report.of} used {amounts.display_short(report.used)} credits in {_name(month)}",
        lines=list(_lines(report)),
        action="Open the report",
        path=reverse("credits:report", args=[organization.slug, str(month)]) + part,
        attachment=" ".join(named if department is None else [*named, department.public_id]),
    )


def _lines(report: MonthlyReport) -> Iterator[str]:
    """Say what the report begins with; the month before beside it."""
    yield (
        f"{amounts.display(report.used)} credits were used by {report.requests:,} requests, "
        f"{amounts.display(report.used_before)} in the month before."
    )
    if report.statement is not None:
        yield (
            f"It began with {amounts.display(report.statement.opening)} credits, "
            f"{amounts.display(report.statement.came)} came in and "
            f"{amounts.display(report.statement.closing)} were left."
        )
    for what, lines in (("department", report.departments), ("member", report.members)):
        if lines and lines[0].credits > 0 and lines[0].key:
            yield f"The {what} that used most is {lines[0].label}: {amounts.display(lines[0].credits)} credits."
    yield "The mail has the whole report as PDF and CSV; the page has those of earlier months too."


def _name(month: Month) -> str:
    return date_format(month.first, "F Y")

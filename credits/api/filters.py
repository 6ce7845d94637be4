"""What a reader of usage asks for, within what they may see: days, members, departments, service, provider, model."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from credits.reports.usage import Filters
from kit.errors import PermissionDenied, ValidationError
from kit.rest import lists
from orgs.access import capabilities, permissions
from orgs.access.capabilities import Capability
from orgs.models import Department, Organization, User

_LONGEST_DAYS: Final = 731
_DAYS: Final = 30

PARAMETERS: Final = (
    OpenApiParameter("start_date", date),
    OpenApiParameter("end_date", date, description="included"),
    OpenApiParameter("days", int, description="instead of dates: as many days up to today"),
    OpenApiParameter("user_id", str),
    OpenApiParameter("department_id", str),
    OpenApiParameter("service", str),
    OpenApiParameter("provider", str),
    OpenApiParameter("model", str),
)

DATES: Final = frozenset({"start_date", "end_date", "days"})


def dates_of(request: Request, organization: Organization) -> tuple[date, date]:
    """Return the days asked for, in the organization's calendar; the last 30 unless told."""
    today = timezone.now().astimezone(ZoneInfo(organization.time_zone)).date()
    days = lists.whole(request, "days", default=_DAYS, least=1, most=_LONGEST_DAYS)
    until = lists.day(request, "end_date") or today
    since = lists.day(request, "start_date") or until - timedelta(days=days - 1)
    if since > until:
        raise ValidationError(start_date="must not be after end_date")
    if (until - since).days >= _LONGEST_DAYS:
        raise ValidationError(start_date=f"must be at most {_LONGEST_DAYS} days before end_date")
    return since, until


def filters_of(request: Request, organization: Organization) -> Filters:
    """Return what to count, within what the caller may see: everything, a manager's departments, or their own."""
    caller = permissions.caller_of(request)
    users: tuple[UUID, ...] | None = None
    departments: tuple[int, ...] | None = None
    own: UUID | None = None
    if not permissions.allows(caller, organization, Capability.SEE_EVERYONES_USAGE):
        user = permissions.user_of(request)
        managed = capabilities.managed_departments(
            user=user, organization=organization, capability=Capability.SEE_EVERYONES_USAGE
        )
        departments = tuple(one.pk for one in managed) or None
        users, own = (None, user.pk) if departments else ((user.pk,), None)
    named_user, named_department = lists.text(request, "user_id"), lists.text(request, "department_id")
    if named_user:
        found = User.objects.filter(public_id=named_user, memberships__organization=organization).first()
        users = _narrowed(users, found.pk if found is not None else None)
    if named_department:
        wanted = Department.objects.filter(public_id=named_department, organization=organization).first()
        departments, own = _narrowed(departments, wanted.pk if wanted is not None else None), None
    return Filters(
        users=users,
        departments=departments,
        own=own,
        service=lists.text(request, "service"),
        provider=lists.text(request, "provider"),
        model=lists.text(request, "model"),
    )


def _narrowed(allowed: tuple[Any, ...] | None, wanted: Any) -> tuple[Any, ...]:
    """Return the one wanted; an unknown one counts nothing, one that the caller may not see is refused."""
    if wanted is None:
        return ()
    if allowed is not None and wanted not in allowed:
        raise PermissionDenied("Your role does not show this usage.")
    return (wanted,)

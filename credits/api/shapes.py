"""How the billing API shows pools, allocations and usage, and who sees how much of them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from credits import amounts
from credits.api import answers
from credits.models import Allocation
from credits.reports import figures, forecast, statuses
from credits.reports.figures import AllocationFigures, PoolFigures
from credits.reports.forecast import Runway
from credits.reports.statuses import AllocationStatus
from kit.errors import PermissionDenied
from kit.rest import lists
from kit.rest.schema import Shape
from orgs.access import capabilities, permissions
from orgs.access.callers import Caller
from orgs.access.capabilities import Capability
from orgs.models import Department, Organization, User

RESETS: Final = "never, daily, weekly or monthly, counted from today; left out: as it is"
EXPIRES: Final = "RFC 3339, ahead; null: never; left out: as it is"
_STATUSES: Final = ("active", "closed", "attention", "exhausted", "revoked", "expired", "open_to_pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnShape(Shape):
    """The caller's own part."""

    payer: Annotated[str, "allocation, pool or none"]
    allocated: str | None
    used: str | None
    held: str | None
    remaining: str | None
    runway_days: Annotated[int | None, "whole days; null unless `runway_state` is known"]
    runway_state: Annotated[str, "known, not_applicable (a pool pays) or not_known_yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryShape(Shape):
    """The credits that expire next, as of the last burn (a minute at most)."""

    at: str
    credits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentPoolShape(Shape):
    """The figures of a funded department; `granted` is what was transferred to it, less what went back."""

    id: str
    name: str
    available: str
    held: str
    reserved: str
    allocated: str
    used: str
    granted: str
    expired: str
    withdrawn: str
    shortfall_open: Annotated[str, "0: shortfalls are the organization's"]
    overdraft_limit: str
    value_cents: int
    currency: str
    allocation_percentage: str
    usage_percentage: str
    runway_days: int | None
    runway_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolShape(Shape):
    """A member gets `org_id, available, quota` and `allocation`; the rest is for who may see the organization's figures."""

    org_id: str
    available: Annotated[str, "free to spend or allocate; signed"]
    quota: Annotated[answers.QuotaShape | None, "null for an unlimited plan"]
    held: str | None = None
    reserved: Annotated[str | None, "what allocations have left"] = None
    allocated: Annotated[str | None, "used + held + remaining of the present periods"] = None
    used: str | None = None
    granted: str | None = None
    expired: str | None = None
    withdrawn: str | None = None
    shortfall_open: str | None = None
    overdraft_limit: str | None = None
    value_cents: Annotated[int | None, "what is available is worth, in cents of `currency`"] = None
    currency: str | None = None
    allocation_percentage: str | None = None
    usage_percentage: str | None = None
    runway_days: Annotated[int | None, "whole days; null unless `runway_state` is known"] = None
    runway_state: Annotated[
        str | None, "known, not_applicable (nothing is used) or not_known_yet (too few days to tell)"
    ] = None
    next_expiry: Annotated[ExpiryShape | None, "null where none that are left expire"] = None
    departments: Annotated[
        list[DepartmentPoolShape] | None,
        "the same figures of each funded department; a manager gets those of the own ones",
    ] = None
    allocation: OwnShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationShape(Shape):
    user_id: str
    email: str | None
    name: str
    department: Annotated[dict[str, str] | None, "id and name of the department whose pool it comes from"]
    source: Annotated[str, "organization or department"]
    allocated: str
    used: str
    held: str
    remaining: str
    usage_percentage: str
    reset_period: Annotated[str, "never, daily, weekly or monthly: how often the amount is restored"]
    next_reset_at: str | None
    expires_at: Annotated[str | None, "from then on it is a limit of 0"]
    status: Annotated[str, "active, exhausted, revoked, expired or open_to_pool"]
    is_active: bool
    limited: Annotated[bool, "false lets the member spend from the pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateRequest(Shape):
    """One member's share, or many under `allocations`, all or none."""

    user_id: str | None = None
    credits: str | None = None
    mode: Annotated[str, "set replaces, add comes on top"] = "set"
    notes: str | None = None
    reset_period: Annotated[str | None, RESETS] = None
    expires_at: Annotated[str | None, EXPIRES] = None
    allocations: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationChanges(Shape):
    """Without `credits` the amount stays."""

    credits: str | None = None
    mode: str = "set"
    notes: str | None = None
    reset_period: Annotated[str | None, RESETS] = None
    expires_at: Annotated[str | None, EXPIRES] = None
    limited: Annotated[bool | None, "false: let the member spend from the pool; alone"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateAnswer(Shape):
    pool: PoolShape
    allocation: AllocationShape | None = None
    allocations: Annotated[list[AllocationShape] | None, "for the bulk form"] = None


ALLOCATION_FILTERS: Final = (
    OpenApiParameter("department_id", str),
    OpenApiParameter("status", str, enum=_STATUSES, description="active and closed are open or not"),
    OpenApiParameter("search", str, description="in names and e-mail addresses"),
)


def pool_for(request: Request, organization: Organization) -> dict[str, Any]:
    """Return as much of an organization's figures as the caller may see."""
    if permissions.allows(permissions.caller_of(request), organization, Capability.SEE_FIGURES):
        return pool(organization)
    return member_pool(organization, permissions.user_of(request))


def pool(organization: Organization) -> dict[str, Any]:
    """Return all figures of an organization, its departments' included."""
    whole = figures.organization_figures(organization=organization)
    now = timezone.now()
    expiry = figures.next_expiry(organization=organization)
    found = Department.objects.live().filter(organization=organization).order_by("pk")
    return {
        "org_id": organization.public_id,
        **_figures(whole, available=figures.own_pool(organization=organization)),
        **_runway(forecast.of_organization(organization=organization, now=now).runway),
        "next_expiry": None
        if expiry is None
        else {"at": answers.instant(expiry.at), "credits": amounts.text(expiry.credits)},
        "quota": answers.quota(figures.quota(organization=organization)),
        "departments": department_pools(organization, list(found), now),
    }


def member_pool(organization: Organization, user: User) -> dict[str, Any]:
    """Return what a member may see: what is available, their own part, the quota; a manager the own departments' too."""
    own = figures.member_figures(organization=organization, user=user)
    now = timezone.now()
    managed = capabilities.managed_departments(
        user=user, organization=organization, capability=Capability.SEE_FIGURES
    )
    shown: dict[str, Any] = {
        "org_id": organization.public_id,
        "available": amounts.text(own.available),
        "quota": answers.quota(figures.quota(organization=organization)),
        "allocation": {
            "payer": own.payer,
            **{
                name: None if value is None else amounts.text(value)
                for name, value in (
                    ("allocated", own.allocated),
                    ("used", own.used),
                    ("held", own.held),
                    ("remaining", own.remaining),
                )
            },
            **_runway(forecast.of_member(organization=organization, user=user, now=now).runway),
        },
    }
    parts = department_pools(organization, managed, now)
    return shown | {"departments": parts} if parts else shown


def allocation(row: AllocationFigures) -> dict[str, Any]:
    """Return one allocation."""
    department = (
        {"id": row.department_id, "name": row.department_name} if row.department_id is not None else None
    )
    return {
        "user_id": row.user_id,
        "email": row.email,
        "name": row.name,
        "department": department,
        "source": row.source,
        "allocated": amounts.text(row.allocated),
        "used": amounts.text(row.used),
        "held": amounts.text(row.held),
        "remaining": amounts.text(row.remaining),
        "usage_percentage": str(row.usage_percentage),
        "reset_period": row.reset_period,
        "next_reset_at": None if row.resets_at is None else answers.instant(row.resets_at),
        "expires_at": None if row.expires_at is None else answers.instant(row.expires_at),
        "status": row.status.value,
        "is_active": row.is_active,
        "limited": row.is_limited,
    }


def filter_allocations(
    request: Request, organization: Organization, rows: QuerySet[Allocation]
) -> QuerySet[Allocation]:
    """Return the allocations that the caller may see and asked for: all, a manager's departments', or the own one."""
    caller = permissions.caller_of(request)
    if not permissions.allows(caller, organization, Capability.SEE_FIGURES):
        rows = rows.filter(_seen_by(caller, organization))
    department = lists.text(request, "department_id")
    if department:
        rows = rows.filter(pool__department__public_id=department)
    return _of_status(rows, lists.choice(request, "status", of=_STATUSES))


def require_seeing(request: Request, organization: Organization, user: User) -> None:
    """Raise PermissionDenied unless the caller may see this member's figures."""
    caller = permissions.caller_of(request)
    if permissions.allows(caller, organization, Capability.SEE_FIGURES):
        return
    department = Department.objects.live().filter(memberships__user=user, organization=organization).first()
    if not permissions.allows(caller, organization, Capability.SEE_FIGURES, department=department):
        raise PermissionDenied("Your role does not show other members' figures.")


def _of_status(rows: QuerySet[Allocation], status: str) -> QuerySet[Allocation]:
    if status in ("active", "closed"):
        return rows.filter(closed_at__isnull=status == "active")
    if status == "attention":
        return rows.filter(
            closed_at__isnull=True, remaining__lte=(F("used") + F("held") + F("remaining")) / 10
        )
    return rows.filter(statuses.are(AllocationStatus(status))) if status else rows


def _seen_by(caller: Caller, organization: Organization) -> Q:
    if caller.user is None:
        return Q(pk__isnull=True)
    managed = capabilities.managed_departments(
        user=caller.user, organization=organization, capability=Capability.SEE_FIGURES
    )
    return Q(user=caller.user) | Q(pool__department__in=managed)


def department_pools(
    organization: Organization, departments: list[Department], now: datetime
) -> list[dict[str, Any]]:
    """Return the figures of those that are funded; a few queries however many there are."""
    parts = figures.department_figures(departments=departments)
    lefts = {key: part.available + part.reserved for key, part in parts.items()}
    runways = forecast.of_departments(organization=organization, lefts=lefts, now=now)
    return [
        {
            "id": one.public_id,
            "name": one.name,
            **_figures(parts[one.pk], available=parts[one.pk].available),
            **_runway(runways[one.pk]),
        }
        for one in departments
        if one.pk in parts
    ]


def _runway(runway: Runway) -> dict[str, Any]:
    return {"runway_days": runway.days, "runway_state": runway.state.value}


def _figures(part: PoolFigures, *, available: Decimal) -> dict[str, Any]:
    """Return figures with their value and percentages."""
    return {
        "available": amounts.text(available),
        "held": amounts.text(part.held),
        "reserved": amounts.text(part.reserved),
        "allocated": amounts.text(part.allocated),
        "used": amounts.text(part.used),
        "granted": amounts.text(part.granted),
        "expired": amounts.text(part.expired),
        "withdrawn": amounts.text(part.withdrawn),
        "shortfall_open": amounts.text(part.shortfall_open),
        "overdraft_limit": amounts.text(part.overdraft_limit),
        "value_cents": amounts.value_cents(available),
        "currency": settings.PRICE_CURRENCY,
        "allocation_percentage": str(part.allocation_percentage),
        "usage_percentage": str(part.usage_percentage),
    }

"""Usage reports, usage records and the ledger (contract.md §4.1), and the price table."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import answers
from credits.models import LedgerEntry, Price, UsageRecord
from credits.reports import movements, usage
from credits.reports.usage import GROUPINGS, Filters, UsageReport
from kit.errors import PermissionDenied, ValidationError
from kit.rest import lists
from kit.rest.schema import Shape, cursor_list_of, list_of, operation
from orgs.access import capabilities, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Department, Organization, User

_LONGEST_DAYS: Final = 731
_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageGroup(Shape):
    key: Annotated[str, "a date, a public id or a name; empty is «none»"]
    label: str
    credits: str
    requests: int
    tokens: int
    share: Annotated[str, "percent of the total's credits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageShape(Shape):
    total_credits: str
    total_requests: int
    total_tokens: int
    previous_credits: Annotated[str, "of as many days before"]
    start_date: date
    end_date: date
    breakdown: list[UsageGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordShape(answers.ChargeShape):
    kind: Annotated[str, "charge, reversal or settlement"]
    user_id: str | None
    payer: Annotated[str | None, "allocation or pool"]
    corrects: Annotated[str | None, "the record that this one corrects"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShape(Shape):
    id: str
    kind: Annotated[str, "grant, transfer, allocate, deallocate, expire or withdraw"]
    amount: Annotated[str, "above zero, from the source to the target"]
    source: Annotated[dict[str, str | None] | None, "null: from outside"]
    target: Annotated[dict[str, str | None] | None, "null: out of the organization"]
    reason: str
    made_by: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceShape(Shape):
    kind: Annotated[str, "tokens, images or units"]
    name: Annotated[str, "a model or the beginning of its name, or a unit"]
    provider: str
    size: str
    quality: str
    input_price: Annotated[str, "per token, in `currency`"]
    output_price: str
    cached_input_price: str | None
    each_price: Annotated[str, "per image or unit"]
    currency: str


_RECORD_PARAMETERS: Final = (
    OpenApiParameter("start_date", date),
    OpenApiParameter("end_date", date, description="included"),
    OpenApiParameter("days", int, description="instead of dates: as many days up to today"),
    OpenApiParameter("user_id", str),
    OpenApiParameter("department_id", str),
    OpenApiParameter("service", str),
    OpenApiParameter("provider", str),
    OpenApiParameter("model", str),
)
_USAGE_PARAMETERS: Final = (
    *_RECORD_PARAMETERS,
    OpenApiParameter("group_by", str, enum=list(GROUPINGS)),
    OpenApiParameter("format", str, enum=["json", "csv"]),
)
_DATES: Final = frozenset({"start_date", "end_date", "days"})


class Usage(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="Report usage by time, member, department, service, provider or model",
        answers={200: UsageShape},
        errors=(400, 403, 404, 422),
        parameters=_USAGE_PARAMETERS,
        curl='curl "$URL/api/v1/org-billing/credits/$ORG/usage?days=30&group_by=model" -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response | HttpResponse:
        organization = permissions.organization_of(request, org_id)
        since, until = _dates(request, organization)
        report = usage.breakdown(
            organization=organization,
            since=since,
            until=until,
            group_by=lists.choice(request, "group_by", of=GROUPINGS, default="day"),
            filters=_filters(request, organization),
        )
        if lists.choice(request, "format", of=("json", "csv"), default="json") == "csv":
            return _csv(report)
        return Response(_shown(report, since, until))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - DRF's signature
        """Leave `?format=` to the view: DRF would answer 404 for a format that no renderer has."""
        return self.get_renderers()[0], "application/json"


class Records(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="List usage records with how their price came about",
        answers={200: cursor_list_of(RecordShape)},
        errors=(400, 403, 404, 422),
        parameters=(*lists.CURSOR_PARAMETERS, *_RECORD_PARAMETERS),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/records -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        filters = _filters(request, organization)
        rows = movements.record_rows(organization=organization, before=_before(request))
        if filters.users is not None:
            rows = rows.filter(user_id__in=filters.users)
        if filters.departments is not None:
            rows = rows.filter(department_id__in=filters.departments)
        named = {name: getattr(filters, name) for name in ("service", "provider", "model")}
        rows = rows.filter(**{name: value for name, value in named.items() if value})
        if _DATES & request.query_params.keys():
            rows = rows.filter(day__range=_dates(request, organization))
        limit = lists.limit_of(request)
        return Response(
            lists.cursor_answer(
                list(rows[: limit + 1]), limit=limit, key=lambda row: str(row.pk), show=_record
            )
        )


class Ledger(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="List ledger entries: every movement that is not a charge",
        answers={200: cursor_list_of(EntryShape)},
        errors=(400, 403, 404, 422),
        parameters=lists.CURSOR_PARAMETERS,
        curl='curl $URL/api/v1/org-billing/credits/$ORG/ledger -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.BUY)
        rows = movements.entry_rows(organization=organization, before=_before(request))
        limit = lists.limit_of(request)
        return Response(
            lists.cursor_answer(
                list(rows[: limit + 1]), limit=limit, key=lambda row: str(row.pk), show=_entry
            )
        )


class Models(APIView):
    required_scopes = None

    @operation(
        summary="List the price table",
        answers={200: list_of(PriceShape)},
        errors=(422,),
        parameters=lists.PAGE_PARAMETERS,
        curl='curl $URL/api/v1/models -H "Authorization: Bearer $KEY"',
        tag="prices",
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        rows = Price.objects.filter(valid_from__lte=now).exclude(valid_until__lte=now)
        return Response(lists.paged(request, rows.order_by("kind", "name", "pk"), _price))


def _dates(request: Request, organization: Organization) -> tuple[date, date]:
    """Return the days asked for, in the organization's calendar; the last 30 unless told."""
    today = timezone.now().astimezone(ZoneInfo(organization.time_zone)).date()
    days = lists.whole(request, "days", default=_DAYS, least=1, most=_LONGEST_DAYS)
    until = _date(request, "end_date") or today
    since = _date(request, "start_date") or until - timedelta(days=days - 1)
    if since > until:
        raise ValidationError(start_date="must not be after end_date")
    if (until - since).days >= _LONGEST_DAYS:
        raise ValidationError(start_date=f"must be at most {_LONGEST_DAYS} days before end_date")
    return since, until


def _date(request: Request, name: str) -> date | None:
    given = lists.text(request, name, longest=10)
    if not given:
        return None
    try:
        found = date.fromisoformat(given)
    except ValueError:
        found = date.min
    if not date(2000, 1, 1) <= found <= date(2200, 1, 1):
        raise ValidationError(**{name: "must be a date such as 2027-01-31"})
    return found


def _filters(request: Request, organization: Organization) -> Filters:
    """Return what to count, within what the caller may see: everything, a manager's departments, or their own."""
    caller = permissions.caller_of(request)
    users: tuple[UUID, ...] | None = None
    departments: tuple[int, ...] | None = None
    if not permissions.allows(caller, organization, Capability.SEE_EVERYONES_USAGE):
        user = permissions.user_of(request)
        managed = capabilities.managed_departments(
            user=user, organization=organization, capability=Capability.SEE_EVERYONES_USAGE
        )
        departments = tuple(one.pk for one in managed) or None
        users = None if departments else (user.pk,)
    named_user, named_department = lists.text(request, "user_id"), lists.text(request, "department_id")
    if named_user:
        found = User.objects.filter(public_id=named_user, memberships__organization=organization).first()
        users = _narrowed(users, found.pk if found is not None else None)
    if named_department:
        wanted = Department.objects.filter(public_id=named_department, organization=organization).first()
        departments = _narrowed(departments, wanted.pk if wanted is not None else None)
    return Filters(
        users=users,
        departments=departments,
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


def _before(request: Request) -> UUID | None:
    cursor = lists.cursor_of(request, str)
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError:
        raise ValidationError(cursor="This is no cursor of this list.") from None


def _shown(report: UsageReport, since: date, until: date) -> dict[str, Any]:
    return {
        "total_credits": amounts.text(report.total_credits),
        "total_requests": report.total_requests,
        "total_tokens": report.total_tokens,
        "previous_credits": amounts.text(report.previous_credits),
        "start_date": since.isoformat(),
        "end_date": until.isoformat(),
        "breakdown": [
            {
                "key": row.key,
                "label": row.label,
                "credits": amounts.text(row.credits),
                "requests": row.requests,
                "tokens": row.tokens,
                "share": str(row.share),
            }
            for row in report.rows
        ],
    }


def _csv(report: UsageReport) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="usage.csv"'
    writer = csv.writer(response)
    writer.writerow(["key", "label", "credits", "requests", "tokens", "share"])
    for row in report.rows:
        cells = [row.key, row.label, amounts.text(row.credits), row.requests, row.tokens, row.share]
        writer.writerow([_harmless(cell) for cell in cells])
    return response


def _harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell):
        return f"'{cell}"
    return cell


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdigit()


def _record(row: UsageRecord) -> dict[str, Any]:
    payer = "allocation" if row.allocation_id is not None else "pool" if row.pool_id is not None else None
    return answers.charge(row) | {
        "kind": row.kind,
        "user_id": row.user.public_id if row.user is not None else None,
        "payer": payer,
        "corrects": str(row.corrects) if row.corrects is not None else None,
        "reason": row.reason,
    }


def _entry(row: LedgerEntry) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "amount": amounts.text(row.amount),
        "source": _end(row.source_pool, row.source_allocation),
        "target": _end(row.target_pool, row.target_allocation),
        "reason": row.reason,
        "made_by": row.made_by,
        "created_at": answers.instant(row.created_at),
    }


def _end(pool: Any, allocation: Any) -> dict[str, str | None] | None:
    if allocation is not None:
        return {"kind": "allocation", "user_id": allocation.user.public_id}
    if pool is None:
        return None
    department = pool.department
    return {"kind": "pool", "department_id": department.public_id if department is not None else None}


def _price(row: Price) -> dict[str, Any]:
    cached = row.cached_input_price
    return {
        "kind": row.kind,
        "name": row.name,
        "provider": row.provider,
        "size": row.size,
        "quality": row.quality,
        "input_price": amounts.text(row.input_price),
        "output_price": amounts.text(row.output_price),
        "cached_input_price": None if cached is None else amounts.text(cached),
        "each_price": amounts.text(row.each_price),
        "currency": settings.PRICE_CURRENCY,
    }

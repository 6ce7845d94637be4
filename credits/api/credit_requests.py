"""Requests for credits (contract.md §4.1): a member asks, who may allocate from their pool decides."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import answers, reaching, shapes
from credits.api.fields import Body
from credits.models import CreditRequest
from credits.reports import figures
from credits.sharing import requests
from kit.errors import NotFound, PermissionDenied
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, list_of, operation
from orgs.access import idempotency, permissions
from orgs.models import AccessKey, Organization

_REFUSALS: Final = (400, 403, 404, 409, 413, 415, 422, 503)
_STATUSES: Final = tuple(CreditRequest.Status.values)
_KEY: Final = '-H "Authorization: Bearer $KEY"'
_JSON: Final = f'{_KEY} -H "Content-Type: application/json"'


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceShape(Shape):
    """How the member stood when they asked. Amounts are null where there is none to speak of."""

    payer: Annotated[str, "allocation, pool or none"]
    allocated: str | None
    used: str | None
    held: str | None
    remaining: str | None
    a_day: Annotated[str | None, "credits a day, the mean of the last 14 days"]
    runway_days: Annotated[int | None, "whole days; null unless `runway_state` is known"]
    runway_state: Annotated[str, "known, not_applicable or not_known_yet"]
    period_until: Annotated[str, "the last day of the present period"]
    period_used: str
    expected: Annotated[str | None, "what the period will have used; null unless `forecast_state` is known"]
    forecast_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditRequestShape(Shape):
    id: str
    status: Annotated[str, "pending, approved, declined or withdrawn"]
    user_id: str
    email: str | None
    name: str
    department: Annotated[dict[str, str] | None, "id and name of the department whose pool was asked"]
    credits: Annotated[str, "asked for, on top of what the member has"]
    reason: str
    evidence: EvidenceShape
    given: Annotated[str | None, "added when it was approved"]
    answer: str
    decided_by: Annotated[str | None, "public id"]
    created_at: str
    decided_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditRequestBody(Shape):
    credits: Annotated[str, "above 0, on top of what the member has"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalBody(Shape):
    credits: Annotated[str | None, "another amount than was asked for"] = None
    answer: Annotated[str | None, "to the member"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineBody(Shape):
    answer: Annotated[str | None, "to the member"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAnswer(Shape):
    request: CreditRequestShape
    allocation: shapes.AllocationShape
    pool: shapes.PoolShape


class CreditRequests(APIView):
    required_scopes = {"GET": AccessKey.Scope.CREDITS_READ, "POST": AccessKey.Scope.CREDITS_WRITE}

    @operation(
        summary="List requests for credits",
        answers={200: list_of(CreditRequestShape)},
        errors=(400, 403, 404, 422),
        parameters=(*lists.PAGE_PARAMETERS, OpenApiParameter("status", str, enum=_STATUSES)),
        curl=f"curl $URL/api/v1/org-billing/credits/$ORG/requests {_KEY}",
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        rows = _visible(request, organization)
        status = lists.choice(request, "status", of=_STATUSES)
        return Response(lists.paged(request, rows.filter(status=status) if status else rows, shown))

    @operation(
        summary="Ask for more credits",
        request=CreditRequestBody,
        answers={201: CreditRequestShape},
        errors=_REFUSALS,
        curl=f"curl -X POST $URL/api/v1/org-billing/credits/$ORG/requests {_JSON} "
        '-d \'{"credits": "500", "reason": "the load test of next week"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        user, by = permissions.user_of(request), permissions.caller_of(request).actor
        body = Body(body_of(request), allowed=frozenset({"credits", "reason"}))
        credits, reason = body.amount("credits"), body.line("reason", longest=requests.LONGEST)
        if credits is None:
            body.wrong.setdefault("credits", "is needed")
        if not reason:
            body.wrong.setdefault("reason", "is needed")
        body.done()

        def ask() -> tuple[int, dict[str, Any]]:
            made = requests.ask(
                organization=organization,
                user=user,
                credits=credits or amounts.ZERO,
                reason=reason,
                by=by,
                now=timezone.now(),
            )
            return 201, shown(made)

        return idempotency.once(request, ask)


class Approve(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Approve a request for credits, as asked or with another amount",
        request=ApprovalBody,
        answers={200: ApprovalAnswer},
        errors=(402, *_REFUSALS),
        curl=f"curl -X POST $URL/api/v1/org-billing/credits/$ORG/requests/$REQUEST/approve {_JSON} "
        '-d \'{"credits": "5"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str, request_id: UUID) -> Response:
        organization = permissions.organization_of(request, org_id)
        found = _to_decide(request, organization, request_id)
        body = Body(body_of(request), allowed=frozenset({"credits", "answer"}))
        credits, answer = body.amount("credits"), body.line("answer", longest=requests.LONGEST)
        body.done()
        by = permissions.caller_of(request).actor

        def approve() -> tuple[int, dict[str, Any]]:
            row, allocation = requests.approve(
                request=found, credits=credits, answer=answer, by=by, now=timezone.now()
            )
            return 200, {
                "request": shown(row),
                "allocation": shapes.allocation(figures.allocation(allocation)),
                "pool": shapes.pool_for(request, organization),
            }

        return idempotency.once(request, approve)


class Decline(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Decline a request for credits",
        request=DeclineBody,
        answers={200: CreditRequestShape},
        errors=_REFUSALS,
        curl=f"curl -X POST $URL/api/v1/org-billing/credits/$ORG/requests/$REQUEST/decline {_JSON} "
        '-d \'{"answer": "next month"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str, request_id: UUID) -> Response:
        organization = permissions.organization_of(request, org_id)
        found = _to_decide(request, organization, request_id)
        body = Body(body_of(request), allowed=frozenset({"answer"}))
        answer = body.line("answer", longest=requests.LONGEST)
        body.done()
        by = permissions.caller_of(request).actor
        return _decided(
            request, lambda: requests.decline(request=found, answer=answer, by=by, now=timezone.now())
        )


class Withdraw(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Withdraw a request for credits of one's own",
        answers={200: CreditRequestShape},
        errors=(400, 403, 404, 409, 503),
        curl=f"curl -X POST $URL/api/v1/org-billing/credits/$ORG/requests/$REQUEST/withdraw {_KEY}",
        tag="credits",
    )
    def post(self, request: Request, org_id: str, request_id: UUID) -> Response:
        organization = permissions.organization_of(request, org_id)
        found = _found(request, organization, request_id)
        caller = permissions.caller_of(request)
        if found.user != caller.user:
            raise PermissionDenied("Only who asked withdraws a request.")
        return _decided(
            request, lambda: requests.withdraw(request=found, by=caller.actor, now=timezone.now())
        )


def shown(row: CreditRequest) -> dict[str, Any]:
    """Return a request."""
    return {
        "id": str(row.pk),
        "status": row.status,
        "user_id": row.user.public_id,
        "email": row.user.email,
        "name": row.user.name,
        "department": {"id": row.department.public_id, "name": row.department.name}
        if row.department is not None
        else None,
        "credits": amounts.text(row.credits),
        "reason": row.reason,
        "evidence": row.evidence,
        "given": _text(row.given),
        "answer": row.answer,
        "decided_by": row.decided_by or None,
        "created_at": answers.instant(row.created_at),
        "decided_at": None if row.decided_at is None else answers.instant(row.decided_at),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amounts.text(amount)


def _decided(request: Request, decide: Callable[[], CreditRequest]) -> Response:
    return idempotency.once(request, lambda: (200, shown(decide())))


def _visible(request: Request, organization: Organization) -> QuerySet[CreditRequest]:
    """Return the caller's own requests, and those that they may look at as an allocator; newest first."""
    user = permissions.caller_of(request).user
    rows = CreditRequest.objects.filter(organization=organization, user=user)
    within = reaching.of(request, organization)
    if within is not None:
        rows = within.requests() if user is None else rows | within.requests()
    return rows.select_related("user", "organization", "department").order_by("-pk")


def _found(request: Request, organization: Organization, request_id: UUID) -> CreditRequest:
    found = _visible(request, organization).filter(pk=request_id).first()
    if found is None:
        raise NotFound("There is no such request.")
    return found


def _to_decide(request: Request, organization: Organization, request_id: UUID) -> CreditRequest:
    """Return a request that the caller may look at; raises PermissionDenied for who may not give to its member."""
    found = _found(request, organization, request_id)
    if found.status == CreditRequest.Status.PENDING or reaching.of(request, organization) is None:
        reaching.require(request, organization, [found.user])
    return found

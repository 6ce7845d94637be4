"""Usage questions that move nothing, or that gateways ask seldom: check, estimate, open holds, reversal, introspection."""

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import answers, requests, spenders
from credits.api.requests import UsageRequest
from credits.api.usage import UsageView, hold_command, refusal_for
from credits.ledger import checking, payers, reversals
from credits.ledger.commands import Payer
from credits.ledger.standing import NotAMember
from credits.models import Allocation, CreditPool, Hold, UsageRecord
from kit import transactions
from kit.errors import NotFound, PermissionDenied, ValidationError
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs import organizations
from orgs.access import keys, permissions
from orgs.access.callers import SESSION, Caller
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization


class Check(UsageView):
    @operation(
        summary="Ask whether a hold would be placed",
        request=requests.HoldRequest,
        answers={200: answers.CheckAnswer},
        errors=(400, 403, 404, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/usage/check -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        '-d \'{"credits": "5", "service": "llm"}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        asked = UsageRequest.parse(body_of(request), shape=requests.HoldRequest, needs_id=False)
        command = hold_command(request, caller, asked)
        checked = checking.check(command)
        refusal = checked.refusal
        if refusal is not None and (told := refusal_for(caller, command, refusal)) is not refusal:
            raise told
        response = Response(
            {
                "allowed": refusal is None,
                "needed": amounts.text(checked.needed),
                "payer": answers.payer(checked.payer),
                "quota": answers.quota(checked.quota),
                "error": None if refusal is None else answers.error(refusal),
            }
        )
        return answers.with_remaining(response, checked.payer)


class Estimate(UsageView):
    @operation(
        summary="Ask what a request would cost, and why",
        request=requests.HoldRequest,
        answers={200: answers.EstimateAnswer},
        errors=(400, 403, 404, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/usage/estimate -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        '-d \'{"model": "gpt-4o", "input_tokens": 1200, "max_output_tokens": 400}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        asked = UsageRequest.parse(body_of(request), shape=requests.HoldRequest, needs_id=False)
        command = hold_command(request, caller, asked)
        try:
            priced = checking.estimate(command)
        except NotAMember as refusal:
            raise refusal_for(caller, command, refusal) from None
        return Response({"credits": amounts.text(priced.credits), "price": priced.explanation})


class OpenHolds(APIView):
    """Listed beside `Holds.post` under one path."""

    required_scopes = AccessKey.Scope.USAGE_WRITE

    @operation(
        summary="List open holds",
        answers={200: list_of(answers.HoldShape)},
        errors=(400, 403, 404, 422),
        parameters=(
            *lists.PAGE_PARAMETERS,
            OpenApiParameter("org_id", str, description="for keys that are not bound to one"),
        ),
        curl='curl $URL/api/v1/usage/holds -H "Authorization: Bearer $KEY"',
        tag="usage",
    )
    def get(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        organization = _organization(request, caller)
        rows = Hold.objects.active().filter(organization=organization)
        if not _sees_all(caller, organization):
            rows = rows.filter(user=permissions.user_of(request))
        return Response(lists.paged(request, rows.order_by("-pk"), answers.hold))


class HoldDetail(APIView):
    required_scopes = AccessKey.Scope.USAGE_WRITE

    @operation(
        summary="Show a hold",
        answers={200: answers.HoldShape},
        errors=(403, 404),
        curl='curl $URL/api/v1/usage/holds/$HOLD -H "Authorization: Bearer $KEY"',
        tag="usage",
    )
    def get(self, request: Request, hold_id: UUID) -> Response:
        caller = permissions.caller_of(request)
        visible = permissions.visible_organizations(caller)
        hold = (
            Hold.objects.filter(pk=hold_id, organization__in=visible).select_related("organization").first()
        )
        if hold is None or not (_sees_all(caller, hold.organization) or hold.user == caller.user):
            raise NotFound("There is no such hold.")
        return Response(answers.hold(hold))


class Reverse(APIView):
    required_scopes = None  # a reversal asks for more than usage:write; see below

    @operation(
        summary="Give back a charge, whole or in part, once",
        request=requests.ReversalRequest,
        answers={201: answers.ReversalAnswer, 200: answers.ReversalAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/usage/charges/$CHARGE/reverse -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"reason": "provider returned an error"}\'',
        tag="usage",
    )
    def post(self, request: Request, charge_id: UUID) -> Response:
        caller = permissions.caller_of(request)
        credits, reason = requests.parse_reversal(body_of(request))
        organization_id = _may_reverse(request, caller, charge_id)
        with transactions.durable():
            done = reversals.reverse(
                charge_id=charge_id,
                organization_id=organization_id,
                credits=credits,
                reason=reason,
                by=caller.actor,
            )
            payer = _payer(done.charge)
        response = Response(
            {"reversal": answers.reversal(done.reversal), "payer": answers.payer(payer)},
            status=200 if done.replayed else 201,
        )
        if done.replayed:
            response["Idempotent-Replayed"] = "true"
        return answers.with_remaining(response, payer)


class Introspect(APIView):
    """How a gateway learns who is calling. It asks the database each time: a revoked key is inactive at once."""

    required_scopes = AccessKey.Scope.USAGE_WRITE

    @operation(
        summary="Ask whose key this is",
        request={"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        answers={200: answers.IntrospectAnswer},
        errors=(400, 403, 413, 415, 422),
        curl='curl -X POST $URL/api/v1/usage/keys/introspect -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"key": "cpk_…"}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        spenders.require_platform(permissions.caller_of(request))
        given = body_of(request).get("key")
        if not isinstance(given, str) or body_of(request).keys() != {"key"}:
            raise ValidationError(key="must be the key, and nothing beside it")
        found = keys.find(given)
        return Response({"active": False} if found is None else _introspected(found))


def _introspected(key: AccessKey) -> dict[str, object]:
    department = key.membership.department if key.membership is not None else None
    return {
        "active": key.membership is None or key.membership.ended_at is None,
        "kind": key.kind,
        "org_id": key.organization.public_id if key.organization is not None else None,
        "user_id": key.user.public_id if key.user is not None else None,
        "department_id": department.public_id if department is not None else None,
        "scopes": key.scopes,
        "rate_limit": None,
    }


def _organization(request: Request, caller: Caller) -> Organization:
    """Return the organization that is named or bound, else for a person the one that their next hold is for."""
    named = request.query_params.get("org_id")
    if (
        not named
        and "X-Organization" not in request.headers
        and caller.kind in (SESSION, AccessKey.Kind.PERSONAL)
    ):
        return organizations.active_for(user=permissions.user_of(request))
    return permissions.organization_of(request, named)


def _sees_all(caller: Caller, organization: Organization) -> bool:
    """Tell whether the caller sees everybody's holds: organization and platform keys, and who sees everyone's usage."""
    if caller.kind in (AccessKey.Kind.ORGANIZATION, AccessKey.Kind.PLATFORM):
        return True
    return caller.kind == SESSION and permissions.allows(caller, organization, Capability.SEE_EVERYONES_USAGE)


def _payer(charge: UsageRecord) -> Payer | None:
    """Return who paid a charge, with what it has left now."""
    row: CreditPool | Allocation | None = None
    if charge.allocation_id is not None:
        row = Allocation.objects.get(pk=charge.allocation_id)
    elif charge.pool_id is not None:
        row = CreditPool.objects.get(pk=charge.pool_id)
    if row is None:
        return None
    kind = payers.ref_of(row)[0]
    return Payer(kind=kind, organization=charge.organization.public_id, remaining=payers.free(row))


def _may_reverse(request: Request, caller: Caller, charge_id: UUID) -> int | None:
    """Return the organization whose charges the caller may reverse (None is any); product.md §6."""
    if caller.kind == AccessKey.Kind.PLATFORM:
        if AccessKey.Scope.USAGE_WRITE not in caller.scopes:
            raise PermissionDenied("The key lacks the scope usage:write.", scope="usage:write")
        return None
    if caller.kind == AccessKey.Kind.ORGANIZATION:
        if AccessKey.Scope.CREDITS_WRITE not in caller.scopes:
            raise PermissionDenied("The key lacks the scope credits:write.", scope="credits:write")
        return caller.organization_id
    if caller.kind not in (SESSION, AccessKey.Kind.PERSONAL):
        raise PermissionDenied("A member's key may not reverse.")
    if AccessKey.Scope.CREDITS_WRITE not in caller.scopes:
        raise PermissionDenied("The key lacks the scope credits:write.", scope="credits:write")
    charged = reversals.organization_of(charge_id) or 0
    organization = permissions.visible_organizations(caller).filter(pk=charged).first()
    if organization is None:
        raise NotFound("There is no such charge.")
    permissions.require(request, organization, Capability.BUY)
    return organization.pk

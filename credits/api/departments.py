"""A department's pool (contract.md §4.1): funding it from the organization's, and taking unspent credits back."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import shapes
from credits.api.fields import Body
from credits.sharing import transfers
from kit.errors import NotFound
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, operation
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Department, Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest(Shape):
    credits: Annotated[str, "above zero funds the department, below zero takes unspent credits back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAnswer(Shape):
    """Both pools as they are now."""

    pool: shapes.PoolShape
    department_pool: shapes.DepartmentPoolShape


class Transfer(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Fund a department, or take unspent credits back",
        request=TransferRequest,
        answers={200: TransferAnswer},
        errors=(400, 402, 403, 404, 409, 413, 415, 422, 503),
        curl="curl -X POST $URL/api/v1/org-billing/credits/$ORG/departments/$DEPARTMENT/transfer "
        '-H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d \'{"credits": "10"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str, department_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.BUY)
        department = _department(organization, department_id)
        credits, by = _credits(body_of(request)), permissions.caller_of(request).actor

        def move() -> tuple[int, dict[str, Any]]:
            transfers.move(department=department, credits=credits, by=by)
            [theirs] = shapes.department_pools(organization, [department], timezone.now())
            return 200, {"pool": shapes.pool_for(request, organization), "department_pool": theirs}

        return idempotency.once(request, move)


def _department(organization: Organization, department_id: str) -> Department:
    public_id = permissions.public_id(department_id, "department")
    found = Department.objects.live().filter(public_id=public_id, organization=organization).first()
    if found is None:
        raise NotFound("There is no such department.")
    return found


def _credits(given: Mapping[str, Any]) -> Decimal:
    """Return the amount with its sign: the one place where an amount from outside may be below zero."""
    credits = given.get("credits")
    is_back = credits < 0 if isinstance(credits, int) else isinstance(credits, str) and credits[:1] == "-"
    unsigned = {**given, "credits": _without_sign(credits)} if is_back else given
    with Body(unsigned) as body:
        body.was_given("credits")
        amount = body.amount("credits")
        if not amount:
            body.wrong.setdefault("credits", "is needed, and must not be 0")
    return -(amount or amounts.ZERO) if is_back else amount or amounts.ZERO


def _without_sign(credits: object) -> object:
    return -credits if isinstance(credits, int) else str(credits)[1:]

"""Proposals from three months of use (contract.md §4.1): other amounts for members, budgets for departments; applied at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import budgets, shapes
from credits.api.fields import Body
from credits.limits import budgets as limits
from credits.reports import figures, proposals
from credits.reports.proposals import Accepted
from credits.sharing import resets
from kit.errors import ValidationError
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, operation
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

MOST: Final = 1000
"""Proposals that are applied together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberProposal(Shape):
    """Another amount for an allocation."""

    user_id: str
    name: str
    why: Annotated[str, "runs_out or unused"]
    now: Annotated[str, "allocated now"]
    credits: Annotated[str, "proposed"]
    refused_credits: Annotated[str, "what of the past use would not have fitted"]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentProposal(Shape):
    """A soft monthly budget."""

    department_id: str
    name: str
    now: Annotated[str | None, "the present one"]
    credits: Annotated[str, "proposed"]
    refused_credits: Annotated[str, "what of the past use would have lain beyond it"]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalsShape(Shape):
    start_date: Annotated[date | None, "the first day that they rest on; null before any use"]
    end_date: Annotated[date | None, "the last day"]
    days: Annotated[int, "how many there are; at least 28 are needed, 91 are looked at"]
    is_enough: bool
    members: list[MemberProposal]
    departments: list[DepartmentProposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedMember(Shape):
    user_id: str
    credits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedDepartment(Shape):
    department_id: str
    credits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest(Shape):
    """The accepted ones; the amounts may be others than proposed."""

    members: list[AcceptedMember] | None = None
    departments: list[AcceptedDepartment] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAnswer(Shape):
    allocations: list[shapes.AllocationShape]
    budgets: list[budgets.BudgetShape]


class Proposals(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="Propose allocations and budgets from three months of use",
        answers={200: ProposalsShape},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/proposals -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = _organization(request, org_id)
        resets.refresh(organization)
        found = proposals.find(organization=organization, now=timezone.now())
        return Response(
            {
                "start_date": found.basis.since.isoformat() if found.basis.days else None,
                "end_date": found.basis.until.isoformat() if found.basis.days else None,
                "days": found.basis.days,
                "is_enough": found.basis.is_enough,
                "members": [
                    {
                        "user_id": one.user_id,
                        "name": one.name,
                        "why": one.why.value,
                        "now": amounts.text(one.now),
                        "credits": amounts.text(one.credits),
                        "refused_credits": amounts.text(one.refused),
                        "sentence": one.sentence,
                    }
                    for one in found.members
                ],
                "departments": [
                    {
                        "department_id": one.department_id,
                        "name": one.name,
                        "now": None if one.now is None else amounts.text(one.now),
                        "credits": amounts.text(one.credits),
                        "refused_credits": amounts.text(one.refused),
                        "sentence": one.sentence,
                    }
                    for one in found.departments
                ],
            }
        )


class ApplyProposals(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Apply accepted proposals, all or none",
        request=ApplyRequest,
        answers={200: ApplyAnswer},
        errors=(400, 402, 403, 404, 409, 413, 415, 422, 503),
        curl="curl -X POST $URL/api/v1/org-billing/credits/$ORG/proposals/apply "
        '-H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        '-d \'{"departments": [{"department_id": "\'$DEPARTMENT\'", "credits": "2000"}]}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization = _organization(request, org_id)
        accepted, by = _accepted(body_of(request)), permissions.caller_of(request).actor

        def run() -> tuple[int, dict[str, Any]]:
            given, made = proposals.apply(organization=organization, accepted=accepted, by=by)
            return 200, {
                "allocations": [shapes.allocation(figures.allocation(row)) for row in given],
                "budgets": [budgets.shown(state) for state in limits.states_of(made, now=timezone.now())],
            }

        return idempotency.once(request, run)


def _organization(request: Request, org_id: str) -> Organization:
    organization = permissions.organization_of(request, org_id)
    permissions.require(request, organization, Capability.BUY)
    return organization


def _accepted(given: Mapping[str, Any]) -> Accepted:
    if not given.keys() <= {"members", "departments"}:
        raise ValidationError(accepted="has members and departments, and nothing beside them")
    return Accepted(
        members=_amounts(given, "members", "user_id", "member"),
        departments=_amounts(given, "departments", "department_id", "department"),
    )


def _amounts(given: Mapping[str, Any], name: str, key: str, what: str) -> dict[str, Decimal]:
    """Return the credits by public id; raises ValidationError for what cannot be read, or names one twice."""
    listed = given.get(name) or []
    if not isinstance(listed, list) or len(listed) > MOST or not all(isinstance(one, dict) for one in listed):
        raise ValidationError(**{name: f"must be a list of at most {MOST} objects"})
    found: dict[str, Decimal] = {}
    for one in listed:
        with Body(one) as body:
            public_id, credits = body.text(key), body.amount("credits")
            body.was_given("credits")
            if credits is None:
                body.wrong.setdefault("credits", "is needed")
            if public_id in found:
                body.wrong[key] = "is named twice"
        found[permissions.public_id(public_id, what)] = credits or amounts.ZERO
    return found

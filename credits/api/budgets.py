"""Budgets (contract.md §4.1): ceilings on credits that an organization sets itself, soft or hard."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api.fields import Body
from credits.limits import budgets
from credits.limits.budgets import BudgetState, Subject
from credits.models import Budget
from kit.errors import NotFound
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, list_of, operation
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Department, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetShape(Shape):
    """A budget and how its present period stands."""

    id: str
    scope: Annotated[str, "organization, department, member or model"]
    department: Annotated[dict[str, str] | None, "id and name"]
    user: Annotated[dict[str, str] | None, "user_id and name"]
    model: str | None
    period: Annotated[str, "day, week (from Monday) or month, of the organization's calendar"]
    credits: str
    is_hard: Annotated[bool, "a hard one refuses holds and charges beyond it (402 `budget_exceeded`)"]
    used: str
    held: Annotated[str, "what active holds reserve of a hard one"]
    remaining: Annotated[str, "below zero where captures went beyond it"]
    usage_percentage: str
    expected: Annotated[str | None, "what the period will have used at its pace; null until a tenth is over"]
    starts_on: str
    resets_at: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRequest(Shape):
    """Whose use counts is what is named: a department, a member or a model; nothing is the whole organization."""

    credits: str
    period: Annotated[str, "day, week or month"]
    is_hard: Annotated[bool, "false unless told: a soft one only tells"] = False
    scope: Annotated[str | None, "organization, department, member or model, as the one that is named"] = None
    department_id: str | None = None
    user_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChanges(Shape):
    """Whose use counts and in which period stays."""

    credits: str
    is_hard: bool


class Budgets(APIView):
    required_scopes = {"GET": AccessKey.Scope.CREDITS_READ, "POST": AccessKey.Scope.CREDITS_WRITE}

    @operation(
        summary="List budgets",
        answers={200: list_of(BudgetShape)},
        errors=(400, 403, 404, 422),
        parameters=lists.PAGE_PARAMETERS,
        curl='curl $URL/api/v1/org-billing/credits/$ORG/budgets -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = _organization(request, org_id)
        page = lists.page_of(request)
        rows = budgets.live().filter(organization=organization)
        found = budgets.states_of(rows[page.offset : page.offset + page.limit], now=timezone.now())
        return Response(lists.answer([shown(one) for one in found], page=page, total=rows.count()))

    @operation(
        summary="Set a budget",
        request=BudgetRequest,
        answers={201: BudgetShape},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/org-billing/credits/$ORG/budgets -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"credits": "2000", "period": "month", "user_id": "\'$USER\'"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization = _organization(request, org_id)
        given, by = body_of(request), permissions.caller_of(request).actor

        def create() -> tuple[int, dict[str, Any]]:
            made = budgets.create(organization=organization, by=by, **_terms(organization, given))
            return 201, _one(made)

        return idempotency.once(request, create)


class BudgetDetail(APIView):
    required_scopes = {
        "GET": AccessKey.Scope.CREDITS_READ,
        "PUT": AccessKey.Scope.CREDITS_WRITE,
        "DELETE": AccessKey.Scope.CREDITS_WRITE,
    }

    @operation(
        summary="Show a budget",
        answers={200: BudgetShape},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/budgets/$BUDGET -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str, budget_id: UUID) -> Response:
        return Response(_one(_budget(_organization(request, org_id), budget_id)))

    @operation(
        summary="Change a budget",
        request=BudgetChanges,
        answers={200: BudgetShape},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X PUT $URL/api/v1/org-billing/credits/$ORG/budgets/$BUDGET -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"credits": "3000", "is_hard": true}\'',
        tag="credits",
    )
    def put(self, request: Request, org_id: str, budget_id: UUID) -> Response:
        organization = _organization(request, org_id)
        credits, is_hard = _changes(body_of(request))
        by = permissions.caller_of(request).actor

        def change() -> tuple[int, dict[str, Any]]:
            budget = _budget(organization, budget_id)
            return 200, _one(budgets.change(budget=budget, credits=credits, is_hard=is_hard, by=by))

        return idempotency.once(request, change)

    @operation(
        summary="Take a budget back",
        answers={200: BudgetShape},
        errors=(400, 403, 404, 409, 503),
        curl='curl -X DELETE $URL/api/v1/org-billing/credits/$ORG/budgets/$BUDGET -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def delete(self, request: Request, org_id: str, budget_id: UUID) -> Response:
        organization = _organization(request, org_id)
        by = permissions.caller_of(request).actor

        def archive() -> tuple[int, dict[str, Any]]:
            budget = _budget(organization, budget_id)
            last = _one(budget)
            budgets.archive(budget=budget, by=by)
            return 200, last

        return idempotency.once(request, archive)


def shown(state: BudgetState) -> dict[str, Any]:
    """Return a budget as answers show it."""
    budget = state.budget
    department, user = budget.department, budget.user
    return {
        "id": str(budget.public_id),
        "scope": budget.scope,
        "department": None if department is None else {"id": department.public_id, "name": department.name},
        "user": None if user is None else {"user_id": user.public_id, "name": user.name},
        "model": budget.model or None,
        "period": budget.period,
        "credits": amounts.text(budget.credits),
        "is_hard": budget.is_hard,
        "used": amounts.text(state.used),
        "held": amounts.text(state.held),
        "remaining": amounts.text(state.remaining),
        "usage_percentage": str(state.percent),
        "expected": None if state.pace is None else amounts.text(state.pace),
        "starts_on": state.starts_on.isoformat(),
        "resets_at": state.resets_at.isoformat(),
        "created_at": budget.created_at.isoformat(),
    }


def _one(budget: Budget) -> dict[str, Any]:
    [state] = budgets.states_of([budget], now=timezone.now())
    return shown(state)


def _organization(request: Request, org_id: str) -> Organization:
    organization = permissions.organization_of(request, org_id)
    permissions.require(request, organization, Capability.BUY)
    return organization


def _budget(organization: Organization, budget_id: UUID) -> Budget:
    found = budgets.live().filter(organization=organization, public_id=budget_id).first()
    if found is None:
        raise NotFound("There is no such budget.")
    return found


def _terms(organization: Organization, given: Mapping[str, Any]) -> dict[str, Any]:
    with Body(given) as body:
        credits, period = body.amount("credits"), body.choice("period", Budget.Period)
        body.was_given("credits")
        is_hard, scope = body.flag("is_hard"), body.choice("scope", Budget.Scope)
        department_id = body.line("department_id", longest=64)
        user_id, model = body.line("user_id", longest=64), body.line("model", longest=128)
        for name, value in (("credits", credits), ("period", period)):
            if value is None:
                body.wrong.setdefault(name, "is needed")
        named = {"department": department_id, "member": user_id, "model": model}
        _refuse_mismatch(body, named, scope)
    subject = Subject(
        department=_department(organization, department_id) if department_id else None,
        user=_member(organization, user_id) if user_id else None,
        model=model,
    )
    return {"credits": credits, "period": period, "is_hard": is_hard, "subject": subject}


def _refuse_mismatch(body: Body, named: dict[str, str], scope: Budget.Scope | None) -> None:
    """Note what names two subjects, or another than `scope` says."""
    found = [name for name, value in named.items() if value] or ["organization"]
    if len(found) > 1:
        body.wrong.setdefault("scope", f"names {' and '.join(found)}; one at most")
    elif scope is not None and found != [scope]:
        body.wrong.setdefault("scope", f"is {scope}, but {found[0]} is named")


def _changes(given: Mapping[str, Any]) -> tuple[Decimal, bool]:
    with Body(given) as body:
        credits, is_hard = body.amount("credits"), body.flag("is_hard")
        body.was_given("credits")
        for name in ("credits", "is_hard"):
            if not body.has(name):
                body.wrong.setdefault(name, "is needed")
    return credits or amounts.ZERO, is_hard


def _department(organization: Organization, department_id: str) -> Department:
    public_id = permissions.public_id(department_id, "department")
    found = Department.objects.live().filter(public_id=public_id, organization=organization).first()
    if found is None:
        raise NotFound("There is no such department.")
    return found


def _member(organization: Organization, user_id: str) -> User:
    public_id = permissions.public_id(user_id, "member")
    found = User.objects.filter(public_id=public_id, memberships__organization=organization).first()
    if found is None:
        raise NotFound("There is no such member.")
    return found

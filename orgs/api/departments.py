"""`/orgs/{org_id}/departments`: parts of an organization."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs import departments, signals
from orgs.access import capabilities, idempotency, permissions
from orgs.access.callers import Caller
from orgs.access.capabilities import Capability
from orgs.api import bodies, finding, shapes
from orgs.audit.events import Actor
from orgs.models import Department, DepartmentManager, Membership, Organization

_SCOPES = {"GET": "org:read", "POST": "org:write", "PATCH": "org:write", "DELETE": "org:write"}
_CURL = '-H "Authorization: Bearer $KEY" $URL/api/v1/orgs/$ORG/departments'
_JSON = "-H 'Content-Type: application/json'"


class Departments(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List the departments",
        answers={200: list_of(shapes.Department)},
        errors=[400, 403, 404, 422],
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl {_CURL}",
        tag="orgs",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization, page = permissions.organization_of(request, org_id), lists.page_of(request)
        rows = Department.objects.live().filter(organization=organization).order_by("name", "pk")
        found = list(rows[page.offset : page.offset + page.limit])
        lines = _lines(permissions.caller_of(request), organization, found)
        return Response(lists.answer(lines, page=page, total=rows.count()))

    @operation(
        summary="Make a department",
        request=bodies.NewDepartment,
        answers={201: shapes.Department},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"""curl {_JSON} -d '{{"name": "Engineering"}}' {_CURL}""",
        tag="orgs",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        caller, body = permissions.caller_of(request), bodies.NewDepartment.read(body_of(request))

        def run() -> tuple[int, Any]:
            managers = finding.members(organization, body.managers)
            made = departments.create(organization=organization, name=body.name, by=caller.actor)
            for manager in managers:
                departments.add_manager(department=made, membership=manager, by=caller.actor)
            return 201, _lines(caller, organization, [made])[0]

        return idempotency.once(request, run)


class OneDepartment(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Rename a department, or say who manages it",
        request=bodies.DepartmentChanges,
        answers={200: shapes.Department},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"""curl -X PATCH {_JSON} -d '{{"name": "R&D"}}' {_CURL}/$DEPARTMENT""",
        tag="orgs",
    )
    def patch(self, request: Request, org_id: str, department_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        caller, body = permissions.caller_of(request), bodies.DepartmentChanges.read(body_of(request))

        def run() -> tuple[int, Any]:
            department = finding.department(organization, department_id)
            if body.managers is not None:
                _set_managers(department, finding.members(organization, body.managers), caller.actor)
            if body.name is not None:
                department = departments.rename(department=department, name=body.name, by=caller.actor)
            return 200, _lines(caller, organization, [department])[0]

        return idempotency.once(request, run)

    @operation(
        summary="Archive a department",
        answers={204: None},
        errors=[400, 403, 404, 409],
        curl=f"curl -X DELETE {_CURL}/$DEPARTMENT",
        tag="orgs",
    )
    def delete(self, request: Request, org_id: str, department_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        by = permissions.caller_of(request).actor

        def run() -> tuple[int, Any]:
            departments.archive(department=finding.department(organization, department_id), by=by)
            return 204, None

        return idempotency.once(request, run)


def _set_managers(department: Department, wanted: Sequence[Membership], by: Actor) -> None:
    for gone in department.managers.exclude(pk__in=[one.pk for one in wanted]).select_related("user"):
        departments.remove_manager(department=department, membership=gone, by=by)
    for manager in wanted:
        departments.add_manager(department=department, membership=manager, by=by)


def _lines(caller: Caller, organization: Organization, found: Sequence[Department]) -> list[dict[str, Any]]:
    """Return the rows of the list, with the figures that `departments_described` brings for who may see them."""
    figures = _figures(organization, _shown_with_figures(caller, organization, found))
    live = Membership.objects.live().filter(department__in=found)
    sizes = dict(live.values_list("department").annotate(Count("pk")))
    managers: dict[int, list[dict[str, str]]] = {one.pk: [] for one in found}
    for one in (
        DepartmentManager.objects.filter(department__in=found)
        .select_related("membership__user")
        .order_by("pk")
    ):
        user = one.membership.user
        managers[one.department_id].append({"user_id": user.public_id, "name": user.name})
    return [
        {
            "id": one.public_id,
            "name": one.name,
            "managers": managers[one.pk],
            "members": sizes.get(one.pk, 0),
            "pool": None,
            "used_30_days": None,
            "budget": None,
            **figures.get(one.pk, {}),
        }
        for one in found
    ]


def _shown_with_figures(
    caller: Caller, organization: Organization, found: Sequence[Department]
) -> list[Department]:
    if permissions.allows(caller, organization, Capability.SEE_FIGURES):
        return list(found)
    if caller.user is None:
        return []
    mine = capabilities.managed_departments(
        user=caller.user, organization=organization, capability=Capability.SEE_FIGURES
    )
    return [one for one in found if one in mine]


def _figures(organization: Organization, shown: Iterable[Department]) -> dict[int, dict[str, Any]]:
    departments_shown = list(shown)
    figures: dict[int, dict[str, Any]] = {one.pk: {} for one in departments_shown}
    if departments_shown:
        brought: list[tuple[Any, Any]] = signals.departments_described.send(
            sender=Department, organization=organization, departments=departments_shown
        )
        for _, facts in brought:
            for pk, fields in (facts or {}).items():
                figures[pk] |= fields
    return figures

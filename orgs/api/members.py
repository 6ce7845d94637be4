"""`/orgs/{org_id}/members`: who belongs to an organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.errors import ValidationError
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs import memberships
from orgs.access import capabilities, idempotency, permissions
from orgs.access.callers import Caller
from orgs.access.capabilities import Capability
from orgs.api import bodies, finding, shapes
from orgs.models import AccessKey, Membership, Organization

_SCOPES = {"GET": "org:read", "PATCH": "org:write", "DELETE": "org:write"}
_CURL = '-H "Authorization: Bearer $KEY" $URL/api/v1/orgs/$ORG/members'


class Members(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List the members the caller may see: all, those of managed departments, or oneself",
        answers={200: list_of(shapes.Member)},
        errors=[400, 403, 404, 422],
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl {_CURL}",
        tag="orgs",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization, page = permissions.organization_of(request, org_id), lists.page_of(request)
        rows = _visible(permissions.caller_of(request), organization)
        found = rows.select_related("user", "department").order_by("pk")[
            page.offset : page.offset + page.limit
        ]
        return Response(lists.answer(_lines(list(found)), page=page, total=rows.count()))


class OneMember(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Change a member's role or department",
        request=bodies.MemberChanges,
        answers={200: shapes.Member},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"""curl -X PATCH -H 'Content-Type: application/json' -d '{{"role": "admin"}}' {_CURL}/$USER""",
        tag="orgs",
    )
    def patch(self, request: Request, org_id: str, user_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        acting_as = permissions.require(request, organization, Capability.CHANGE_ROLES)
        changes, moves = bodies.MemberChanges.read(body_of(request))
        if changes.role is None and not moves:
            raise ValidationError(role="A role or a department is needed.")
        by = permissions.caller_of(request).actor

        def run() -> tuple[int, Any]:
            member = finding.member(organization, user_id)
            if moves:  # first: it locks the department, and nothing is locked after the audit event of a role
                to = (
                    finding.department(organization, changes.department_id) if changes.department_id else None
                )
                member = memberships.move(membership=member, department=to, by=by)
            if changes.role is not None:
                member = memberships.change_role(
                    membership=member, role=changes.role, by=by, acting_as=acting_as
                )
            return 200, _lines([member])[0]

        return idempotency.once(request, run)

    @operation(
        summary="Remove a member, or leave",
        answers={204: None},
        errors=[400, 403, 404, 409],
        curl=f"curl -X DELETE {_CURL}/$USER",
        tag="orgs",
    )
    def delete(self, request: Request, org_id: str, user_id: str) -> Response:
        organization, caller = permissions.organization_of(request, org_id), permissions.caller_of(request)
        leaves = caller.user is not None and caller.user.public_id == user_id
        if not leaves:
            permissions.require(request, organization, Capability.ADMINISTER)

        def run() -> tuple[int, Any]:
            member = finding.member(organization, user_id)
            acting_as = permissions.acting_role(caller, organization) or member.role
            memberships.remove(membership=member, by=caller.actor, acting_as=acting_as)
            return 204, None

        return idempotency.once(request, run)


def _visible(caller: Caller, organization: Organization) -> QuerySet[Membership]:
    rows = Membership.objects.live().filter(organization=organization)
    if permissions.allows(caller, organization, Capability.SEE_EVERYONES_USAGE):
        return rows
    if caller.user is None:
        return rows.none()
    managed = capabilities.managed_departments(
        user=caller.user, organization=organization, capability=Capability.SEE_EVERYONES_USAGE
    )
    return rows.filter(Q(user=caller.user) | Q(department__in=managed))


def _lines(found: Sequence[Membership]) -> list[dict[str, Any]]:
    used = AccessKey.objects.filter(
        user__in=[one.user_id for one in found], organization__in=[one.organization_id for one in found]
    )
    last_used = dict(used.values_list("user").annotate(Max("last_used_at")))
    return [
        {
            "user_id": one.user.public_id,
            "email": one.user.email,
            "name": one.user.name,
            "role": one.role,
            "department": {"id": one.department.public_id, "name": one.department.name}
            if one.department
            else None,
            "joined_at": one.joined_at,
            "last_active_at": _later(one.user.last_login, last_used.get(one.user_id)),
        }
        for one in found
    ]


def _later(*times: datetime | None) -> datetime | None:
    return max((at for at in times if at is not None), default=None)

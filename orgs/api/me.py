"""`/me`: who the caller is."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.rest.parsing import body_of
from kit.rest.schema import operation
from orgs import organizations
from orgs.access import idempotency, permissions
from orgs.access.callers import Caller
from orgs.api import bodies, shapes
from orgs.api.keys import line
from orgs.models import AccessKey, Organization

_CURL = '-H "Authorization: Bearer $KEY" $URL/api/v1/me'


class Me(APIView):
    required_scopes = {"PATCH": "org:write"}

    @operation(
        summary="Show who is calling", answers={200: shapes.Me}, errors=[403], curl=f"curl {_CURL}", tag="me"
    )
    def get(self, request: Request) -> Response:
        return Response(_show(permissions.caller_of(request)))

    @operation(
        summary="Choose my default organization",
        request=bodies.MyChanges,
        answers={200: shapes.Me},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"""curl -X PATCH -H 'Content-Type: application/json' -d '{{"default_org_id": "'$ORG'"}}' {_CURL}""",
        tag="me",
    )
    def patch(self, request: Request) -> Response:
        caller, user = permissions.caller_of(request), permissions.user_of(request)
        body = bodies.MyChanges.read(body_of(request))
        organization = permissions.organization_of(request, body.default_org_id)

        def run() -> tuple[int, Any]:
            organizations.set_default(user=user, organization=organization, by=caller.actor)
            return 200, _show(caller)

        return idempotency.once(request, run)


def _show(caller: Caller) -> dict[str, Any]:
    user = caller.user
    key = (
        AccessKey.objects.select_related("user", "organization").get(pk=caller.key_id)
        if caller.key_id
        else None
    )
    return {
        "id": user.public_id if user else None,
        "email": user.email if user else None,
        "name": user.name if user else None,
        "is_system_admin": bool(user and user.is_staff),
        "active_org_id": organizations.active_for(user=user).public_id if user else None,
        "default_org_id": _public_id(user.default_organization) if user else None,
        "key": line(key) if key else None,
        "key_org_id": _public_id(key.organization) if key else None,
    }


def _public_id(organization: Organization | None) -> str | None:
    return organization.public_id if organization else None

"""`/orgs/{org_id}/audit`: the organization's evidence, newest first."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.rest import lists
from kit.rest.schema import cursor_list_of, operation
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.api import shapes
from orgs.audit.models import AuditEvent

_FILTERS = ("action", "actor", "target")


class Audit(APIView):
    required_scopes = "org:read"

    @operation(
        summary="Read the audit log, newest first",
        answers={200: cursor_list_of(shapes.AuditEvent)},
        errors=[400, 403, 404, 422],
        parameters=[*lists.CURSOR_PARAMETERS, *(OpenApiParameter(name, str) for name in _FILTERS)],
        curl='curl -H "Authorization: Bearer $KEY" $URL/api/v1/orgs/$ORG/audit',
        tag="orgs",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        limit, before = lists.limit_of(request), lists.cursor_of(request, int)
        wanted = {name: lists.text(request, name) for name in _FILTERS}
        rows = AuditEvent.objects.filter(
            organization=organization.public_id, **{k: v for k, v in wanted.items() if v}
        )
        if before is not None:
            rows = rows.filter(sequence__lt=before)
        found = list(rows.order_by("-sequence")[: limit + 1])
        return Response(lists.cursor_answer(found, limit=limit, key=lambda event: event.sequence, show=_line))


def _line(event: AuditEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in shapes.AuditEvent.__dataclass_fields__}

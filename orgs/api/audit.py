"""`/orgs/{org_id}/audit`: the organization's evidence, newest first, a page or the whole of it as a file."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.errors import ValidationError
from kit.rest import lists
from kit.rest.schema import cursor_list_of, operation
from orgs import evidence, labels
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.api import shapes
from orgs.audit import trail
from orgs.audit.models import AuditEvent
from orgs.audit.trail import Search
from orgs.evidence import Line
from orgs.models import Organization

_EXACT: Final = ("action", "actor", "target")
_PARAMETERS: Final = (
    *lists.CURSOR_PARAMETERS,
    OpenApiParameter("action", str, description="such as member.removed"),
    OpenApiParameter("actor", str, description="public id of the user or key; `portal` for its jobs"),
    OpenApiParameter("target", str, description="public id of what it was done to"),
    OpenApiParameter("start_date", date, description="in the organization's time zone"),
    OpenApiParameter("end_date", date, description="included"),
    OpenApiParameter("search", str, description="in all that an event says, and in names of people and keys"),
    OpenApiParameter(
        "format", str, enum=["json", "csv"], description="csv has all that match, `limit` and `cursor` aside"
    ),
)


class Audit(APIView):
    required_scopes = "org:read"

    @operation(
        summary="Read the audit log, newest first",
        answers={200: cursor_list_of(shapes.AuditEvent)},
        errors=[400, 403, 404, 422],
        parameters=_PARAMETERS,
        curl='curl -H "Authorization: Bearer $KEY" $URL/api/v1/orgs/$ORG/audit',
        tag="orgs",
    )
    def get(self, request: Request, org_id: str) -> HttpResponseBase:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        limit, before = lists.limit_of(request), lists.cursor_of(request, int)
        search = _search(request, organization)
        if lists.choice(request, "format", of=("json", "csv"), default="json") == "csv":
            return _file(organization, search)
        rows = trail.events(chain=organization.public_id, search=search, before=before)
        found = list(rows[: limit + 1])
        shown = _named(found)
        return Response(
            lists.cursor_answer(
                found, limit=limit, key=lambda event: event.sequence, show=lambda event: shown[event.sequence]
            )
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - DRF's signature
        """Leave `?format=` to the view: DRF would answer 404 for a format that no renderer has."""
        return self.get_renderers()[0], "application/json"


def _search(request: Request, organization: Organization) -> Search:
    since, until = lists.day(request, "start_date"), lists.day(request, "end_date")
    if since is not None and until is not None and since > until:
        raise ValidationError(start_date="must not be after end_date")
    first, last = evidence.days(since=since, until=until, organization=organization)
    text = lists.text(request, "search", longest=100).strip()
    return Search(
        **{name: lists.text(request, name) for name in _EXACT},
        since=first,
        until=last,
        text=text,
        named=labels.named(organization=organization, text=text) if text else (),
    )


def _file(organization: Organization, search: Search) -> HttpResponseBase:
    return StreamingHttpResponse(
        evidence.csv(organization=organization, search=search),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit-{organization.slug}.csv"'},
    )


def _named(found: Sequence[AuditEvent]) -> dict[int, dict[str, Any]]:
    return {line.event.sequence: _shown(line) for line in evidence.lines(found)}


def _shown(line: Line) -> dict[str, Any]:
    names = {"actor_name": line.actor or None, "target_name": line.target or None}
    own = [name for name in shapes.AuditEvent.__dataclass_fields__ if name not in names]
    return {name: getattr(line.event, name) for name in own} | names

"""`/inbox`: what the caller was told, and which of it they get by e-mail."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.errors import ValidationError
from kit.rest import lists
from kit.rest.fields import Fields
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, cursor_list_of, operation
from orgs.access import idempotency, permissions
from orgs.models import Organization
from orgs.notices import inbox, preferences
from orgs.notices.kinds import DESCRIPTIONS, Kind
from orgs.notices.models import Notice

_SCOPES = {"GET": "org:read", "POST": "org:write", "PUT": "org:write"}
_KEY = '-H "Authorization: Bearer $KEY"'
_JSON = "-H 'Content-Type: application/json'"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLine(Shape):
    id: UUID
    kind: Annotated[str, "what it is about; /inbox/preferences lists the kinds"]
    level: Annotated[str, "info, success, warning or danger"]
    organization_id: str | None
    title: str
    lines: Annotated[list[str], "sentences"]
    action: Annotated[str, "what to do about it, empty where there is nothing to do"]
    path: Annotated[str, "where to do it, an address of the portal"]
    created_at: datetime
    read_at: datetime | None
    mail: Annotated[str, "pending, sent, off (nobody wants it) or failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRead(Shape):
    """Either `ids` or `all`."""

    ids: list[str] | None = None
    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WasRead(Shape):
    read: Annotated[int, "how many were unread before"]
    unread: Annotated[int, "how many are unread now, at most 100"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches(Shape):
    """Replaces what was chosen before."""

    off: Annotated[list[str], "the kinds that no mail is sent about"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Shape):
    kind: str
    about: str
    mail: Annotated[bool, "whether it comes by e-mail; the inbox shows it in any case"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchList(Shape):
    data: list[Switch]


class Inbox(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List my notices, newest first",
        answers={200: cursor_list_of(NoticeLine)},
        errors=[400, 403, 404, 422],
        parameters=[
            *lists.CURSOR_PARAMETERS,
            OpenApiParameter("unread", str, description="`true` for unread ones only"),
            OpenApiParameter("kind", str),
            OpenApiParameter("org_id", str),
        ],
        curl=f'curl {_KEY} "$URL/api/v1/inbox?unread=true"',
        tag="me",
    )
    def get(self, request: Request) -> Response:
        user = permissions.user_of(request)
        limit = lists.limit_of(request)
        rows = inbox.rows(
            user=user,
            unread=lists.choice(request, "unread", of=("true", "false")) == "true",
            kind=lists.choice(request, "kind", of=[kind.value for kind in Kind]),
            organization=_organization(request, request.query_params.get("org_id")),
        )
        before = lists.cursor_of(request, str)
        if before is not None:
            rows = rows.filter(pk__lt=_id(before, "cursor"))
        found = list(rows[: limit + 1])
        return Response(lists.cursor_answer(found, limit=limit, key=lambda row: str(row.pk), show=_line))


class Read(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Mark my notices as read",
        request=ToRead,
        answers={200: WasRead},
        errors=[403, 409],
        curl=f"""curl -X POST {_KEY} {_JSON} -d '{{"all": true}}' $URL/api/v1/inbox/read""",
        tag="me",
    )
    def post(self, request: Request) -> Response:
        user, bound = permissions.user_of(request), _organization(request, None)
        with Fields(body_of(request)) as fields:
            ids = [_id(one, "ids") for one in fields.texts("ids")]
            if fields.flag("all") == bool(ids):
                fields.wrong["ids"] = "Either ids or all is needed."

        def run() -> tuple[int, Any]:
            read = inbox.read(user=user, ids=ids or None, now=timezone.now(), organization=bound)
            return 200, {"read": read, "unread": inbox.unread(user=user)}

        return idempotency.once(request, run)


class Preferences(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Show which notices I get by e-mail",
        answers={200: SwitchList},
        errors=[403],
        curl=f"curl {_KEY} $URL/api/v1/inbox/preferences",
        tag="me",
    )
    def get(self, request: Request) -> Response:
        return Response(_switches(request))

    @operation(
        summary="Choose which notices I get by e-mail",
        request=Switches,
        answers={200: SwitchList},
        errors=[403, 409],
        curl=f"""curl -X PUT {_KEY} {_JSON} -d '{{"off": ["runway"]}}' $URL/api/v1/inbox/preferences""",
        tag="me",
    )
    def put(self, request: Request) -> Response:
        user = permissions.user_of(request)
        with Fields(body_of(request)) as fields:
            named = fields.texts("off")
            if not fields.was_given("off"):
                fields.wrong["off"] = "This is needed."
            offered = {kind for kinds in preferences.offered(user=user).values() for kind in kinds}
            if unknown := sorted(set(named) - offered):
                fields.wrong["off"] = f"There is no kind {unknown[0][:40]}."

        def run() -> tuple[int, Any]:
            preferences.switch_off(user=user, kinds=[Kind(one) for one in named])
            return 200, _switches(request)

        return idempotency.once(request, run)


def _organization(request: Request, org_id: str | None) -> Organization | None:
    """Return the organization asked for; a key that is bound to one sees and marks that one's notices only."""
    if org_id is None and permissions.caller_of(request).organization_id is None:
        return None
    return permissions.organization_of(request, org_id)


def _id(given: str, name: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise ValidationError(**{name: "This names no notice."}) from None


def _line(notice: Notice) -> dict[str, Any]:
    kept = ("kind", "level", "title", "lines", "action", "path", "created_at", "read_at", "mail")
    organization = notice.organization
    return {
        "id": notice.pk,
        "organization_id": organization.public_id if organization else None,
        **{name: getattr(notice, name) for name in kept},
    }


def _switches(request: Request) -> dict[str, Any]:
    user = permissions.user_of(request)
    off = preferences.off(user=user)
    return {
        "data": [
            {"kind": kind.value, "about": DESCRIPTIONS[kind], "mail": kind not in off}
            for kinds in preferences.offered(user=user).values()
            for kind in kinds
        ]
    }

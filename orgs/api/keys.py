"""`/orgs/{org_id}/keys` and `/me/keys`: keys are issued, seen without their text, and revoked."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.errors import NotFound, PermissionDenied, ValidationError
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs.access import idempotency, keys, permissions
from orgs.access.callers import Caller
from orgs.access.capabilities import Capability
from orgs.api import bodies, finding, shapes
from orgs.models import AccessKey, Membership, Organization

_SCOPES = {"GET": "org:read", "POST": "org:write", "DELETE": "org:write"}
_CURL = '-H "Authorization: Bearer $KEY" $URL/api/v1'
_NEW = """-H 'Content-Type: application/json' -d '{"name": "CI", "scopes": ["usage:write"]}'"""


class Keys(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List my keys in an organization; who administers it sees all of its keys",
        answers={200: list_of(shapes.Key)},
        errors=[400, 403, 404, 422],
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl {_CURL}/orgs/$ORG/keys",
        tag="keys",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        return Response(lists.paged(request, _visible(permissions.caller_of(request), organization), line))

    @operation(
        summary="Issue a key; its text is in this answer alone",
        request=bodies.NewKey,
        answers={201: shapes.IssuedKey},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"curl {_NEW} {_CURL}/orgs/$ORG/keys",
        tag="keys",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization, caller = permissions.organization_of(request, org_id), permissions.caller_of(request)
        body = bodies.NewKey.read(body_of(request))
        _refuse_wider(caller, body.scopes)

        def run() -> tuple[int, Any]:
            return 201, _issued(_issue(request, organization, body))

        return idempotency.once(request, run, secret="key")  # noqa: S106 - the name of a field


class OneKey(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Revoke a key at once",
        answers={204: None},
        errors=[400, 403, 404, 409],
        curl=f"curl -X DELETE {_CURL}/orgs/$ORG/keys/$KEY_ID",
        tag="keys",
    )
    def delete(self, request: Request, org_id: str, key_id: str) -> Response:
        organization, caller = permissions.organization_of(request, org_id), permissions.caller_of(request)
        key = finding.key(organization, key_id)
        if not _visible(caller, organization).filter(pk=key.pk).exists():
            raise NotFound("There is no such key.", key_id=key_id)

        def run() -> tuple[int, Any]:
            keys.revoke(key=key, by=caller.actor)
            return 204, None

        return idempotency.once(request, run)


class MyKeys(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List my personal keys",
        answers={200: list_of(shapes.Key)},
        errors=[403, 422],
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl {_CURL}/me/keys",
        tag="keys",
    )
    def get(self, request: Request) -> Response:
        rows = AccessKey.objects.filter(kind=AccessKey.Kind.PERSONAL, user=permissions.user_of(request))
        return Response(lists.paged(request, rows.select_related("user").order_by("-pk"), line))

    @operation(
        summary="Issue a personal key: me, in any of my organizations",
        request=bodies.NewPersonalKey,
        answers={201: shapes.IssuedKey},
        errors=[400, 403, 409, 415, 422],
        curl=f"curl {_NEW} {_CURL}/me/keys",
        tag="keys",
    )
    def post(self, request: Request) -> Response:
        caller, user = permissions.caller_of(request), permissions.user_of(request)
        if caller.organization_id is not None:
            raise PermissionDenied("A key of one organization issues none that reaches the others.")
        body = bodies.NewPersonalKey.read(body_of(request))
        _refuse_wider(caller, body.scopes)

        def run() -> tuple[int, Any]:
            return 201, _issued(keys.issue_personal(user=user, terms=body.terms(), by=caller.actor))

        return idempotency.once(request, run, secret="key")  # noqa: S106 - the name of a field


class OneOfMyKeys(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Revoke a personal key at once",
        answers={204: None},
        errors=[403, 404, 409],
        curl=f"curl -X DELETE {_CURL}/me/keys/$KEY_ID",
        tag="keys",
    )
    def delete(self, request: Request, key_id: str) -> Response:
        caller, user = permissions.caller_of(request), permissions.user_of(request)
        mine = AccessKey.objects.filter(kind=AccessKey.Kind.PERSONAL, user=user)
        key = mine.filter(public_id=permissions.public_id(key_id, "key")).first()
        if key is None:
            raise NotFound("There is no such key.", key_id=key_id)

        def run() -> tuple[int, Any]:
            keys.revoke(key=key, by=caller.actor)
            return 204, None

        return idempotency.once(request, run)


def line(key: AccessKey) -> dict[str, Any]:
    """Return a key as it is shown after it was issued: without its text."""
    return {
        "id": key.public_id,
        "name": key.name,
        "kind": key.kind,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "user_id": key.user.public_id if key.user else None,
        "allowed_addresses": key.allowed_addresses,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _issued(issued: keys.Issued) -> dict[str, Any]:
    return {**line(issued.key), "key": issued.text}


def _visible(caller: Caller, organization: Organization) -> QuerySet[AccessKey]:
    rows = AccessKey.objects.filter(organization=organization).select_related("user").order_by("-pk")
    if permissions.allows(caller, organization, Capability.ADMINISTER):
        return rows
    return rows.filter(user=caller.user) if caller.user else rows.none()


def _issue(request: Request, organization: Organization, body: bodies.NewKey) -> keys.Issued:
    """Issue what may be issued: one's own key, a service member's or the organization's; nobody else's."""
    caller = permissions.caller_of(request)
    if body.kind == AccessKey.Kind.ORGANIZATION:
        permissions.require(request, organization, Capability.ADMINISTER)
        if body.user_id is not None:
            raise ValidationError(user_id="An organization's key is nobody's.")
        return keys.issue_for_organization(
            organization=organization, terms=body.terms(), by=caller.actor, issuer=caller.user
        )
    if body.kind != AccessKey.Kind.MEMBERSHIP:
        raise ValidationError(kind="Here membership and organization keys are issued.")
    membership = _bearer(request, organization, body.user_id)
    return keys.issue_for_membership(
        membership=membership, terms=body.terms(), by=caller.actor, issuer=caller.user
    )


def _bearer(request: Request, organization: Organization, user_id: str | None) -> Membership:
    """Return whose key it will be: the caller, or a service member for who administers."""
    user = permissions.caller_of(request).user
    if user_id is None or (user is not None and user.public_id == user_id):
        return finding.member(organization, permissions.user_of(request).public_id)
    permissions.require(request, organization, Capability.ADMINISTER)
    membership = finding.member(organization, user_id)
    if not membership.user.is_service:
        raise PermissionDenied("A key acts as its member, so only that person issues it.")
    return membership


def _refuse_wider(caller: Caller, scopes: list[str]) -> None:
    wider = sorted(set(scopes) - caller.scopes)
    if wider:
        raise ValidationError(
            scopes=f"A key issues no scope that it lacks or that is unknown: {', '.join(wider)}."
        )

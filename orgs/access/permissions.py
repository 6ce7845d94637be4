"""What a caller of the API may reach and do: scopes, the organization a request is about, capabilities."""

import re
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from kit.errors import InvalidRequest, NotFound, PermissionDenied, Unauthorized
from orgs.access import capabilities
from orgs.access.callers import SESSION, Caller
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Department, Membership, Organization, User

if TYPE_CHECKING:  # DRF imports this module while it loads its views
    from rest_framework.views import APIView

_PUBLIC_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADMIN = Membership.Role.ADMIN


class HasScope(BasePermission):
    """A caller is known (else 401) and its key has the scope the view asks for (else 403).

    A view names them by method, `required_scopes = {"GET": "org:read", "POST": "org:write"}`, or one for all.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = caller_of(request)
        needed = getattr(view, "required_scopes", None)
        method = request.method or "GET"
        scope = needed.get(method, needed.get("GET")) if isinstance(needed, dict) else needed
        if method == "OPTIONS" or scope is None or scope in caller.scopes:
            return True
        raise PermissionDenied(f"The key lacks the scope {scope}.", scope=scope)


def caller_of(request: Request) -> Caller:
    """Return the caller; raises Unauthorized (401) where there is none."""
    if not isinstance(request.auth, Caller):
        raise Unauthorized("Sign in, or send `Authorization: Bearer <key>`.")
    return request.auth


def user_of(request: Request) -> User:
    """Return the person or service member that calls; raises PermissionDenied for a key that is nobody."""
    user = caller_of(request).user
    if user is None:
        raise PermissionDenied("This needs a user; the key is nobody's.")
    return user


def visible_organizations(caller: Caller) -> QuerySet[Organization]:
    """Return the organizations that a caller may know of.

    A system admin's power over all of them is for the browser and platform keys; no other key lends it out.
    """
    if caller.organization_id is not None:
        mine = Organization.objects.filter(pk=caller.organization_id)
        return mine.exclude(status=Organization.Status.ARCHIVED)
    if caller.kind == AccessKey.Kind.PLATFORM:
        return Organization.objects.all()
    if caller.user is None:
        return Organization.objects.none()
    if caller.kind == SESSION:
        return Organization.objects.visible_to(caller.user)
    return Organization.objects.of_member(caller.user)


def organization_of(request: Request, org_id: str | None = None, *also: str | None) -> Organization:
    """Return the organization that path, body (`also`) and `X-Organization` name, or that the key is bound to.

    Raises InvalidRequest (400) where they differ or none does, NotFound (404) where the caller may not know of it.
    """
    caller = caller_of(request)
    named = {one for one in (org_id, *also, request.headers.get("X-Organization")) if one}
    if len(named) > 1:
        raise InvalidRequest(
            "Path, body and X-Organization name different organizations.", organizations=sorted(named)
        )
    visible = visible_organizations(caller)
    if named:
        visible = visible.filter(public_id=public_id(named.pop(), "organization"))
    elif caller.organization_id is None:
        raise InvalidRequest("Name an organization: org_id, or the header X-Organization.")
    found = visible.first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def organization_for(request: Request, org_id: str | None, capability: Capability) -> Organization:
    """Return the organization that is named, if the caller may do this in all of it; raises also PermissionDenied."""
    found = organization_of(request, org_id)
    require(request, found, capability)
    return found


def public_id(given: str, what: str) -> str:
    """Return an id that may be looked up; raises NotFound for what cannot be one (NUL would reach SQL otherwise)."""
    if _PUBLIC_ID.fullmatch(given) is None:
        raise NotFound(f"There is no such {what}.")
    return given


def acting_role(caller: Caller, organization: Organization) -> Membership.Role | None:
    """Return the role a caller acts with: organization keys as admins, platform keys and system admins as owners."""
    if caller.kind == AccessKey.Kind.PLATFORM:
        return Membership.Role.OWNER
    if caller.kind == AccessKey.Kind.ORGANIZATION:
        return _ADMIN if caller.organization_id == organization.pk else None
    if caller.user is None:
        return None
    if caller.kind == SESSION:
        return capabilities.acting_role(user=caller.user, organization=organization)
    return capabilities.role_of(user=caller.user, organization=organization)


def allows(
    caller: Caller,
    organization: Organization,
    capability: Capability,
    *,
    department: Department | None = None,
) -> bool:
    """Tell whether the caller may; `department` asks for that part of the organization only."""
    role = acting_role(caller, organization)
    if role is None:
        return False
    if capabilities.role_allows(role=role, capability=capability):
        return True
    if caller.user is None or department is None:
        return False
    managed = capabilities.managed_departments(
        user=caller.user, organization=organization, capability=capability
    )
    return department in managed


def require(
    request: Request,
    organization: Organization,
    capability: Capability,
    *,
    department: Department | None = None,
) -> Membership.Role:
    """Return the role the caller acts with; raises PermissionDenied (403) without the capability."""
    caller = caller_of(request)
    role = acting_role(caller, organization)
    if role is None or not allows(caller, organization, capability, department=department):
        raise PermissionDenied("Your role does not allow this.", capability=capability.value)
    return role

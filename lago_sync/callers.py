"""Whose a request is, for guards and middleware: the organization that it names or that its caller is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from kit.errors import InvalidRequest, NotFound
from lago_sync.functions import boundary
from orgs import organizations
from orgs.access import permissions
from orgs.access.callers import Caller
from orgs.models import Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, for which organization; `organization` is None where the request is nobody's."""

    organization: Organization | None
    user_id: str | None
    principal: str


def of(request: HttpRequest, named: Mapping[str, Any]) -> Asking:
    """Tell who asks. `named` are the arguments of the view: `org_id` (public id) or `slug` names the organization.

    What the application put on the request as `organization` (one, or its public id) counts first; then the view's
    arguments and the header X-Organization; then the organization of the key, or the one that the user works for now.
    An API view's caller is known once it was authenticated. Raises InvalidRequest where two are named, NotFound for one
    that the caller may not know of.
    """
    caller = getattr(request, "auth", None)
    caller = caller if isinstance(caller, Caller) else None
    user = caller.user if caller is not None else _signed_in(request)
    return Asking(
        organization=_organization(request, named, caller, user),
        user_id=user.public_id if user is not None else None,
        principal=caller.principal if caller is not None else f"user:{user.public_id if user else ''}",
    )


def _organization(
    request: HttpRequest, named: Mapping[str, Any], caller: Caller | None, user: User | None
) -> Organization | None:
    given = getattr(request, "organization", None)
    if given is not None:
        return given if isinstance(given, Organization) else boundary.organization(given)
    asked = _named(request, named)
    if caller is None and user is None:
        return None
    if asked:
        return _visible(asked, caller, user)
    if caller is not None and caller.organization_id is not None:
        return permissions.visible_organizations(caller).first()
    return organizations.active_for(user=user) if user is not None else None


def _named(request: HttpRequest, named: Mapping[str, Any]) -> dict[str, str]:
    """Return how the request names an organization: by public id, by address, or not."""
    ids = {str(one) for one in (named.get("org_id"), request.headers.get("X-Organization")) if one}
    if len(ids) > 1:
        raise InvalidRequest("The request names different organizations.", organizations=sorted(ids))
    if ids:
        return {"public_id": permissions.public_id(ids.pop(), "organization")}
    return {"slug": str(named["slug"])} if named.get("slug") else {}


def _visible(asked: Mapping[str, str], caller: Caller | None, user: User | None) -> Organization:
    if caller is not None:
        visible = permissions.visible_organizations(caller)
    else:
        visible = Organization.objects.visible_to(user) if user is not None else Organization.objects.none()
    found = visible.filter(**asked).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def _signed_in(request: HttpRequest) -> User | None:
    user = getattr(request, "user", None)
    return user if isinstance(user, User) and user.is_active else None

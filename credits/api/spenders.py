"""Whose money: from the key and the named ids to the organization and member that a request is about (product.md §6).

The hot path asks nothing of the database here: public ids never change, so what they stand for is remembered, and
whether the member, key and organization may spend is read after the lock by `credits.ledger.standing`.
"""

from typing import Final, TypeVar
from uuid import UUID

from rest_framework.request import Request

from credits.ledger.commands import Reach, Spender
from kit.errors import InvalidRequest, NotFound, PermissionDenied
from orgs import organizations
from orgs.access import permissions
from orgs.access.callers import SESSION, Caller
from orgs.models import AccessKey, Organization, User

_Key = TypeVar("_Key")

_MOST: Final = 100_000
_organizations: dict[str, int] = {}
_users: dict[str, UUID] = {}

_NAMES_USERS: Final = frozenset({AccessKey.Kind.PLATFORM, AccessKey.Kind.ORGANIZATION})


def organization_of(request: Request, caller: Caller, named: str | None, *, may_follow_active: bool) -> int:
    """Return the key of the organization that pays.

    Raises InvalidRequest (400) where none or two are named, NotFound where the key is bound to another one.
    """
    header = request.headers.get("X-Organization")
    if named and header and named != header:
        raise InvalidRequest(
            "Body and X-Organization name different organizations.", organizations=[named, header]
        )
    public_id = named or header
    if public_id is not None:
        found = _organization_key(public_id)
        if caller.organization_id not in (None, found):
            raise NotFound("There is no such organization.")
        return found
    if caller.organization_id is not None:
        return caller.organization_id
    if caller.user is not None and (may_follow_active or caller.kind == SESSION):
        user = User.objects.get(pk=caller.user.pk)  # the key's own row may be seconds old, the switch is not
        return organizations.active_for(user=user).pk
    raise InvalidRequest("Name an organization: org_id, or the header X-Organization.")


def spender_of(caller: Caller, named_user: str | None) -> Spender:
    """Return whose use it is: the key's own member, or the one that a platform or organization key names."""
    if named_user is None:
        user = caller.user.pk if caller.user is not None else None
    elif caller.kind in _NAMES_USERS:
        user = _user_key(named_user)
    elif caller.user is not None and caller.user.public_id == named_user:
        user = caller.user.pk
    else:
        raise PermissionDenied("This key may not name another member.")
    return Spender(made_by=caller.actor.public_id, key_id=caller.key_id, user_id=user)


def reach_of(caller: Caller) -> tuple[Reach, int | None]:
    """Return whose holds the caller may end, and within which organization."""
    if caller.kind == AccessKey.Kind.PLATFORM:
        return Reach.ANY, None
    if caller.kind == AccessKey.Kind.ORGANIZATION:
        return Reach.ORGANIZATION, caller.organization_id
    return Reach.OWN, caller.organization_id


def require_believed(caller: Caller, *, byok: bool, after_the_fact: bool) -> None:
    """Raise PermissionDenied for a claim that this kind of key is not believed in."""
    if byok and caller.kind not in _NAMES_USERS:
        raise PermissionDenied("Only platform and organization keys may say byok.")
    if after_the_fact and caller.kind != AccessKey.Kind.PLATFORM:
        raise PermissionDenied("Only platform keys may charge after the fact.")


def require_platform(caller: Caller) -> None:
    """Raise PermissionDenied for anything but a platform key."""
    if caller.kind != AccessKey.Kind.PLATFORM:
        raise PermissionDenied("This needs a platform key.")


def _organization_key(public_id: str) -> int:
    found = _organizations.get(public_id)
    if found is None:
        public_id = permissions.public_id(public_id, "organization")
        row = Organization.objects.filter(public_id=public_id).values_list("pk", flat=True).first()
        if row is None:
            raise NotFound("There is no such organization.")
        found = _remember(_organizations, public_id, row)
    return found


def _user_key(public_id: str) -> UUID:
    found = _users.get(public_id)
    if found is None:
        public_id = permissions.public_id(public_id, "user")
        row = User.objects.filter(public_id=public_id).values_list("pk", flat=True).first()
        if row is None:
            raise NotFound("There is no such user.")
        found = _remember(_users, public_id, row)
    return found


def _remember(known: dict[str, _Key], public_id: str, key: _Key) -> _Key:
    if len(known) >= _MOST:
        known.clear()
    known[public_id] = key
    return key

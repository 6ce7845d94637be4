"""What ids of the path and body name, inside an organization; 404 for what is not there."""

from collections.abc import Iterable

from kit.errors import NotFound
from orgs.access.permissions import public_id
from orgs.models import AccessKey, Department, Membership, Organization


def member(organization: Organization, user_id: str) -> Membership:
    """Return the live membership of a user; raises NotFound."""
    rows = Membership.objects.live().select_related("user", "department", "organization")
    found = rows.filter(organization=organization, user__public_id=public_id(user_id, "member")).first()
    if found is None:
        raise NotFound("There is no such member.", user_id=user_id)
    return found


def members(organization: Organization, user_ids: Iterable[str]) -> list[Membership]:
    """Return the live memberships of all these users; raises NotFound for the first that is none."""
    return [member(organization, user_id) for user_id in dict.fromkeys(user_ids)]


def department(organization: Organization, department_id: str) -> Department:
    """Return a live department; raises NotFound."""
    rows = Department.objects.live().filter(organization=organization)
    found = rows.filter(public_id=public_id(department_id, "department")).first()
    if found is None:
        raise NotFound("There is no such department.", department_id=department_id)
    return found


def key(organization: Organization, key_id: str) -> AccessKey:
    """Return a key of the organization, revoked ones too; raises NotFound."""
    rows = AccessKey.objects.select_related("user", "organization", "membership")
    found = rows.filter(organization=organization, public_id=public_id(key_id, "key")).first()
    if found is None:
        raise NotFound("There is no such key.", key_id=key_id)
    return found

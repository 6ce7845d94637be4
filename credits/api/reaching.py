"""How far the caller of the API reaches; what that means is `credits.sharing.reach`'s."""

from collections.abc import Collection

from rest_framework.request import Request

from credits.sharing import reach
from credits.sharing.reach import Reach
from kit.errors import PermissionDenied
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.models import Organization, User


def of(request: Request, organization: Organization) -> Reach | None:
    """Return how far the caller reaches; None for who may share out nothing."""
    caller = permissions.caller_of(request)
    role = permissions.acting_role(caller, organization)
    return reach.of_caller(role=role, user=caller.user, organization=organization)


def require(request: Request, organization: Organization, users: Collection[User]) -> Reach:
    """Return how far the caller reaches; raises PermissionDenied unless that is as far as all of these members."""
    found = of(request, organization)
    if found is None or not found.covers(users):
        raise PermissionDenied("Your role does not allow this.", capability=Capability.ALLOCATE.value)
    return found

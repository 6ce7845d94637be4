"""How far the visitor of a page reaches; what that means is `credits.sharing.reach`'s."""

from django.core.exceptions import PermissionDenied

from credits.sharing import reach
from credits.sharing.reach import Reach
from orgs.models import Organization, User


def of(*, user: User, organization: Organization) -> Reach:
    """Return how far the visitor reaches; raises PermissionDenied (403) for who may share out nothing."""
    found = reach.of_user(user=user, organization=organization)
    if found is None:
        raise PermissionDenied
    return found

"""Who acts in the admin, as the audit log names them."""

from django.http import HttpRequest

from orgs.access import addresses, callers
from orgs.audit.events import Actor
from orgs.models import User


def actor(request: HttpRequest) -> Actor:
    """Return the signed-in system admin."""
    assert isinstance(request.user, User)  # noqa: S101 - admin pages have a signed-in user
    return callers.actor_of(user=request.user, address=addresses.client_address(request))

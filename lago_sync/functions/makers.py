"""Organizations that a caller of the Python API speaks of before the portal knows them."""

from kit import transactions
from kit.errors import AlreadyExists
from lago_sync.functions.boundary import actor, organization, user
from lago_sync.migration import accounts
from orgs import organizations
from orgs.models import Organization


def found_or_made(*, org_id: str, org_name: str, email: str, user_id: str | None) -> Organization:
    """Return the organization with this id, made under it where there is none; two at once make one.

    It belongs to the user `user_id`, else to whoever has the e-mail, who gets an account and sets a password by the
    reset page. Raises ValidationError for an id that is none (`org_…`), a name or an address that is none.
    """
    found = organization(org_id)
    if found is not None:
        return found
    organizations.checked_id(org_id)
    by = actor(user_id)
    try:
        with transactions.durable():
            owner = user(user_id) or accounts.owner_at(email=email, name="", by=by)
            return organizations.create(name=org_name, owner=owner, by=by, public_id=org_id)
    except AlreadyExists:
        other = organization(org_id)
        if other is None:  # it is archived: its id is not given to another
            raise
        return other

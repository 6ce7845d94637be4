"""Finding the organization that a command line names."""

from django.core.management.base import CommandError
from django.db.models import Q

from orgs.models import Organization


def organization_named(name: str) -> Organization:
    """Return the organization of this public id or slug; raises CommandError where there is none."""
    found = Organization.objects.filter(Q(public_id=name) | Q(slug=name)).first()
    if found is None:
        raise CommandError(f"There is no organization {name!r}; give its public id (org_…) or slug.")
    return found

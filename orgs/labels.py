"""What people call the things that the audit log names by public id: persons, departments, keys, organizations."""

from collections.abc import Iterable
from typing import Final

from django.db.models import Q

from orgs.models import AccessKey, Department, Organization, User

_MOST_FOUND: Final = 500
"""Names that a search narrows to; a search that finds more is no search."""


def of(public_ids: Iterable[str]) -> dict[str, str]:
    """Return the name of each id that is one; four queries at most, however many there are."""
    by_kind: dict[str, set[str]] = {}
    for public_id in public_ids:
        by_kind.setdefault(public_id.partition("_")[0], set()).add(public_id)
    found: dict[str, str] = {}
    if people := by_kind.get("usr"):
        rows = User.objects.filter(public_id__in=people).values_list("public_id", "name", "email")
        found |= {public_id: name or email or "Service member" for public_id, name, email in rows}
    if keys := by_kind.get("key"):
        keyed = AccessKey.objects.filter(public_id__in=keys).values_list("public_id", "name")
        found |= {public_id: f"Key “{name}”" for public_id, name in keyed}
    if parts := by_kind.get("dep"):
        departments = Department.objects.filter(public_id__in=parts)
        found |= dict(departments.values_list("public_id", "name"))
    if teams := by_kind.get("org"):
        found |= dict(Organization.objects.filter(public_id__in=teams).values_list("public_id", "name"))
    return found


def named(*, organization: Organization, text: str) -> set[str]:
    """Return the ids of the organization's people, past ones too, departments and keys whose name has the text."""
    people = User.objects.filter(
        Q(name__icontains=text) | Q(email__icontains=text), memberships__organization=organization
    )
    departments = Department.objects.filter(organization=organization, name__icontains=text)
    keys = AccessKey.objects.filter(organization=organization, name__icontains=text)
    rows = (people, departments, keys)
    return {one for found in rows for one in found.values_list("public_id", flat=True)[:_MOST_FOUND]}

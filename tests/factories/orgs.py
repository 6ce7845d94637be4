"""Makes people, organizations and keys for tests, through the verbs of `orgs`; only what matters is said at the call."""

import itertools
from typing import Any

from django.db import transaction

from orgs import departments, memberships, organizations
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Department, Membership, Organization, User

Role = Membership.Role
_numbers = itertools.count(1)


def user(name: str = "Somebody", **fields: Any) -> User:
    """Make a person with the password `pass`."""
    number = next(_numbers)
    email = fields.pop("email", f"{name.split(maxsplit=1)[0].lower()}{number}@example.com")
    return User.objects.create_user(email, "pass", name=name, **fields)


def system_admin() -> User:
    return user("Sys Admin", is_staff=True)


def team(name: str = "Acme", *, owner: User | None = None) -> Organization:
    with transaction.atomic():
        return organizations.create(name=name, owner=owner or user("Olive Owner"), by=SYSTEM)


def member(
    organization: Organization,
    role: str = Role.MEMBER,
    *,
    who: User | None = None,
    department: Department | None = None,
) -> Membership:
    with transaction.atomic():
        return memberships.add(
            organization=organization,
            user=who or user(f"{role.title()} Person"),
            role=role,
            by=SYSTEM,
            acting_as=Role.OWNER,
            department=department,
        )


def department(
    organization: Organization, name: str = "Engineering", *, manager: Membership | None = None
) -> Department:
    with transaction.atomic():
        made = departments.create(organization=organization, name=name, by=SYSTEM)
        if manager is not None:
            departments.add_manager(department=made, membership=manager, by=SYSTEM)
    return made


def manage(department: Department, membership: Membership) -> None:
    with transaction.atomic():
        departments.add_manager(department=department, membership=membership, by=SYSTEM)


def membership_key(membership: Membership, *scopes: str, **terms: Any) -> keys.Issued:
    with transaction.atomic():
        return keys.issue_for_membership(membership=membership, terms=_terms(scopes, terms), by=SYSTEM)


def personal_key(of: User, *scopes: str, **terms: Any) -> keys.Issued:
    with transaction.atomic():
        return keys.issue_personal(user=of, terms=_terms(scopes, terms), by=SYSTEM)


def organization_key(organization: Organization, *scopes: str, **terms: Any) -> keys.Issued:
    with transaction.atomic():
        return keys.issue_for_organization(organization=organization, terms=_terms(scopes, terms), by=SYSTEM)


def platform_key(*scopes: str, **terms: Any) -> keys.Issued:
    with transaction.atomic():
        return keys.issue_platform(terms=_terms(scopes, terms), by=SYSTEM)


def _terms(scopes: tuple[str, ...], terms: dict[str, Any]) -> keys.Terms:
    """Return terms with all scopes unless some are said."""
    return keys.Terms(name="a key", scopes=scopes or tuple(AccessKey.Scope.values), **terms)

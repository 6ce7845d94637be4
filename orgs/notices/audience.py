"""Who is told: people of an organization by what they may do there (product.md §10), and system admins."""

from django.db.models import Q

from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Department, Membership, Organization, User


def admins(organization: Organization) -> list[User]:
    """Return the owners, admins and billing admins; of a personal organization, its person."""
    return _people(organization, _may(Capability.BUY))


def allocators(organization: Organization, department: Department | None) -> list[User]:
    """Return who may share out the credits of the pool of `department` (None: of the organization): its managers too."""
    may = _may(Capability.ALLOCATE)
    if department is not None:
        may |= Q(memberships__management__department=department)
    return _people(organization, may)


def managers(department: Department) -> list[User]:
    """Return the managers of a department who are members of its organization now."""
    return _people(department.organization, Q(memberships__management__department=department))


def member(organization: Organization, public_id: str) -> list[User]:
    """Return the person of this public id if they belong to the organization now, else nobody."""
    return _people(organization, Q(public_id=public_id))


def system_admins() -> list[User]:
    """Return who may do everything, everywhere."""
    return list(User.objects.filter(is_staff=True, is_active=True, is_service=False).order_by("pk"))


def _may(capability: Capability) -> Q:
    roles = [one for one in Membership.Role if capabilities.role_allows(role=one, capability=capability)]
    return Q(memberships__role__in=roles)


def _people(organization: Organization, may: Q) -> list[User]:
    belongs = Q(memberships__organization=organization, memberships__ended_at=None)
    people = User.objects.filter(belongs & may, is_active=True, is_service=False)
    return list(people.distinct().order_by("pk"))

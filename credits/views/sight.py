"""Whose use a visitor may see: everybody's, that of the departments they manage, or their own (product.md §10)."""

from dataclasses import dataclass

from credits.reports.usage import Filters
from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Department, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """`managed` is None for who sees everybody's, else the visitor's departments, of which a plain member has none."""

    organization: Organization
    user: User
    managed: list[Department] | None

    @property
    def is_whole(self) -> bool:
        """Whether everybody's use is in sight."""
        return self.managed is None

    @property
    def is_own(self) -> bool:
        """Whether only the visitor's own is."""
        return self.managed == []

    def filters(self) -> Filters:
        """Return what may be counted."""
        if self.managed is None:
            return Filters()
        if not self.managed:
            return Filters(users=(self.user.pk,))
        return Filters(departments=tuple(one.pk for one in self.managed), own=self.user.pk)

    def departments(self) -> list[Department]:
        """Return the departments to filter by, archived ones too: their use stays."""
        if self.managed is not None:
            return self.managed
        return list(Department.objects.filter(organization=self.organization).order_by("name"))


def of(*, user: User, organization: Organization) -> Sight:
    """Return how much of an organization's use the visitor sees."""
    if capabilities.allows(user=user, organization=organization, capability=Capability.SEE_EVERYONES_USAGE):
        return Sight(organization=organization, user=user, managed=None)
    managed = capabilities.managed_departments(
        user=user, organization=organization, capability=Capability.SEE_EVERYONES_USAGE
    )
    return Sight(organization=organization, user=user, managed=managed)

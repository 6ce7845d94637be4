"""Whose credits a visitor may share out: the whole organization's, or those of the departments that they manage."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from credits.models import Allocation, CreditPool
from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Department, Membership, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`managed` is None for who may share out the whole organization's credits, else the visitor's departments."""

    organization: Organization
    managed: list[Department] | None

    def pools(self) -> QuerySet[CreditPool]:
        """Return the pools to give from, the organization's own first."""
        pools = CreditPool.objects.filter(organization=self.organization).select_related("department")
        if self.managed is not None:
            pools = pools.filter(department__in=self.managed)
        return pools.order_by(F("department__name").asc(nulls_first=True), "pk")

    def allocations(self) -> QuerySet[Allocation]:
        """Return the allocations to look at: those given from these pools."""
        rows = Allocation.objects.filter(organization=self.organization)
        return rows if self.managed is None else rows.filter(pool__department__in=self.managed)

    def members(self) -> QuerySet[Membership]:
        """Return the members to give to.

        For a manager those whose credits come from the department's own pool: it is funded, and no other pool gave
        them what they have now.
        """
        live = Membership.objects.live().filter(organization=self.organization)
        if self.managed is not None:
            given = Allocation.objects.filter(
                organization=self.organization, user=OuterRef("user"), closed_at__isnull=True
            )
            elsewhere = given.filter(Q(pool__department=None) | ~Q(pool__department=OuterRef("department")))
            live = live.filter(
                ~Exists(elsewhere), department__in=self.managed, department__credit_pool__isnull=False
            )
        return live.select_related("user", "department__credit_pool").order_by("user__name", "pk")

    def departments(self) -> list[Department]:
        """Return the departments to filter by."""
        if self.managed is not None:
            return self.managed
        return list(Department.objects.live().filter(organization=self.organization).order_by("name"))


def of(*, user: User, organization: Organization) -> Reach:
    """Return how far the visitor reaches; raises PermissionDenied (403) for who may share out nothing."""
    if capabilities.allows(user=user, organization=organization, capability=Capability.ALLOCATE):
        return Reach(organization=organization, managed=None)
    managed = capabilities.managed_departments(
        user=user, organization=organization, capability=Capability.ALLOCATE
    )
    if not managed:
        raise PermissionDenied
    return Reach(organization=organization, managed=managed)

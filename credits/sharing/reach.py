"""Who may share out whose credits: the whole organization's, or those of the departments that one manages (product.md §10).

Pages and API ask the same: `of_user` for a person who acts as themselves, `of_caller` where a key may stand between.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from credits.models import Allocation, CreditPool, CreditRequest
from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Department, Membership, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`managed` is None for who may share out the whole organization's credits, else their departments."""

    organization: Organization
    managed: list[Department] | None

    @property
    def is_whole(self) -> bool:
        """Whether the organization's own pool is within it."""
        return self.managed is None

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
        live: QuerySet[Membership] = Membership.objects.live().filter(organization=self.organization)
        if self.managed is not None:
            live = fed_by_department(live).filter(department__in=self.managed)
        return live.select_related("user", "department__credit_pool").order_by("user__name", "pk")

    def covers(self, users: Collection[User]) -> bool:
        """Tell whether credits may be given to all of them."""
        if self.managed is None:
            return True
        wanted = {user.pk for user in users}
        return self.members().filter(user__in=wanted).count() == len(wanted)

    def requests(self) -> QuerySet[CreditRequest]:
        """Return the requests to look at: waiting ones of members to give to, and what was decided in these departments."""
        rows = CreditRequest.objects.filter(organization=self.organization)
        if self.managed is not None:
            waiting = Q(
                status=CreditRequest.Status.PENDING, user__in=self.members().order_by().values("user")
            )
            decided = ~Q(status=CreditRequest.Status.PENDING) & Q(department__in=self.managed)
            rows = rows.filter(waiting | decided)
        return rows

    def departments(self) -> list[Department]:
        """Return the departments to filter by."""
        if self.managed is not None:
            return self.managed
        return list(Department.objects.live().filter(organization=self.organization).order_by("name"))


def of_user(*, user: User, organization: Organization) -> Reach | None:
    """Return how far somebody reaches; None for who may share out nothing."""
    role = capabilities.acting_role(user=user, organization=organization)
    return of_caller(role=role, user=user, organization=organization)


def of_caller(*, role: Membership.Role | None, user: User | None, organization: Organization) -> Reach | None:
    """Return how far one reaches who acts with this role, for this member (None: nobody's); None for nowhere."""
    if role is None:
        return None
    if capabilities.role_allows(role=role, capability=Capability.ALLOCATE):
        return Reach(organization=organization, managed=None)
    managed = (
        capabilities.managed_departments(user=user, organization=organization, capability=Capability.ALLOCATE)
        if user is not None
        else []
    )
    return Reach(organization=organization, managed=managed) if managed else None


def fed_by_department(members: QuerySet[Membership]) -> QuerySet[Membership]:
    """Return those whose credits come from their department's own pool."""
    given = Allocation.objects.filter(
        organization=OuterRef("organization"), user=OuterRef("user"), closed_at__isnull=True
    )
    elsewhere = given.filter(Q(pool__department=None) | ~Q(pool__department=OuterRef("department")))
    return members.filter(~Exists(elsewhere), department__credit_pool__isnull=False)

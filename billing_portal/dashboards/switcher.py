"""Which organizations a person can turn to, and which of them pays for their next call."""

from dataclasses import dataclass
from functools import cached_property

from django.db.models import Prefetch

from orgs import organizations
from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Membership, Organization, Subscription, User


@dataclass(frozen=True)
class Entry:
    """One organization of the list; `is_active` means that it pays for the next call."""

    organization: Organization
    role: str
    plan_name: str
    acts_as: Membership.Role
    is_active: bool = False

    @property
    def is_personal(self) -> bool:
        """Whether it is the person's own."""
        return self.organization.kind == Organization.Kind.PERSONAL

    @property
    def summary(self) -> str:
        """Return plan and role in a few words."""
        who = "Personal" if self.is_personal else self.role
        return f"{self.plan_name} · {who}"


class Switcher:
    """The list in the sidebar. It asks the database only when a template looks at it, so JSON and errors pay nothing."""

    def __init__(self, *, user: User, slug: str | None) -> None:
        self._user = user
        self._slug = slug

    @cached_property
    def entries(self) -> list[Entry]:
        """Return the person's organizations: the active one is marked, teams come first, by name."""
        active = organizations.active_for(user=self._user)
        memberships = (
            Membership.objects.live()
            .filter(user=self._user)
            .exclude(organization__status=Organization.Status.ARCHIVED)
            .select_related("organization")
            .prefetch_related(live_subscriptions("organization__subscriptions"))
            .order_by("-organization__kind", "organization__name", "pk")
        )
        return [
            Entry(
                organization=membership.organization,
                role=membership.get_role_display(),
                plan_name=plan_name(membership.organization),
                acts_as=self._acts_as(membership),
                is_active=membership.organization_id == active.pk,
            )
            for membership in memberships
        ]

    @cached_property
    def current(self) -> Entry | None:
        """Return the organization of the page, else the active one. Staff may look at one they are no member of."""
        for entry in self.entries:
            if entry.organization.slug == self._slug:
                return entry
        visited = (
            Organization.objects.visible_to(self._user).filter(slug=self._slug).first()
            if self._slug
            else None
        )
        if visited:
            return Entry(
                organization=visited,
                role="System admin",
                plan_name=plan_name(visited),
                acts_as=Membership.Role.OWNER,
            )
        return next((entry for entry in self.entries if entry.is_active), None)

    @cached_property
    def may_buy(self) -> bool:
        """Whether the person may buy credits for the current organization."""
        return self._allows(Capability.BUY)

    @cached_property
    def may_administer(self) -> bool:
        """Whether the person may change who belongs to the current organization, and read its audit log."""
        return self._allows(Capability.ADMINISTER)

    @cached_property
    def may_allocate(self) -> bool:
        """Whether the person may share out credits of the current organization, or of a department of it."""
        current = self.current
        if current is None or current.is_personal:
            return False
        return self._allows(Capability.ALLOCATE) or bool(
            capabilities.managed_departments(
                user=self._user, organization=current.organization, capability=Capability.ALLOCATE
            )
        )

    def _allows(self, capability: Capability) -> bool:
        return self.current is not None and capabilities.role_allows(
            role=self.current.acts_as, capability=capability
        )

    def _acts_as(self, membership: Membership) -> Membership.Role:
        is_staff = capabilities.is_system_admin(self._user)
        return Membership.Role.OWNER if is_staff else Membership.Role(membership.role)


def live_subscriptions(path: str) -> Prefetch[str]:
    """Return the prefetch of the subscriptions at `path`, for `plan_name`."""
    live = Subscription.objects.filter(ended_at__isnull=True).select_related("plan")
    return Prefetch(path, queryset=live)


def plan_name(organization: Organization) -> str:
    """Return the name of the plan that an organization is on now."""
    return next(
        (one.plan.name for one in organization.subscriptions.all() if one.ended_at is None), "No plan"
    )

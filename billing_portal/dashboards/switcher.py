"""Which organizations a person can turn to, and which of them pays for their next call."""

from dataclasses import dataclass
from functools import cached_property

from django.db.models import Prefetch

from orgs import organizations
from orgs.models import Membership, Organization, Subscription, User


@dataclass(frozen=True)
class Entry:
    """One organization of the list; `is_active` means that it pays for the next call."""

    organization: Organization
    role: str
    plan_name: str
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
            .prefetch_related(_live_subscriptions())
            .order_by("-organization__kind", "organization__name", "pk")
        )
        return [
            Entry(
                organization=membership.organization,
                role=membership.get_role_display(),
                plan_name=_plan_name(membership.organization),
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
            return Entry(organization=visited, role="System admin", plan_name=_plan_name(visited))
        return next((entry for entry in self.entries if entry.is_active), None)


def _live_subscriptions() -> Prefetch[str]:
    live = Subscription.objects.filter(ended_at__isnull=True).select_related("plan")
    return Prefetch("organization__subscriptions", queryset=live)


def _plan_name(organization: Organization) -> str:
    return next(
        (one.plan.name for one in organization.subscriptions.all() if one.ended_at is None), "No plan"
    )

"""Whom the load test charges: one organization's pool, 1,000 allocations of another, and twenty that go on beside a stuck one."""

from decimal import Decimal
from typing import Final

from django.core.management import call_command
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from bench.load import ALLOCATIONS, Place
from bench.load_clients import Target
from credits.ledger import grants
from credits.models import Allocation, CreditPool, Grant
from credits.sharing import allocations
from credits.sharing.allocations import Mode, Share
from kit import transactions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import AccessKey, Membership, Organization, Plan, Subscription, User

_OTHERS: Final = 20


class LoadWorld:
    """Migrated and filled; `key` is a platform key."""

    def __init__(self) -> None:
        call_command("migrate", verbosity=0)
        call_command("migrate", verbosity=0, run_syncdb=True)
        with transactions.durable():
            terms = keys.Terms(name="load", scopes=[AccessKey.Scope.USAGE_WRITE])
            self.key = keys.issue_platform(terms=terms, by=SYSTEM).text
        self._pool, self._shared = _organization("One pool"), _organization("Many allocations")
        self._users = User.objects.bulk_create(
            User(email=f"{number}@load.example", name=f"Member {number}", password="!")
            for number in range(ALLOCATIONS)
        )
        Membership.objects.bulk_create(
            Membership(organization=self._shared, user=user) for user in self._users
        )
        own = [Target(self._pool.public_id)]
        members = [Target(self._shared.public_id, user.public_id) for user in self._users]
        self.places = (
            Place("one pool", self._pool.pk, own),
            Place(f"{ALLOCATIONS:,} allocations", self._shared.pk, members),
        )
        free, stuck = [_organization(f"Other {number}") for number in range(_OTHERS)], _organization("Stuck")
        for organization in (*free, stuck):
            _grant(organization, Decimal(1_000_000), reference="load")
        self.others = [Target(organization.public_id) for organization in free]
        self.stuck = Target(stuck.public_id)
        self.stuck_pool = CreditPool.objects.get(organization=stuck).pk
        self._grants = 0
        connection.close()

    def fund(self, place: Place, credits: Decimal) -> Decimal:
        """Give the place so many credits on top, and return what it has to spend."""
        self._grants += 1
        organization = self._pool if place.organization_id == self._pool.pk else self._shared
        _grant(organization, credits, reference=f"load {self._grants}")
        if organization is self._shared:
            shares = [Share(user=user, credits=credits / ALLOCATIONS, mode=Mode.ADD) for user in self._users]
            with transactions.durable():
                allocations.assign_all(organization=organization, shares=shares, by=SYSTEM)
            given = Allocation.objects.filter(organization=organization)
            return given.aggregate(sum=Sum("remaining"))["sum"] or Decimal(0)
        return CreditPool.objects.get(organization=organization).available


def _organization(name: str) -> Organization:
    organization = Organization.objects.create(name=name, slug=name.casefold().replace(" ", "-"))
    now = timezone.now()
    Subscription.objects.create(
        organization=organization,
        plan=Plan.objects.get(code="enterprise"),
        started_at=now,
        current_period_start=now,
        current_period_end=now.replace(year=now.year + 1),
    )
    return organization


def _grant(organization: Organization, credits: Decimal, *, reference: str) -> None:
    with transactions.durable():
        grants.grant(
            organization=organization,
            source=Grant.Source.PROMOTION,
            credits=credits,
            reference=reference,
            by=SYSTEM,
        )

"""Grounds: what giving members their shares stands on, locked in one go, so that nothing is locked later out of order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from credits.ledger import payers, pools, statements
from credits.ledger.payers import Locked
from credits.models import Allocation, CreditPool
from credits.sharing import expiries, resets
from kit import transactions
from kit.errors import Conflict, NotFound
from orgs.models import Membership, Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The locked rows, by user the key of the pool that their credits come from, and the key of the organization's."""

    locked: Locked
    sources: Mapping[UUID, int]
    own: int

    def source(self, user_id: UUID) -> CreditPool:
        """Return the pool of a member's credits: their department's if it is funded, else the organization's."""
        return self.locked.pool(self.sources[user_id])

    def origin(self, allocation: Allocation) -> CreditPool:
        """Return the pool that an allocation's credits go back to: of an archived department the organization's."""
        pool = self.locked.pool(allocation.pool_id)
        is_archived = pool.department is not None and pool.department.archived_at is not None
        return self.locked.pool(self.own) if is_archived else pool


def lock(*, organization: Organization, users: Collection[UUID]) -> Ground:
    """Lock these members, their allocations (made where missing), the pools they come from and those they came from.

    What is due or over of these pools is locked too: it comes before anything is given. Raises NotFound for somebody
    who is not a member, Conflict for a personal organization.
    """
    transactions.require()
    members = _lock_members(organization, users)
    own = pools.of_organization(organization)
    sources = _sources(own, members)
    now = statements.clock()
    missing = [
        Allocation(organization=organization, user_id=user, pool_id=pool, opened_at=now, closed_at=now)
        for user, pool in sources.items()
    ]
    Allocation.objects.bulk_create(missing, ignore_conflicts=True)
    present = Allocation.objects.filter(organization=organization, user__in=list(sources))
    seen = list(present.values_list("pk", "pool_id", "user_id"))
    pool_ids = {*sources.values(), *(pool for _, pool, _ in seen)}
    refs: list[payers.Ref] = [("allocation", pk) for pk, _, _ in seen]
    refs += [("pool", pk) for pk in pool_ids]
    if any(pool != sources[user] for _, pool, user in seen):
        refs.append(("pool", own.pk))  # what came from an archived department goes back there
    refs += [*resets.due_refs(pool_ids, at=now), *expiries.over_refs(pool_ids, at=now)]
    return Ground(locked=payers.lock(refs), sources=sources, own=own.pk)


def _lock_members(organization: Organization, users: Collection[UUID]) -> list[Membership]:
    """Lock the memberships, so that nobody is given credits while they are being removed."""
    live = Membership.objects.live().select_for_update(no_key=True, of=("self",))
    members = list(live.filter(organization=organization, user__in=users).order_by("pk"))
    if len(members) != len(users):
        raise NotFound("There is no such member.")
    if organization.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has no allocations; its pool pays.")
    return members


def _sources(own: CreditPool, members: Collection[Membership]) -> dict[UUID, int]:
    departments = {one.department_id for one in members if one.department_id is not None}
    funded = dict(CreditPool.objects.filter(department__in=departments).values_list("department_id", "pk"))
    return {one.user_id: funded.get(one.department_id or 0, own.pk) for one in members}

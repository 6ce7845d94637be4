"""The data of `bench.scale`, and who is drawn from it."""

import random
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.core.management import call_command

from credits.ledger import reconcile
from credits.load import generating
from credits.models import Allocation
from orgs.models import Organization

_DRAWN: Final = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """One allocation: whose it is, by key and by public id."""

    organization_id: int
    organization: str
    user_id: UUID
    user: str


def build(organizations: int, members: int, usage: int) -> None:
    """Migrate, and add a data set."""
    call_command("migrate", verbosity=0)
    made = generating.generate(organizations=organizations, members=members, usage=usage)
    print(
        f"bench: {made.organizations:,} organizations, {made.members:,} members, {made.usage:,} usage records: "
        f"{made.rows:,} rows in {made.seconds:,.0f} s ({made.rows / made.seconds:,.0f} a second)",
        flush=True,
    )


def places(*, largest: bool = False) -> list[Place]:
    """Return allocations drawn from all organizations, or from the one of 5,000 members; the same at each call."""
    allocations = Allocation.objects.order_by("pk")
    if largest:
        allocations = allocations.filter(organization=largest_organization())
    keys = list(allocations.values_list("pk", flat=True))
    drawn = random.Random(7).sample(keys, min(_DRAWN, len(keys)))
    found = Allocation.objects.filter(pk__in=drawn).values_list(
        "pk", "organization_id", "organization__public_id", "user_id", "user__public_id"
    )
    by_key = {
        key: Place(organization_id, organization, user_id, user)
        for key, organization_id, organization, user_id, user in found
    }
    return [by_key[key] for key in drawn]


def largest_organization() -> Organization:
    """Return the one of 5,000 members."""
    return Organization.objects.filter(slug__endswith="-0", slug__startswith="load-").earliest("pk")


def prove() -> list[str]:
    """Prove the laws for everybody, and say how long that took."""
    begun = time.monotonic()
    verification = reconcile.verify_all()
    print(
        f"bench: {verification.organizations:,} organizations proved in {time.monotonic() - begun:,.0f} s, "
        f"{verification.violations} violations",
        flush=True,
    )
    return list(verification.found)

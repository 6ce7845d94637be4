"""What both sides charge to: organizations of 10 members each, every member with an allocation. Without Django."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

MEMBERS: Final = 10


@dataclass(frozen=True, slots=True)
class Spot:
    """One of our allocations: whom a charge names, by key and by public id."""

    organization_id: int
    user_id: UUID
    organization: str
    user: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything that clients must know; the same for all processes."""

    unlimited: tuple[Spot, ...]
    counted: tuple[Spot, ...]
    """On a plan with a finite quota."""
    textbook: tuple[tuple[int, int], ...]
    """(organization, member) of the opponent's allocations."""
    organizations: int
    key: str
    key_id: int
    made_by: str

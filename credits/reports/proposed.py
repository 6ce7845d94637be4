"""What a proposal says: other amounts for members, budgets for departments, and the days that they rest on."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from credits import amounts
from credits.amounts import ZERO

LEAST_DAYS: Final = 28
"""Whole days of use before anything is proposed."""


class Why(StrEnum):
    """What a proposal answers."""

    RUNS_OUT = "runs_out"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The whole days that proposals rest on; `is_enough` tells whether there are any."""

    since: date
    until: date

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.until - self.since).days + 1

    @property
    def is_enough(self) -> bool:
        """Whether anything can be said."""
        return self.days >= LEAST_DAYS

    def all(self) -> list[date]:
        """Return every one of them."""
        return [self.since + timedelta(days=at) for at in range(self.days)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForMember:
    """Another amount for one allocation; `refused` is what of the past use would not have fitted into it."""

    user_id: str
    name: str
    why: Why
    now: Decimal
    credits: Decimal
    refused: Decimal
    sentence: str

    @property
    def choice(self) -> str:
        """Return what a box on a form carries."""
        return f"{self.user_id} {amounts.text(self.credits)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForDepartment:
    """A soft monthly budget; `now` is the present one, None where there is none."""

    department_id: str
    name: str
    now: Decimal | None
    credits: Decimal
    refused: Decimal
    sentence: str

    @property
    def choice(self) -> str:
        """Return what a box on a form carries."""
        return f"{self.department_id} {amounts.text(self.credits)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """What the portal proposes, and on how many days it rests."""

    basis: Basis
    members: list[ForMember]
    departments: list[ForDepartment]

    @property
    def difference(self) -> Decimal:
        """What all of them together take from the pools; below 0 they give back."""
        return sum((one.credits - one.now for one in self.members), ZERO)

    @property
    def returned(self) -> Decimal:
        """What they give back, where they do."""
        return -self.difference

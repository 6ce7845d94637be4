"""What may be asked of the ledger, and what it answers. Values only; `charging.settle` is the one that acts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final
from uuid import UUID

from credits.ledger.records import Usage
from credits.models import Hold, UsageRecord
from credits.pricing.costs import Cost
from kit.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """Who asks: read again after the lock, so that a revoked key or an ended membership stops a waiting request."""

    made_by: str
    """Public id of the key or user."""
    key_id: int | None = None
    user_id: UUID | None = None
    """The member whose use it is; None is the organization itself."""


@dataclass(slots=True, kw_only=True)
class Spend:
    """A hold or a charge, before it is decided. `transaction_id` is unique within the organization."""

    organization_id: int
    spender: Spender
    transaction_id: str
    cost: Cost
    service: str
    provider: str = ""
    byok: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, str]:
        """What the ledger does at most once."""
        return self.organization_id, self.transaction_id

    def content(self) -> str:
        """Return the digest by which a repeat is told from another request: parsed values, metadata and ttl left out."""
        user = self.spender.user_id
        return digest(user and user.hex, self.service, self.provider, self.byok, self.cost)


@dataclass(slots=True, kw_only=True)
class PlaceHold(Spend):
    """Reserve an estimate for `ttl_seconds`."""

    ttl_seconds: int


@dataclass(slots=True, kw_only=True)
class MakeCharge(Spend):
    """Hold and capture in one. `after_the_fact` is for calls that already happened: taken, never refused for funds."""

    after_the_fact: bool = False
    occurred_at: datetime | None = None


class Reach(StrEnum):
    """Whose holds a caller may end."""

    OWN = "own"
    ORGANIZATION = "organization"
    ANY = "any"


@dataclass(slots=True, kw_only=True)
class EndHold:
    """Something that ends a hold. `organization_id` is the caller's, where one binds it."""

    hold_id: UUID
    spender: Spender
    reach: Reach
    organization_id: int | None = None


@dataclass(slots=True, kw_only=True)
class CaptureHold(EndHold):
    """Take what the request really cost."""

    cost: Cost

    def content(self) -> str:
        """Return the digest of the figures: a second capture with other figures is refused."""
        return digest(self.cost)


@dataclass(slots=True, kw_only=True)
class ReleaseHold(EndHold):
    """Give back what is held; nothing was used."""


@dataclass(slots=True, kw_only=True)
class ExpireHold(EndHold):
    """Give back what nobody ended in time: the sweeper's command."""


Command = PlaceHold | MakeCharge | CaptureHold | ReleaseHold | ExpireHold


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays, and what it has left to give."""

    kind: str
    """`allocation` or `pool`."""
    organization: str
    remaining: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One period of a finite quota, as of the answer."""

    limit: int
    used: int
    resets_at: datetime


@dataclass(slots=True, kw_only=True)
class Settled:
    """What was done, or what the first request with this key did (`replayed`)."""

    hold: Hold | None = None
    charge: Usage | UsageRecord | None = None
    payer: Payer | None = None
    quota: dict[str, Quota] | None = None
    organization: str = ""
    replayed: bool = False


Outcome = Settled | DomainError

_PLAIN: Final = frozenset({str, int, bool, type(None)})


def digest(*values: object) -> str:
    """Return a digest of parsed values; equal values give equal digests whatever their spelling was in JSON."""
    return hashlib.sha256(repr([_spelt_once(value) for value in values]).encode()).hexdigest()


def _spelt_once(value: object) -> object:
    """Return a value whose `repr` is the same for all its spellings: 1.50 is 1.5."""
    if isinstance(value, Decimal):
        return str(value.normalize()) if value.is_finite() else str(value)
    kind = type(value)
    if kind in _PLAIN or not is_dataclass(kind):
        return value
    return kind.__name__, [_spelt_once(getattr(value, name)) for name in _field_names(kind)]


@cache
def _field_names(kind: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))  # type: ignore[arg-type]

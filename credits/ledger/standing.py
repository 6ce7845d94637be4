"""Where a request stands: what must be true of its organization, member, key and payers before credits move.

Read in a statement of its own *after* the payer is locked: in the statement that locks, everything but the locked row
is the old snapshot (measured; architecture.md).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from credits.ledger import statements
from credits.pricing.costs import Terms
from credits.pricing.table import PriceTable
from kit.errors import DomainError, NotFound, PermissionDenied, Unauthorized

PAYMENT_GRACE: Final = timedelta(days=7)

_READ: Final = """
WITH v AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS v(i int, o bigint, u uuid, k bigint)),
o AS MATERIALIZED (
  SELECT one.*, p.*, op.id AS pool_id, f.open, b.budgets FROM (SELECT DISTINCT o FROM v) d
  CROSS JOIN LATERAL (SELECT id, public_id, status, shared_spending, time_zone, unpriced, unpriced_credits
    FROM orgs_organization WHERE id = d.o LIMIT 1) one
  LEFT JOIN LATERAL (
    SELECT plan.daily_calls, plan.monthly_calls, plan.markup_percent, live.past_due_since, coalesce(live.status = 'paused', false) AS is_paused
    FROM (SELECT 1) AS one
    LEFT JOIN (SELECT plan_id, past_due_since, status FROM orgs_subscription WHERE organization_id = d.o AND ended_at IS NULL LIMIT 1) live ON true
    LEFT JOIN orgs_plan plan ON CASE WHEN live.plan_id IS NULL THEN plan.code = 'none' ELSE plan.id = live.plan_id END
    LIMIT 1) p ON true
  LEFT JOIN LATERAL (SELECT id FROM credits_creditpool WHERE organization_id = d.o AND department_id IS NULL LIMIT 1) op ON true
  CROSS JOIN LATERAL (SELECT coalesce(sum(amount - settled - forgiven), 0) AS open FROM credits_shortfall
    WHERE organization_id = d.o AND amount > settled + forgiven) f
  CROSS JOIN LATERAL (SELECT json_agg(json_build_array(id, public_id, scope, subject, period, since, credits::text) ORDER BY id)::text AS budgets
    FROM credits_budget WHERE organization_id = d.o AND is_hard AND archived_at IS NULL) b)
SELECT v.i, (SELECT portal_clock()), o.*, m.*, k.*, a.*, dp.*
FROM v JOIN o ON o.id = v.o
LEFT JOIN LATERAL (
  SELECT membership.id, membership.ended_at, membership.department_id, person.is_active
  FROM orgs_membership membership JOIN orgs_user person ON person.id = membership.user_id
  WHERE membership.organization_id = v.o AND membership.user_id = v.u LIMIT 1) m ON true
LEFT JOIN LATERAL (SELECT id, revoked_at, expires_at FROM orgs_accesskey WHERE id = v.k LIMIT 1) k ON true
LEFT JOIN LATERAL (SELECT id, closed_at, is_limited, pool_id, resets_at, expires_at FROM credits_allocation
  WHERE organization_id = v.o AND user_id = v.u LIMIT 1) a ON true
LEFT JOIN LATERAL (SELECT id FROM credits_creditpool WHERE department_id = m.department_id LIMIT 1) dp ON true
"""
# What belongs to the organization is read once for all its members in the batch. LATERAL … LIMIT 1 pins the plan to one
# index look-up a row: left free, the planner hashes whole tables for a batch of one, since it takes a JSON parameter
# for a hundred rows.


class OrganizationSuspended(DomainError):
    """Staff suspended the organization, or paused its subscription."""

    code = "organization_suspended"
    status = 403


class PaymentOverdue(DomainError):
    """The plan's invoice is unpaid for more than the grace."""

    code = "payment_overdue"
    status = 402


class NotAMember(PermissionDenied):
    """The user does not belong to the organization, or no longer does."""


class Asked(NamedTuple):
    """Of whom to read the standing."""

    organization_id: int
    user_id: UUID | None
    key_id: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One request's standing at `clock`, the ledger's time."""

    asked: Asked
    clock: datetime
    organization_id: int
    organization: str
    status: str
    shared_spending: str
    time_zone: str
    unpriced: str
    unpriced_credits: Decimal
    daily_calls: int | None
    monthly_calls: int | None
    markup_percent: Decimal
    past_due_since: datetime | None
    is_paused: bool | None
    pool_id: int | None
    shortfall_open: Decimal
    hard_budgets: str | None
    """JSON rows (id, public id, scope, subject, period, since, credits) of its live hard budgets: `ceilings.of` reads them."""
    membership_id: int | None
    membership_ended_at: datetime | None
    department_id: int | None
    user_is_active: bool | None
    key_id: int | None
    key_revoked_at: datetime | None
    key_expires_at: datetime | None
    allocation_id: int | None
    allocation_closed_at: datetime | None
    allocation_is_limited: bool | None
    allocation_pool_id: int | None
    allocation_resets_at: datetime | None
    allocation_expires_at: datetime | None
    department_pool_id: int | None

    def payers(self) -> list[tuple[str, int]]:
        """Return the payers to try, in order, each as (kind, id): product.md §6 «Which payer»."""
        pools = [("pool", pool) for pool in (self.department_pool_id, self.pool_id) if pool is not None]
        if self.asked.user_id is None:
            return pools[-1:]
        limited = self.allocation_id is not None and self.allocation_is_limited
        if not limited and self.shared_spending == "never":
            return []
        own = [("allocation", self.allocation_id)] if limited and not self.allocation_is_over else []
        if self.shared_spending == "always" and not (limited and self.allocation_is_over):
            return [*own, *pools]  # type: ignore[list-item]
        return own if limited else pools[:1]  # type: ignore[return-value]

    @property
    def allocation_is_over(self) -> bool:
        """Tell whether the allocation was closed or has expired, whether the job that closes it came by or not."""
        return self.allocation_closed_at is not None or self._has_expired

    @property
    def _has_expired(self) -> bool:
        return self.allocation_expires_at is not None and self.allocation_expires_at <= self.clock

    @property
    def allocation_next_reset(self) -> datetime | None:
        """When the allocation's amount is restored next, None where it is not."""
        return None if self.allocation_is_over else self.allocation_resets_at

    def pool_behind(self, *, ends_hold: bool) -> int | None:
        """Return the pool whose allocations must be brought up to date before this one is spent of or a hold of it ends.

        An expired one gives nothing to a hold or charge anyway; what ends a hold would change it.
        """
        if self.allocation_closed_at is not None:
            return None
        resets = self.allocation_resets_at is not None and self.allocation_resets_at <= self.clock
        behind = ends_hold if self._has_expired else resets
        return self.allocation_pool_id if behind else None

    @property
    def limited_by(self) -> str:
        """What a refusal names where there is no payer to try: the allocation, or a pool that nobody has filled yet."""
        if self.asked.user_id is None:
            return "pool"
        has_limit = self.allocation_id is not None and self.allocation_is_limited
        return "allocation" if has_limit or self.shared_spending == "never" else "pool"

    def refuse_key(self) -> None:
        """Raise where the key was revoked or has expired."""
        if self.asked.key_id is None:
            return
        expired = self.key_expires_at is not None and self.key_expires_at <= self.clock
        if self.key_id is None or self.key_revoked_at is not None or expired:
            raise Unauthorized("This key was revoked or has expired.")

    def refuse_spender(self, *, has_happened: bool = False) -> None:
        """Raise where this member or organization may not spend now; a call that has happened only needs to have been theirs."""
        if self.status == "archived":
            raise NotFound("There is no such organization.")
        if self.asked.user_id is not None and self.membership_id is None:
            raise NotAMember("This user is not a member of the organization.")
        if has_happened:
            return
        if self.asked.user_id is not None and (
            self.membership_ended_at is not None or not self.user_is_active
        ):
            raise NotAMember("This user is no longer a member of the organization.")
        if self.status == "suspended":
            raise OrganizationSuspended("The organization is suspended.")
        if self.is_paused:
            raise OrganizationSuspended("The organization's plan is paused.")
        if self.past_due_since is not None and self.clock - self.past_due_since > PAYMENT_GRACE:
            raise PaymentOverdue("The plan's invoice is overdue; paying it restores spending.")

    def terms(self, table: PriceTable) -> Terms:
        """Return by what its requests are priced."""
        flat = self.unpriced_credits if self.unpriced == "flat" else None
        return Terms(table, self.clock, self.organization_id, self.markup_percent, flat)

    def day(self, at: datetime) -> date:
        """Return the date of an instant in the organization's calendar."""
        return _date(at, self.time_zone)


@lru_cache(maxsize=1024)
def _date(at: datetime, time_zone: str) -> date:
    """Return the date there; everybody whom one statement found asks for the same few."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def read(asked: Sequence[Asked | None]) -> list[Standing | None]:
    """Return the standing of each, in order; None where nothing was asked or the organization does not exist.

    Whoever is asked for more than once is read once, and has one Standing.
    """
    different = list(dict.fromkeys(one for one in asked if one is not None))
    if not different:
        return [None] * len(asked)
    rows = [
        {"i": index, "o": one.organization_id, "u": one.user_id and one.user_id.hex, "k": one.key_id}
        for index, one in enumerate(different)
    ]
    found = {
        different[index]: Standing(different[index], *values)
        for index, *values in statements.rows(_READ, json.dumps(rows))
    }
    return [found.get(one) if one is not None else None for one in asked]

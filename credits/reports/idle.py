"""Idle allocations: credits set apart for members who do not use them, and taking them back."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Max, OuterRef, QuerySet, Subquery

from credits.amounts import ZERO
from credits.ledger import payers
from credits.models import Allocation, DailyUsage, LedgerEntry
from credits.reports import calendars
from credits.sharing import allocations
from kit import transactions
from kit.errors import Conflict
from orgs.audit.events import Actor
from orgs.models import Organization

DAYS: Final = 14
"""Without any use, after which an allocation is idle."""
CHOICES: Final = (7, 14, 30, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """One allocation that nobody uses; `last_used` is None where it never was, `quiet_days` count from when it was given."""

    user_id: str
    name: str
    department: str
    remaining: Decimal
    last_used: date | None
    quiet_days: int


def find(
    *, organization: Organization, within: QuerySet[Allocation], now: datetime, days: int = DAYS
) -> list[Idle]:
    """Return open allocations of `within` with credits left and no use of credits for so many days, largest first.

    What was given or added to since counts as in use, and so does what is held by an open request.
    """
    today, zone = calendars.today(organization=organization, now=now), ZoneInfo(organization.time_zone)
    used = DailyUsage.objects.filter(
        organization=organization, user_id=OuterRef("user_id"), credits__gt=0, day__lte=today
    )
    given = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.ALLOCATE, target_allocation=OuterRef("pk"))
    rows: Any = (
        within.filter(organization=organization, closed_at=None, remaining__gt=0, held=0)
        .select_related("user", "pool__department")
        .annotate(last_used=_latest(used, "day", "user_id"), given=_latest(given, "created_at", "kind"))
    )
    found = [_idle(row, today, zone) for row in rows]
    idle = [one for one in found if one.quiet_days >= days]
    return sorted(idle, key=lambda one: (-one.remaining, one.name))


def total(found: Collection[Idle]) -> Decimal:
    """Return how much lies in them."""
    return sum((one.remaining for one in found), ZERO)


def revoke(
    *,
    organization: Organization,
    within: QuerySet[Allocation],
    user_ids: Collection[str],
    days: int,
    now: datetime,
    by: Actor,
) -> Decimal:
    """Revoke these members' allocations, all or none; returns how many credits went back.

    Raises Conflict where one of them is not idle any more, looked at again under the lock.
    """
    transactions.require()
    chosen = within.filter(user__public_id__in=user_ids)
    seen = _chosen(organization=organization, within=chosen, user_ids=user_ids, now=now, days=days)
    rows = list(chosen.select_related("user"))
    locked = payers.lock([ref for row in rows for ref in (("pool", row.pool_id), ("allocation", row.pk))])
    again = _chosen(organization=organization, within=chosen, user_ids=user_ids, now=now, days=days)
    moved = any(("pool", row.pool_id) not in locked.rows for row in chosen)
    if again != seen or moved:
        raise _in_use()
    return allocations.revoke_all(organization=organization, users=[row.user for row in rows], by=by)


def _chosen(
    *,
    organization: Organization,
    within: QuerySet[Allocation],
    user_ids: Collection[str],
    now: datetime,
    days: int,
) -> list[Idle]:
    """Return how the chosen ones stand; raises Conflict where one is not idle."""
    found = find(organization=organization, within=within, now=now, days=days)
    if not user_ids or {one.user_id for one in found} != set(user_ids):
        raise _in_use()
    return found


def _in_use() -> Conflict:
    return Conflict("An allocation of these is in use by now, or was revoked; look again.")


def _latest(rows: Any, column: str, by: str) -> Subquery:
    """Return the latest of a column, by one index look-up a row."""
    return Subquery(rows.order_by().values(by).annotate(latest=Max(column)).values("latest")[:1])


def _idle(row: Any, today: date, zone: ZoneInfo) -> Idle:
    given = (row.given or row.opened_at).astimezone(zone).date()
    since = max(given, row.last_used) if row.last_used else given
    department = row.pool.department
    return Idle(
        user_id=row.user.public_id,
        name=row.user.name or str(row.user),
        department=department.name if department is not None else "",
        remaining=row.remaining,
        last_used=row.last_used,
        quiet_days=max((today - since) // timedelta(days=1), 0),
    )

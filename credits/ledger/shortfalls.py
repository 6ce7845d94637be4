"""Shortfalls: what captures cost beyond what could be given, charged as soon as the organization's pool has credits."""

from collections.abc import Collection
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import F, Sum

from credits.amounts import ZERO
from credits.ledger import payers, statements
from credits.ledger.records import Usage
from credits.limits import ceilings
from credits.models import CreditPool, Shortfall, UsageRecord
from orgs.models import Organization


def settle(locked: payers.Locked, *, organizations: Collection[int]) -> list[Usage]:
    """Charge open shortfalls of these organizations, oldest first, to their pools as far as locked pools have credits.

    Returns the settlement records; the caller writes them and the balances.
    """
    made: list[Usage] = []
    for row in list(locked.rows.values()):
        if isinstance(row, CreditPool) and row.department_id is None and row.organization_id in organizations:
            made += _settle_from(locked, row)
    return made


def open_amount(*, organization_id: int) -> Decimal:
    """Return what the organization owes, in credits."""
    owed = Shortfall.objects.filter(organization_id=organization_id, amount__gt=F("settled") + F("forgiven"))
    return owed.aggregate(owed=Sum(F("amount") - F("settled") - F("forgiven")))["owed"] or ZERO


def _settle_from(locked: payers.Locked, pool: CreditPool) -> list[Usage]:
    if pool.available <= 0:
        return []
    open_ones = Shortfall.objects.filter(
        organization_id=pool.organization_id, amount__gt=F("settled") + F("forgiven")
    )
    if not open_ones.exists():
        return []
    _lock_budgets(pool.organization)
    made: list[Usage] = []
    for shortfall in open_ones.select_for_update(no_key=True, of=("self",)).order_by("pk"):
        if pool.available <= 0:
            break
        taken = min(pool.available, shortfall.amount - shortfall.settled - shortfall.forgiven)
        payers.spend(pool, taken)
        locked.touch(pool)
        shortfall.settled += taken
        shortfall.save(update_fields=["settled"])
        made.append(_record(pool, shortfall, taken))
    return made


def _lock_budgets(organization: Organization) -> None:
    """Lock the hard budgets that settlements may count in before the shortfalls, as spending does."""
    today = statements.clock().astimezone(ZoneInfo(organization.time_zone)).date()
    ceilings.lock_all(organization_id=organization.pk, day=today)


def _record(pool: CreditPool, shortfall: Shortfall, taken: Decimal) -> Usage:
    """Return the usage record that names what it settles, attributed as the charge was."""
    charge = UsageRecord.objects.select_related("organization").get(pk=shortfall.charge_id)
    clock = statements.clock()
    return Usage(
        organization_id=pool.organization_id,
        organization=charge.organization.public_id,
        kind="settlement",
        user_id=charge.user_id,
        department_id=charge.department_id,
        key_id=charge.key_id,
        pool_id=pool.pk,
        corrects=charge.pk,
        credits=taken,
        cost=taken,
        service=charge.service,
        provider=charge.provider,
        model=charge.model,
        made_by="portal",
        day=clock.astimezone(ZoneInfo(charge.organization.time_zone)).date(),
        occurred_at=clock,
        created_at=clock,
    )

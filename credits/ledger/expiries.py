"""Expiries: what is unspent of a grant when its time is over, and not reserved by a hold, leaves the books."""

import logging
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import DatabaseError
from django.db.models import F, QuerySet

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import burndown, entries, payers, statements, takings
from credits.ledger.burndown import Burned
from credits.models import GrantBalance, LedgerEntry
from kit import transactions
from orgs.audit import events
from orgs.audit.events import SYSTEM, Actor
from orgs.clock import LedgerClock
from orgs.models import Organization

logger = logging.getLogger(__name__)


def expire(*, organization: Organization, by: Actor = SYSTEM) -> Decimal:
    """Burn, then take what is left of every grant whose time is over; returns how many credits expired.

    Where no grant is over there is nothing to burn for.

    Credits go from the organization's pool, then from department pools and allocations, the largest first, an entry each.
    What open holds reserve stays until they end, and so does what no row has free.
    """
    transactions.require()
    locked = payers.lock([payers.organization_pool(organization.pk)])
    if not _over().filter(organization=organization).exists():
        return ZERO
    seen = burndown.look(organization_ids=[organization.pk])[organization.pk]
    wanted = sum((credits for _, credits in due(seen, at=statements.clock())), ZERO)
    takings.widen(locked, organization_id=organization.pk, wanted=wanted)
    made = take_due(locked, organization, by=by)
    tell(organization, made, by=by)
    return sum((one.amount for one in made), ZERO)


def expire_due() -> int:
    """Expire what is due, an organization a transaction; returns of how many organizations credits expired.

    The job of each minute. One that is busy is left for the next.
    """
    organizations = Organization.objects.filter(pk__in=_over().values("organization_id")).order_by("pk")
    return sum(1 for organization in organizations if _expire_unless_busy(organization))


def take_due(locked: payers.Locked, organization: Organization, *, by: Actor) -> list[LedgerEntry]:
    """Burn, and take what is due from rows that are locked, the organization's pool among them; returns the entries.

    The caller tells the audit log, as the last that its transaction does.
    """
    burned = burndown.lock(organization_ids=[organization.pk])[organization.pk]
    made: list[LedgerEntry] = []
    changed: list[GrantBalance] = []
    for balance, credits in due(burned, at=statements.clock()):
        taken = takings.take(
            locked, balance.grant, credits, kind="expire", made_by=by.public_id, reason="expired"
        )
        balance.expired += sum((one.amount for one in taken), ZERO)
        changed.append(balance)
        made += taken
    if made:
        entries.write(*made)
        burndown.write(changed)
    return made


def due(burned: Burned, *, at: datetime) -> list[tuple[GrantBalance, Decimal]]:
    """Return the grants whose time is over, with what is left of each and lies in no hold."""
    free = burned.free()
    return [
        (one, free[one.pk])
        for one in burned.balances
        if one.expires_at is not None and one.expires_at <= at and free[one.pk]
    ]


def tell(organization: Organization, made: Sequence[LedgerEntry], *, by: Actor) -> None:
    """Audit what expired, an event a grant: the last that a transaction does."""
    sums: dict[str, Decimal] = {}
    for one in made:
        sums[str(one.grant_id)] = sums.get(str(one.grant_id), ZERO) + one.amount
    for grant, credits in sums.items():
        events.record(
            organization=organization.public_id,
            by=by,
            action="credits.expired",
            target=grant,
            after={"credits": amounts.text(credits)},
        )


def _over() -> QuerySet[GrantBalance]:
    """Return grants whose time is over and of which something was left at the last burn."""
    used = F("consumed") + F("expired") + F("withdrawn")
    return GrantBalance.objects.filter(expires_at__lte=LedgerClock(), credits__gt=used)


def _expire_unless_busy(organization: Organization) -> Decimal:
    try:
        with transactions.durable():
            return expire(organization=organization)
    except DatabaseError as error:
        if not transactions.is_busy(error):
            raise
        logger.warning("grants of %s could not expire: %s", organization.public_id, error)
        return ZERO

"""The sweeper: ends holds that nobody ended, and charges what is owed where credits came back unseen."""

from django.db.models import F

from credits.ledger import charging, corrections, overdue
from credits.models import Hold, Shortfall
from kit import transactions


def expire_due(*, at_most: int = 1000) -> int:
    """Expire overdue holds, oldest first, and return how many ended.

    Reads without a lock and settles as anybody else does, so it races captures fairly: whoever locks first wins.
    """
    outcomes = charging.settle(overdue.of_anybody(at_most=at_most))
    return sum(
        1
        for one in outcomes
        if not isinstance(one, Exception) and one.hold and one.hold.status == Hold.Status.EXPIRED
    )


def settle_debts() -> int:
    """Charge open shortfalls to pools that have credits, an organization a transaction; returns how many were tried."""
    debtors = Shortfall.objects.filter(
        amount__gt=F("settled") + F("forgiven"),
        organization__credit_pools__department__isnull=True,
        organization__credit_pools__available__gt=0,
    ).values_list("organization_id", flat=True)
    organizations = sorted(set(debtors))
    for organization_id in organizations:
        with transactions.durable():
            corrections.settle_open(organization_id=organization_id)
    return len(organizations)

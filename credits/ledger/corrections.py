"""Usage records that are not charges: reversals of them, and settlements of what they left open."""

from credits.ledger import books, payers, shortfalls
from credits.ledger.records import Usage
from credits.signals import usage_recorded
from kit import transactions
from orgs.models import Organization


def settle_shortfalls(locked: payers.Locked, organization: Organization) -> None:
    """Charge what the organization owes to its locked pool, as far as it has credits now."""
    record(locked, shortfalls.settle(locked, organizations={organization.pk}))


def settle_open(*, organization_id: int) -> None:
    """Charge what is owed to the organization's pool, as far as it has credits; a pool that somebody holds is left for later."""
    transactions.require()
    locked = payers.lock([payers.organization_pool(organization_id)], skip_locked=True)
    record(locked, shortfalls.settle(locked, organizations={organization_id}))


def record(locked: payers.Locked, usage: list[Usage]) -> None:
    """Write the balances that changed and these records, and announce them."""
    payers.write(locked)
    books.insert_usage(usage)
    if usage:
        usage_recorded.send(sender=Usage, records=usage)

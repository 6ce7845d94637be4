"""Jobs of the ledger: one domain call each."""

from celery import shared_task

from credits.ledger import holds


@shared_task(name="credits.tasks.expire_holds")
def expire_holds() -> int:
    """End overdue holds; what they held is spendable before this runs, and listed until then."""
    return holds.expire_due()


@shared_task(name="credits.tasks.settle_debts")
def settle_debts() -> int:
    """Charge shortfalls that a crash left open."""
    return holds.settle_debts()

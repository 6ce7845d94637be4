"""Jobs of the ledger: one domain call each."""

from celery import shared_task

from credits.ledger import burndown, expiries, holds, plan_credits, reconcile
from credits.pricing import sizes


@shared_task(name="credits.tasks.expire_holds")
def expire_holds() -> int:
    """End overdue holds; what they held is spendable before this runs, and listed until then."""
    return holds.expire_due()


@shared_task(name="credits.tasks.settle_debts")
def settle_debts() -> int:
    """Charge shortfalls that a crash left open."""
    return holds.settle_debts()


@shared_task(name="credits.tasks.burn_grants")
def burn_grants() -> int:
    """Assign what was spent in the last minute to the grants it was of."""
    return burndown.burn_due()


@shared_task(name="credits.tasks.expire_grants")
def expire_grants() -> int:
    """Expire what is left of grants whose time is over."""
    return expiries.expire_due()


@shared_task(name="credits.tasks.grant_plan_credits")
def grant_plan_credits() -> int:
    """Grant the months that have begun of plans that were paid for longer."""
    return plan_credits.grant_all_due()


@shared_task(name="credits.tasks.refresh_sizes")
def refresh_sizes() -> int:
    """Look again at how long models' answers are, for holds that name no maximum."""
    return sizes.refresh()


@shared_task(name="credits.tasks.verify_books", soft_time_limit=3300, time_limit=3400)
def verify_books() -> int:
    """Prove every law for every organization; returns how many violations were found, and mends none."""
    return reconcile.verify_all().violations

"""Jobs of the ledger: one domain call each."""

from celery import shared_task
from django.utils import timezone

from credits.ledger import burndown, expiries, holds, plan_credits, reconcile
from credits.limits import refusals, watching
from credits.pricing import sizes
from credits.reports import monthly_mails, unusual
from credits.sharing import expiries as endings
from credits.sharing import resets


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


@shared_task(name="credits.tasks.reset_allocations")
def reset_allocations() -> int:
    """Restore the amounts of allocations whose period is over; whoever looks or spends before this runs does it too."""
    return resets.run_due()


@shared_task(name="credits.tasks.expire_allocations")
def expire_allocations() -> int:
    """Close allocations whose time is over; they are a limit of 0 before this runs."""
    return endings.run_due()


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


@shared_task(name="credits.tasks.watch_limits")
def watch_limits() -> int:
    """Tell of thresholds that were crossed since the last minute."""
    return watching.watch(now=timezone.now())


@shared_task(name="credits.tasks.watch_runways", soft_time_limit=600, time_limit=660)
def watch_runways() -> int:
    """Tell of credits that last less than a week."""
    return watching.watch_runways(now=timezone.now())


@shared_task(name="credits.tasks.audit_refusals")
def audit_refusals() -> int:
    """Tell the audit log of the holds and charges that were refused in hours that are over."""
    return refusals.audit_due()


@shared_task(name="credits.tasks.tell_monthly", soft_time_limit=3300, time_limit=3400)
def tell_monthly() -> int:
    """Tell of the month's report, once it is over on an organization's wall."""
    return monthly_mails.tell_due(now=timezone.now())


@shared_task(name="credits.tasks.tell_unusual", soft_time_limit=600, time_limit=660)
def tell_unusual() -> int:
    """Tell of members and models that cost far more than usual, today or yesterday."""
    return unusual.tell_due(now=timezone.now())

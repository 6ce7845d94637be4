"""Jobs of `orgs`; the schedule is in the settings."""

from celery import shared_task
from django.utils import timezone

from orgs.access import idempotency
from orgs.audit import proofs


@shared_task
def forget_old_answers() -> int:
    """Delete what `Idempotency-Key`s answered more than a day ago."""
    return idempotency.forget_old()


@shared_task(soft_time_limit=3300, time_limit=3400)
def verify_audit() -> int:
    """Prove every chain of the audit log once a day; returns how many links are broken."""
    return proofs.verify_daily(now=timezone.now())

"""Jobs of `orgs`; the schedule is in the settings."""

from celery import shared_task

from orgs.access import idempotency


@shared_task
def forget_old_answers() -> int:
    """Delete what `Idempotency-Key`s answered more than a day ago."""
    return idempotency.forget_old()

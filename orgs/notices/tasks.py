"""Jobs of notices; the schedule is in the settings."""

from celery import shared_task
from django.utils import timezone

from orgs.notices import mails


@shared_task(name="orgs.notices.tasks.send_mails")
def send_mails() -> int:
    """Send the mails of notices that wait."""
    return mails.send_due(now=timezone.now())

"""Jobs between the portal and Lago: one domain call each. The schedule is in the settings; all may run twice."""

import logging
from typing import Any, Final
from uuid import UUID

from celery import Task, current_app, shared_task
from django.utils import timezone
from kombu.exceptions import KombuError

from lago_sync.inbox import handling
from lago_sync.outbox import delivery
from lago_sync.purchases import advancing
from lago_sync.reconcile import health, identity, polling

logger = logging.getLogger(__name__)

_QUICKLY: Final = {
    "max_retries": 0,
    "interval_start": 0,
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
}
_STALE_AFTER: Final = 60  # seconds: by then the schedule has seen to it


@shared_task(name="lago_sync.tasks.advance_purchase", soft_time_limit=150, time_limit=180)
def advance_purchase(purchase_id: str) -> None:
    """Bring one purchase forward, at once after its order."""
    advancing.advance(purchase_id=UUID(purchase_id), now=timezone.now())


@shared_task(name="lago_sync.tasks.advance_due", soft_time_limit=150, time_limit=180)
def advance_due() -> int:
    """Bring forward the purchases whose time has come."""
    return advancing.advance_due(now=timezone.now())


@shared_task(name="lago_sync.tasks.deliver_outbox", soft_time_limit=150, time_limit=180)
def deliver_outbox() -> int:
    """Tell Lago of usage that it has not heard of; after 20 seconds of sending one slow request may still be waited for."""
    return delivery.deliver_due(now=timezone.now()).sent


@shared_task(name="lago_sync.tasks.handle_webhooks", soft_time_limit=150, time_limit=180)
def handle_webhooks() -> int:
    """Handle the webhooks that nobody handled when they came."""
    return handling.handle_due(now=timezone.now())


@shared_task(name="lago_sync.tasks.handle_webhook", soft_time_limit=150, time_limit=180)
def handle_webhook(message_id: str) -> None:
    """Handle one webhook that has just come."""
    handling.handle(message_id=int(message_id), now=timezone.now())


@shared_task(name="lago_sync.tasks.poll", soft_time_limit=150, time_limit=180)
def poll() -> int:
    """Find what no webhook told."""
    return polling.poll(now=timezone.now()).subscriptions


@shared_task(name="lago_sync.tasks.check_health", soft_time_limit=150, time_limit=180)
def check_health() -> str:
    """Look at Lago as a whole."""
    return health.check(now=timezone.now()).status


@shared_task(name="lago_sync.tasks.compare_books", soft_time_limit=240, time_limit=270)
def compare_books() -> int:
    """Compare the books of organizations with Lago's."""
    return identity.compare_due(now=timezone.now())


def enqueue_webhook(message_id: int) -> None:
    """Have a webhook handled now; call it once it is stored. Never raises: without the broker the schedule finds it."""
    enqueue(handle_webhook, str(message_id))


def enqueue_advance(purchase_id: UUID) -> None:
    """Have a purchase brought forward now; call it once the order is committed.

    Never raises and never waits for long: without the broker the schedule finds the purchase within seconds.
    """
    enqueue(advance_purchase, str(purchase_id))


def enqueue(task: "Task[Any, Any]", *args: str) -> None:
    """Hand a task to the broker, and only say so in the log where that fails: its rows are looked at by schedule too."""
    try:
        with current_app.connection_for_write(transport_options=_QUICKLY) as connection:
            task.apply_async(args, connection=connection, retry=False, expires=_STALE_AFTER)  # type: ignore[call-arg]
    except (KombuError, OSError) as error:
        logger.warning("%s is left to the schedule: %s", task.name, error)

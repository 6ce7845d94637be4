"""Jobs between the portal and Lago: one domain call each. The schedule is in the settings; all may run twice."""

import logging
from typing import Any, Final
from uuid import UUID

from celery import Task, current_app, shared_task
from django.utils import timezone
from kombu.exceptions import KombuError

from lago_sync.customers import linking, methods
from lago_sync.inbox import handling
from lago_sync.invoices import documents, mailing, mirror, payments
from lago_sync.outbox import delivery
from lago_sync.purchases import advancing, auto_orders, disputes, voids
from lago_sync.reconcile import health, identity, polling
from lago_sync.subscriptions import changing

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


@shared_task(name="lago_sync.tasks.apply_plan_changes", soft_time_limit=150, time_limit=180)
def apply_plan_changes() -> int:
    """Carry on the changes of plans that Lago does not show yet."""
    return changing.carry_on(now=timezone.now())


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


@shared_task(name="lago_sync.tasks.tell_refunds", soft_time_limit=150, time_limit=180)
def tell_refunds() -> int:
    """Take credits back where a dispute was lost, and tell Lago's wallets of refunds."""
    now = timezone.now()
    disputes.look_at_mirrored(now=now)
    return voids.tell_due(now=now)


@shared_task(name="lago_sync.tasks.refresh_payment_methods", soft_time_limit=150, time_limit=180)
def refresh_payment_methods() -> int:
    """Look at the stored cards that were looked at longest ago."""
    return methods.refresh_due(now=timezone.now())


@shared_task(name="lago_sync.tasks.refresh_methods_of", soft_time_limit=150, time_limit=180)
def refresh_methods_of(public_id: str) -> None:
    """Look at one organization's stored cards, as after somebody stored one."""
    methods.refresh_one(public_id=public_id, now=timezone.now())


@shared_task(name="lago_sync.tasks.tell_billing_details", soft_time_limit=150, time_limit=180)
def tell_billing_details() -> int:
    """Tell Lago of billing details that were changed."""
    return linking.tell_changes()


@shared_task(name="lago_sync.tasks.top_up_low_pools", soft_time_limit=150, time_limit=180)
def top_up_low_pools() -> int:
    """Order for organizations whose pool is below the threshold of their auto top-up."""
    count = 0
    for purchase_id in auto_orders.place_due(now=timezone.now()):
        enqueue_advance(purchase_id)
        count += 1
    return count


def enqueue_refunds() -> None:
    """Have Lago told of refunds now."""
    enqueue(tell_refunds)


def enqueue_methods(public_id: str) -> None:
    """Have an organization's stored cards looked at now."""
    enqueue(refresh_methods_of, public_id)


@shared_task(name="lago_sync.tasks.send_invoices", soft_time_limit=150, time_limit=180)
def send_invoices() -> int:
    """Mail the invoices and receipts whose time has come."""
    return mailing.send_due(now=timezone.now())


@shared_task(name="lago_sync.tasks.fetch_document", soft_time_limit=150, time_limit=180)
def fetch_document(invoice_id: str) -> bool:
    """Fetch the PDF of an invoice that somebody waits for."""
    return documents.fetch_wanted(invoice_id=UUID(invoice_id), now=timezone.now())


@shared_task(name="lago_sync.tasks.refresh_invoice", soft_time_limit=150, time_limit=180)
def refresh_invoice(invoice_id: str) -> None:
    """Look at one invoice, as after its card was charged."""
    mirror.refresh_one(invoice_id=UUID(invoice_id), now=timezone.now())


def enqueue_invoice(invoice_id: UUID) -> None:
    """Have an invoice looked at now; without the broker the poll finds what changed."""
    enqueue(refresh_invoice, str(invoice_id))


@shared_task(name="lago_sync.tasks.tell_paid", soft_time_limit=150, time_limit=180)
def tell_paid() -> int:
    """Tell Lago of invoices that staff marked as paid."""
    return payments.tell_paid(now=timezone.now())


def enqueue_tell_paid() -> None:
    """Have Lago told of invoices that were marked as paid now; without the broker the schedule does it."""
    enqueue(tell_paid)


def enqueue_document(invoice_id: UUID) -> None:
    """Have the PDF of an invoice fetched now. Never raises: whoever waits for it asks again."""
    enqueue(fetch_document, str(invoice_id))


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

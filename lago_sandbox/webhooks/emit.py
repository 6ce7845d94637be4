"""Noting who is to be told of what; the message itself is written when it is sent."""

import random
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from lago_sandbox import jobs, switches
from lago_sandbox.models import Delivery, WebhookEndpoint

OBJECT_TYPES: Final = {  # the prefix, except for these
    "events.errors": "events_errors",
    "customer.payment_provider_created": "customer",
    "customer.checkout_url_generated": "payment_provider_customer_checkout_url",
    "invoice.payment_failure": "payment_provider_invoice_payment_error",
    "invoice.payment_dispute_lost": "payment_dispute_lost",
    "wallet_transaction.payment_failure": "payment_provider_wallet_transaction_payment_error",
    "alert.triggered": "triggered_alert",
}


def emit(webhook_type: str, *, about: Any, now: datetime, extra: dict[str, Any] | None = None) -> None:
    """Note a message for every endpoint that wants the type; without an endpoint it is dropped, as at Lago."""
    delay = switches.read("webhook_delay")
    for endpoint in WebhookEndpoint.objects.order_by("created_at", "id"):
        if endpoint.event_types is not None and webhook_type not in endpoint.event_types:
            continue
        jitter = random.random() if switches.read("webhook_shuffle") else 0.0  # noqa: S311 - an order, not a secret
        last = Delivery.objects.order_by("-position").values_list("position", flat=True).first() or 0
        Delivery.objects.create(
            created_at=now,
            endpoint=endpoint,
            position=last + 1,
            webhook_type=webhook_type,
            object_type=OBJECT_TYPES.get(webhook_type, webhook_type.partition(".")[0]),
            object_id=str(getattr(about, "id", "")),
            extra=extra or {},
            due_at=now + timedelta(seconds=delay + jitter),
        )
    transaction.on_commit(jobs.bell.ring)

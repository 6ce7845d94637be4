"""A purchase on its way, the webhooks that the sandbox really wrote about it, and what became of them."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from credits.models import Grant
from lago_sync.inbox import handling, receiving
from lago_sync.models import Purchase, WebhookMessage
from lago_sync.purchases import advancing, orders
from lago_sync.purchases.orders import Order
from orgs.audit.events import Actor
from orgs.models import Organization
from tests.factories import orgs
from tests.lago_sync.inbox.messages import headers

NOBODY_LISTENS = "http://127.0.0.1:9/webhooks/lago"


@dataclass
class Bought:
    """A purchase that waits for its payment at the sandbox."""

    lago: Any
    organization: Organization
    purchase: Purchase

    def pay(self) -> None:
        self.lago.pay(str(self._now().invoice_id))
        self.lago.drain()

    def decline(self) -> None:
        self.lago.decline(str(self._now().invoice_id))
        self.lago.drain()

    def webhooks(self) -> dict[str, bytes]:
        """Return what the sandbox has written about it, by type."""
        self.lago.flush()
        now = self._now()
        mine = {str(now.wallet_transaction_id), str(now.invoice_id)}
        return {
            one["webhook_type"]: one["body"].encode()
            for one in self.lago.dump()["delivery"]
            if one["body"] and any(name in one["body"] for name in mine)
        }

    def stands(self) -> tuple[str, int]:
        """Return how the purchase stands, and how often it was granted."""
        return self._now().status, Grant.objects.filter(organization=self.organization).count()

    def _now(self) -> Purchase:
        return Purchase.objects.get(pk=self.purchase.pk)


def listen(lago: Any) -> None:
    """Let the sandbox write webhooks, to an address where nobody takes them."""
    lago.settings(webhook_wait_scale=0.0)
    endpoint = {"webhook_url": NOBODY_LISTENS, "signature_algo": "hmac"}
    assert lago.api("POST", "webhook_endpoints", json={"webhook_endpoint": endpoint}).status_code == 200


def bought(lago: Any) -> Bought:
    """Order credits and bring the order to where it waits for its payment."""
    organization = orgs.team()
    with transaction.atomic():
        purchase, _ = orders.place(
            organization=organization,
            order=Order(package_code="credits-5000", credits=None),
            idempotency_key="a click",
            by=Actor(kind="user", public_id="usr_buyer"),
            now=timezone.now(),
        )
    advancing.advance(purchase_id=purchase.pk, now=timezone.now())
    lago.drain()
    purchase = advancing.advance(purchase_id=purchase.pk, now=timezone.now())
    assert purchase.status == Purchase.Status.AWAITING_PAYMENT, purchase.last_error
    assert purchase.invoice_id is not None
    return Bought(lago, organization, purchase)


def received(body: bytes, *, unique: str = "") -> WebhookMessage | None:
    with transaction.atomic():
        return receiving.receive(body=body, headers=headers(body, unique=unique), now=timezone.now())


def heard(body: bytes) -> WebhookMessage:
    """Receive a message and handle it, when it is due: one that was told before within a minute."""
    received(body)
    message = WebhookMessage.objects.get(body_digest=hashlib.sha256(body).hexdigest())
    handling.handle(message_id=message.pk, now=max(message.due_at, timezone.now()))
    message.refresh_from_db()
    return message


def states() -> Counter[str]:
    return Counter(WebhookMessage.objects.values_list("state", flat=True))

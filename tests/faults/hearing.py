"""Acts of hearing a webhook, for processes that may die (dying.py): taking it in as the web does, and handling it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from credits.ledger import reconcile
from credits.models import Grant
from kit import transactions
from lago_sync import tasks
from lago_sync.inbox import handling, receiving
from lago_sync.models import Purchase, WebhookMessage
from lago_sync.purchases import advancing, orders
from lago_sync.purchases.orders import Order
from orgs.audit.events import Actor
from orgs.models import Organization
from tests.factories import orgs
from tests.lago_sync.inbox.messages import headers, message


def order(now: str) -> tuple[str, str]:
    """Order credits and top up at Lago; returns organization and purchase."""
    organization, at = orgs.team(), datetime.fromisoformat(now)
    with transactions.durable():
        purchase, _ = orders.place(
            organization=organization,
            order=Order(package_code="credits-5000", credits=None),
            idempotency_key="one click",
            by=Actor(kind="user", public_id="usr_buyer"),
            now=at,
        )
    return organization.public_id, advance(str(purchase.pk), now)


def advance(purchase: str, now: str) -> str:
    advancing.advance(purchase_id=UUID(purchase), now=datetime.fromisoformat(now))
    return purchase


def receive(transaction_id: str, unique: str, now: str) -> None:
    """Store a signed word about a wallet transaction, as the view does, and tell the broker."""
    body = message("wallet_transaction.updated", wallet_transaction={"lago_id": transaction_id})
    with transactions.durable():
        told = receiving.receive(
            body=body, headers=headers(body, unique=unique), now=datetime.fromisoformat(now)
        )
        if told is not None:
            transaction.on_commit(lambda: tasks.enqueue_webhook(told.pk))


def handle(now: str) -> int:
    return handling.handle_due(now=datetime.fromisoformat(now))


def look(organization: str, unique: str) -> dict[str, Any]:
    """Return how the purchase and its messages stand, and what is wrong with the books."""
    buyer = Organization.objects.get(public_id=organization)
    return {
        "purchases": list(Purchase.objects.filter(organization=buyer).values_list("status", flat=True)),
        "grants": Grant.objects.filter(organization=buyer).count(),
        "messages": list(WebhookMessage.objects.filter(unique_key=unique).values_list("state", flat=True)),
        "violations": [str(one) for one in reconcile.prove(organization=buyer)],
    }

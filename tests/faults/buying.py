"""Acts of a purchase for processes that may die (dying.py): making a buyer, ordering, advancing, paying, looking."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from credits.ledger import reconcile
from credits.models import Grant
from kit import transactions
from lago_sync import tasks
from lago_sync.models import Purchase
from lago_sync.purchases import advancing, orders, topups
from lago_sync.purchases.orders import Order
from orgs.audit.events import Actor
from orgs.models import Organization
from tests.factories import orgs as make

BUYER = Actor(kind="user", public_id="usr_buyer")
ORDER = Order(package_code="credits-5000", credits=None)


def begin(count: int) -> list[str]:
    """Make organizations that will buy."""
    return [make.team().public_id for _ in range(count)]


def place(organization: str, now: str) -> str:
    """Order as the web does: one transaction, then the broker is told; the same key each time."""
    with transactions.durable():
        purchase, _ = orders.place(
            organization=Organization.objects.get(public_id=organization),
            order=ORDER,
            idempotency_key="one click",
            by=BUYER,
            now=datetime.fromisoformat(now),
        )
        transaction.on_commit(lambda: tasks.enqueue_advance(purchase.pk))
    return str(purchase.pk)


def advance(purchase: str, now: str) -> str:
    return str(advancing.advance(purchase_id=UUID(purchase), now=datetime.fromisoformat(now)).status)


def advance_blindly(purchase: str, now: str) -> str:
    """Advance without looking for what Lago has already: the control."""
    topups.of_purchase = lambda *_, **__: topups.Found(None)
    return advance(purchase, now)


def look(organizations: list[str]) -> list[dict[str, Any]]:
    """Return what the books have of each organization's purchases."""
    return [_look(Organization.objects.get(public_id=one)) for one in organizations]


def _look(buyer: Organization) -> dict[str, Any]:
    bought = list(Purchase.objects.filter(organization=buyer))
    return {
        "purchases": [one.status for one in bought],
        "flagged": [one.drift for one in bought if one.drift],
        "grants": Grant.objects.filter(organization=buyer).count(),
        "violations": [str(one) for one in reconcile.prove(organization=buyer)],
    }

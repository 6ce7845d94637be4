"""Acts after an order for processes that may die (dying.py): giving it up, paying it back, telling Lago, looking."""

from datetime import datetime
from typing import Any
from uuid import UUID

from credits.ledger import reconcile
from credits.models import Grant, Withdrawal
from kit import transactions
from lago_sync.models import Purchase, Refund
from lago_sync.purchases import abandoning, advancing, refunds, voids
from orgs.models import Organization
from tests.faults.buying import BUYER


def give_up(purchase: str, now: str) -> None:
    """Give up as the web does, and advance at once as the job that it asks for."""
    at = datetime.fromisoformat(now)
    with transactions.durable():
        abandoning.give_up(purchase=Purchase.objects.get(pk=purchase), by=BUYER, now=at)
    advancing.advance(purchase_id=UUID(purchase), now=at)


def refund(purchase: str, now: str) -> None:
    """Refund all with one reference, as an admin who clicks again, and tell Lago as the job does."""
    at = datetime.fromisoformat(now)
    with transactions.durable():
        made = refunds.refund(
            purchase=Purchase.objects.get(pk=purchase),
            credits=None,
            reference="re_1",
            reason="r",
            by=BUYER,
            now=at,
        )
    voids.tell(refund_id=made.pk, now=at)


def tell(organization: str, now: str) -> None:
    """Tell Lago of this organization's refunds, as the schedule does for all."""
    waiting = voids.untold().filter(purchase__organization__public_id=organization)
    for refund_id in waiting.values_list("pk", flat=True):
        voids.tell(refund_id=refund_id, now=datetime.fromisoformat(now))


def look(organizations: list[str]) -> list[dict[str, Any]]:
    """Return what the books have of each organization's one purchase."""
    return [_look(Organization.objects.get(public_id=one)) for one in organizations]


def _look(buyer: Organization) -> dict[str, Any]:
    bought = Purchase.objects.get(organization=buyer)
    mine = Refund.objects.filter(purchase=bought)
    return {
        "status": bought.status,
        "drift": bought.drift,
        "grants": Grant.objects.filter(organization=buyer).count(),
        "refunds": mine.count(),
        "told": mine.filter(voided_at__isnull=False).count(),
        "withdrawals": Withdrawal.objects.filter(organization=buyer).count(),
        "violations": [str(one) for one in reconcile.prove(organization=buyer)],
    }

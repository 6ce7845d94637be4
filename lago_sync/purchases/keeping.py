"""What is written to a purchase's row on the way: never over a purchase that was granted meanwhile, and audited."""

import logging
from typing import Any

from kit import transactions
from lago_sync.models import Purchase
from orgs.audit import events
from orgs.audit.events import SYSTEM

logger = logging.getLogger(__name__)


def write(purchase: Purchase, **changes: Any) -> None:
    """Write to the row and to our copy of it, unless it was granted meanwhile."""
    Purchase.objects.filter(pk=purchase.pk).exclude(status__in=Purchase.GRANTED).update(**changes)
    for name, value in changes.items():
        setattr(purchase, name, value)


def flag(purchase: Purchase, why: str) -> None:
    """Put a purchase on the list of those that staff must look at, and say so in the log, once for each reason."""
    why = why[:500]
    with transactions.durable():
        if not Purchase.objects.filter(pk=purchase.pk).exclude(drift=why).update(drift=why):
            return
        record(purchase, "credits.purchase_flagged", why=why)
    purchase.drift = why
    logger.error("purchase %s of %s is not as ordered: %s", purchase.pk, purchase.organization.public_id, why)


def record(purchase: Purchase, action: str, **after: str) -> None:
    """Audit what the portal itself did with a purchase."""
    events.record(
        organization=purchase.organization.public_id,
        by=SYSTEM,
        action=action,
        target=purchase.key,
        after=after,
    )

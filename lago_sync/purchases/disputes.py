"""Lost disputes: the invoice shows one, whoever told us to look; then the purchase's credits are taken back."""

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

from kit import transactions
from lago_sync.client import invoices
from lago_sync.errors import LagoRefused
from lago_sync.models import LagoInvoice, Purchase
from lago_sync.purchases import auto_top_ups, refunds

logger = logging.getLogger(__name__)

_DISPUTED: Final = "A payment was disputed and lost."


def look(*, purchase_id: UUID, now: datetime) -> bool:
    """Fetch a granted purchase's invoice, and take its credits back if its payment was lost in a dispute.

    Returns whether that was so just now. Asks Lago, so no transaction may be open. Raises LagoUnavailable, LagoRefused.
    """
    purchase = Purchase.objects.filter(pk=purchase_id, status__in=Purchase.GRANTED).first()
    if purchase is None or purchase.status == Purchase.Status.DISPUTED or purchase.invoice_id is None:
        return False
    invoice = invoices.get(str(purchase.invoice_id))
    if invoice is None or not invoice.get("payment_dispute_lost_at"):
        return False
    with transactions.durable():  # first: whoever disputes what was charged is not charged by itself again
        auto_top_ups.stop(
            organization=purchase.organization, because=_DISPUTED, subject=purchase.key, now=now
        )
    with transactions.durable():
        refunds.dispute(purchase=purchase, invoice_number=purchase.invoice_number, now=now)
    return True


def look_at_mirrored(*, now: datetime) -> int:
    """Look at the purchases whose invoice, as it was mirrored last, shows a lost dispute; returns how many had lost."""
    lost = LagoInvoice.objects.filter(is_disputed=True, invoice_type="credit").values("lago_id")
    open_to_it = Purchase.objects.filter(
        invoice_id__in=lost, status__in=[Purchase.Status.COMPLETED, Purchase.Status.REFUNDED]
    )
    count = 0
    for purchase_id in list(open_to_it.values_list("pk", flat=True)[:50]):
        try:
            count += look(purchase_id=purchase_id, now=now)
        except LagoRefused as refusal:
            logger.warning("the dispute of purchase %s: %s", purchase_id, refusal.message)
    return count

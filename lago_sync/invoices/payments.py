"""Paying an invoice: the provider's page for it, and charging the stored card again."""

import logging
from datetime import datetime

from django.conf import settings

from kit import transactions
from kit.errors import Conflict
from lago_sync.client import invoices
from lago_sync.customers import methods
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable, LagoUnreachable
from lago_sync.invoices import mirror
from lago_sync.models import LagoInvoice, Purchase
from orgs.audit import events
from orgs.audit.events import SYSTEM, Actor

logger = logging.getLogger(__name__)

_AT_ONCE = 25
_OF_THE_INVOICE = (404, 405, 422)
"""What Lago answers about an invoice, and not about our key."""
_LONGEST: int = 2000
_BUSY = "payment_processor_is_currently_handling_payment"


class NotPayable(Conflict):
    """There is nothing to pay of this invoice, or no way to pay it here; nothing was done."""


def is_payable(invoice: LagoInvoice) -> bool:
    """Tell whether something is to be paid of an invoice, as Lago showed it last."""
    return invoice.status == mirror.FINALIZED and invoice.total_due_amount_cents > 0


def has_provider() -> bool:
    """Tell whether a payment provider takes money for this portal; without one staff note what was paid."""
    return bool(settings.LAGO_PAYMENT_PROVIDER)


def make_page(*, invoice: LagoInvoice) -> str:
    """Return a new page where the invoice is paid, and keep its address. Asks Lago, so no transaction may be open.

    Raises NotPayable, LagoUnavailable, LagoRefused.
    """
    _require_payable(invoice)
    try:
        address = invoices.payment_url(str(invoice.pk))
    except LagoRefused as refusal:
        raise _explained(refusal) from refusal
    if not address.startswith(("https://", "http://")) or len(address) > _LONGEST:
        raise LagoUnavailable("Lago answers no address.")
    with transactions.durable():
        LagoInvoice.objects.filter(pk=invoice.pk).update(payment_url=address)
    return address


def retry(*, invoice: LagoInvoice, by: Actor, now: datetime) -> LagoInvoice:
    """Have the stored card charged again; returns the invoice as Lago shows it then, most often still unpaid.

    Asks Lago, so no transaction may be open, and never twice: where its answer is lost, that is noted, and the payment
    shows at a later look. Raises NotPayable without a stored card, or while the provider is at it; LagoUnavailable.
    """
    _require_payable(invoice)
    if not methods.has_default(organization=invoice.organization):
        raise NotPayable("There is no stored card to charge. Store one, or pay on the payment page.")
    try:
        invoices.retry_payment(str(invoice.pk))
    except LagoRefused as refusal:
        raise _explained(refusal) from refusal
    except LagoUnavailable as error:
        _record(invoice, by, outcome=error.message)
        raise
    _record(invoice, by, outcome="Lago charges the stored card.")
    return mirror.refresh_one(invoice_id=invoice.pk, now=now) or invoice


def mark_paid(
    *,
    invoice: LagoInvoice,
    reference: str,
    reason: str,
    by: Actor,
    now: datetime,
    beside_provider: bool = False,
) -> LagoInvoice:
    """Note who says that an invoice was paid, where the money is and why; `tell_paid` then tells Lago, once this is committed.

    `beside_provider` says that it was paid past the payment provider that there is. Raises Conflict for one that has
    nothing to pay, that was marked and not yet told, or that is of a purchase, which has its own mark.
    """
    transactions.require()
    locked = LagoInvoice.objects.select_for_update(no_key=True, of=("self",)).get(pk=invoice.pk)
    if Purchase.objects.filter(invoice_id=locked.pk).exists():
        raise Conflict("This invoice is of a purchase; mark the purchase as paid.")
    if not is_payable(locked):
        raise NotPayable("There is nothing to pay of this invoice.")
    if has_provider() and not beside_provider:
        raise Conflict("There is a payment provider; say that this was paid past it.")
    if locked.paid_to_tell_since is not None:
        raise Conflict("This invoice was marked as paid; Lago is being told.")
    locked.paid_to_tell_since = now
    locked.save(update_fields=["paid_to_tell_since"])
    events.record(
        organization=invoice.organization.public_id,
        by=by,
        action="invoice.marked_paid",
        target=str(locked.pk),
        before={"payment_status": locked.payment_status},
        after={"number": locked.number, "reference": reference, "reason": reason},
    )
    return locked


def tell_paid(*, now: datetime) -> int:
    """Have Lago take for paid what staff marked, the oldest first, and return how many it took. Asks Lago.

    A repeat is harmless, so a mark stands until Lago's answer is in the mirror. Where Lago is away the next run goes on,
    and one invoice that it cannot answer for stops no other; what it refuses of one (it was voided) is in the audit log.
    """
    waiting = LagoInvoice.objects.select_related("organization").filter(paid_to_tell_since__isnull=False)
    count = 0
    for invoice in waiting.order_by("paid_to_tell_since")[:_AT_ONCE]:
        try:
            count += _tell_paid(invoice, now)
        except LagoUnreachable:
            break
        except LagoIntegrationError as error:
            logger.warning("invoice %s is still to be told as paid: %s", invoice.number, error.message)
    return count


def _tell_paid(invoice: LagoInvoice, now: datetime) -> bool:
    refused = ""
    try:
        invoices.update(str(invoice.pk), {"payment_status": "succeeded"})
    except LagoRefused as refusal:
        if refusal.http_status not in _OF_THE_INVOICE:
            raise
        refused = refusal.lago_code or refusal.message
    mirror.refresh_one(invoice_id=invoice.pk, now=now)
    with transactions.durable():
        told = LagoInvoice.objects.filter(pk=invoice.pk, paid_to_tell_since__isnull=False)
        is_first = bool(told.update(paid_to_tell_since=None))
        if refused and is_first:
            events.record(
                organization=invoice.organization.public_id,
                by=SYSTEM,
                action="invoice.mark_refused",
                target=str(invoice.pk),
                after={"number": invoice.number, "lago": refused},
            )
    return is_first and not refused


def _require_payable(invoice: LagoInvoice) -> None:
    if not is_payable(invoice):
        raise NotPayable("There is nothing to pay of this invoice.")
    if not has_provider():
        raise NotPayable(
            "There is no payment provider. Pay as the invoice says; a system admin then marks it as paid."
        )


def _explained(refusal: LagoRefused) -> Exception:
    """Return what Lago's refusal means to somebody who wants to pay; the refusal itself where it is about neither."""
    if refusal.lago_code == _BUSY:
        return NotPayable("The payment provider is charging the card right now. Look again in a minute.")
    if refusal.has("no_linked_payment_provider") or refusal.has("missing_payment_provider_customer"):
        return NotPayable("The payment provider does not know this organization yet. Ask a system admin.")
    if refusal.http_status == 405 or refusal.has("invalid_invoice_status_or_payment_status"):
        return NotPayable("Lago has nothing to pay of this invoice: it was paid or voided just now.")
    return refusal


def _record(invoice: LagoInvoice, by: Actor, *, outcome: str) -> None:
    with transactions.durable():
        events.record(
            organization=invoice.organization.public_id,
            by=by,
            action="invoice.payment_retried",
            target=str(invoice.pk),
            after={"number": invoice.number, "outcome": outcome},
        )

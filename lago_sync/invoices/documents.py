"""The PDF of an invoice: made by Lago on demand, fetched from it once without our key, kept, and served by us."""

import logging
import re
from datetime import datetime
from typing import Final
from uuid import UUID

from kit import transactions
from lago_sync.client import files, invoices
from lago_sync.errors import LagoIntegrationError, LagoUnavailable
from lago_sync.models import InvoiceDocument, LagoInvoice

logger = logging.getLogger(__name__)

_BEGINS: Final = b"%PDF-"
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


def kept(*, invoice: LagoInvoice) -> bytes | None:
    """Return the PDF if it was fetched before; asks nobody."""
    found = InvoiceDocument.objects.filter(invoice=invoice).first()
    return bytes(found.content) if found is not None else None


def can_be_made(invoice: LagoInvoice) -> bool:
    """Tell whether Lago makes a PDF of it: of what is final, and of nothing else (reference/lago.md §2.8)."""
    return invoice.status == "finalized"


def fetch(*, invoice: LagoInvoice, now: datetime) -> bytes | None:
    """Return the PDF, fetched from Lago where it was not yet; None while Lago makes it: ask again then.

    Asks Lago, so no transaction may be open. Raises LagoUnavailable, also for a file that is no PDF, larger than
    10 MiB or elsewhere than at Lago; LagoRefused for an invoice that is not final.
    """
    found = kept(invoice=invoice)
    if found is not None:
        return found
    address = invoices.download(str(invoice.pk))
    if address is None:
        return None
    content = files.fetch(address)
    if not content.startswith(_BEGINS):
        raise LagoUnavailable("Lago's file is no PDF.")
    with transactions.durable():
        InvoiceDocument.objects.bulk_create(
            [InvoiceDocument(invoice=invoice, content=content, fetched_at=now)],
            ignore_conflicts=True,  # somebody else was as far as we are
        )
    return content


def fetch_wanted(*, invoice_id: UUID, now: datetime) -> bool:
    """Fetch the PDF that somebody waits for and tell whether it is there; what goes wrong at Lago stands in the log."""
    invoice = LagoInvoice.objects.filter(pk=invoice_id).first()
    if invoice is None or not can_be_made(invoice):
        return False
    try:
        return fetch(invoice=invoice, now=now) is not None
    except LagoIntegrationError as error:
        logger.warning("the PDF of invoice %s: %s", invoice.number, error.message)
        return False


def headers(invoice: LagoInvoice) -> dict[str, str]:
    """Return what goes with the PDF to whom we hand it: a file to keep, not a page of ours, nothing for a proxy to keep."""
    return {
        "Content-Disposition": f'attachment; filename="{filename(invoice)}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }


def filename(invoice: LagoInvoice) -> str:
    """Return the name under which the PDF is handed out, safe in a header and on any disk."""
    return f"{_NOT_IN_A_NAME.sub('-', invoice.number).strip('-.') or 'invoice'}.pdf"

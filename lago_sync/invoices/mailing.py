"""Invoices by e-mail: one at a time under a lease, the attempt counted before it is made, with the PDF once Lago has it.

A worker that dies between the mail server and its own note sends the mail again; its Message-ID is the invoice's and the
day's, so who gets it twice can tell.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse

from kit import transactions
from kit.errors import Conflict
from lago_sync import money
from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.invoices import contents, documents, news
from lago_sync.models import LagoInvoice
from orgs.audit import events
from orgs.audit.events import Actor

logger = logging.getLogger(__name__)

Mail = LagoInvoice.Mail

WAITS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=1),
    timedelta(minutes=3),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=12),
)
"""After each attempt but the last one."""
ATTEMPTS: Final = len(WAITS) + 1
WITHOUT_PDF: Final = 6
"""From this attempt on, three quarters of an hour after the first, a mail goes out without a PDF that Lago does not make."""
_LEASE: Final = timedelta(minutes=5)
_AWAY: Final = timedelta(minutes=5)
_STARTS_WITHIN: Final = 10.0  # seconds: one run of the job begins no further mail after this


def send_due(*, now: datetime) -> int:
    """Send the mails whose time has come and return how many went out; one that fails stops no other. May ask Lago."""
    began, sent = time.monotonic(), 0
    _give_up(now)
    while time.monotonic() - began <= _STARTS_WITHIN and (row := _claim(now)) is not None:
        sent += _deliver(row, now)
    return sent


def send_again(*, invoice: LagoInvoice, by: Actor, now: datetime) -> LagoInvoice:
    """Have an invoice mailed once more; one that waits to be sent is left as it is.

    Raises Conflict for one that is not sent at all (a draft, a purchase that is not paid), or where there is no address.
    """
    transactions.require()
    row = LagoInvoice.objects.select_for_update(no_key=True, of=("self",)).select_related("organization")
    locked = row.get(pk=invoice.pk)
    if not news.goes_out(locked):
        raise Conflict("This invoice is not sent by mail: it is not final, or not paid yet.")
    to = news.address_of(locked)
    if not to:
        raise Conflict("There is no billing address to send it to; add one in the settings.")
    if locked.mail != Mail.PENDING:
        locked.mail, locked.mail_due_at, locked.mail_attempts = Mail.PENDING, now, 0
        locked.save(update_fields=["mail", "mail_due_at", "mail_attempts"])
        events.record(
            organization=locked.organization.public_id,
            by=by,
            action="invoice.sent_again",
            target=str(locked.pk),
            after={"number": locked.number, "to": to},
        )
    return locked


def compose(*, invoice: LagoInvoice, to: str, document: bytes | None) -> EmailMultiAlternatives:
    """Return the mail of an invoice, or the receipt of a purchase: text and HTML that say the same, and the PDF."""
    organization = invoice.organization
    context: dict[str, Any] = {
        "notice": {
            "title": _title(invoice),
            "organization": organization,
            "lines": _lines(invoice, has_document=document is not None),
            "action": "Look at the invoice",
        },
        "portal": settings.PORTAL_NAME,
        "link": urljoin(settings.SITE_URL, reverse("invoices:invoice", args=[organization.slug, invoice.pk])),
    }
    message = EmailMultiAlternatives(
        subject=" ".join(f"[{settings.PORTAL_NAME}] {_title(invoice)}".split()),
        body=render_to_string("invoices/mail.txt", context),
        to=[to],
        headers={"Message-ID": _message_id(invoice), "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string("invoices/mail.html", context), "text/html")
    if document is not None:
        message.attach(documents.filename(invoice), document, "application/pdf")
    return message


def attach(*, attachment: str, message: EmailMultiAlternatives) -> None:
    """Attach the PDF where `attachment` of a notice names an invoice and the portal has its PDF; else nothing."""
    kind, _, invoice_id = attachment.partition(" ")
    if kind != news.ATTACHED:
        return
    invoice = LagoInvoice.objects.filter(pk=invoice_id).first()
    document = documents.kept(invoice=invoice) if invoice is not None else None
    if invoice is not None and document is not None:
        message.attach(documents.filename(invoice), document, "application/pdf")


def _claim(now: datetime) -> LagoInvoice | None:
    """Take the mail that has waited longest and count an attempt; None where none is due. Others pass it over."""
    due = LagoInvoice.objects.filter(mail=Mail.PENDING, mail_due_at__lte=now, mail_attempts__lt=ATTEMPTS)
    with transactions.durable():
        rows = due.order_by("mail_due_at", "pk").select_for_update(skip_locked=True, no_key=True)
        taken = rows.values_list("pk", flat=True).first()
        if taken is None:
            return None
        LagoInvoice.objects.filter(pk=taken).update(
            mail_attempts=F("mail_attempts") + 1, mail_due_at=now + _LEASE
        )
    return LagoInvoice.objects.select_related("organization").get(pk=taken)


def _deliver(row: LagoInvoice, now: datetime) -> bool:
    """Send one mail and note what became of it; nothing of a mail server's or Lago's is raised."""
    to = news.address_of(row)
    if not to or not news.goes_out(row):  # it was voided, or the address taken away, while it waited
        _note(row, mail=Mail.OFF)
        return False
    try:
        document = _document(row, now)
        if document is None and row.mail_attempts < WITHOUT_PDF:
            _later(row, now)
            return False
        compose(invoice=row, to=to, document=document).send()
    except LagoUnavailable as error:
        logger.warning("the mail of invoice %s waits for Lago: %s", row.number, error.message)
        _note(row, mail_attempts=row.mail_attempts - 1, mail_due_at=now + _AWAY)
        return False
    except Exception:  # a server that is away, an address it refuses
        logger.exception("the mail of invoice %s was not sent", row.number)
        _later(row, now)
        return False
    _note(row, mail=Mail.SENT, mailed_at=now, mailed_to=to[:254])
    return True


def _document(row: LagoInvoice, now: datetime) -> bytes | None:
    """Return the PDF, None where Lago has not made it; after some attempts the mail goes without one that cannot be had."""
    try:
        return documents.fetch(invoice=row, now=now)
    except LagoRefused as refusal:
        logger.warning("the PDF of invoice %s: %s", row.number, refusal.message)
        return None
    except LagoUnavailable:
        if row.mail_attempts >= WITHOUT_PDF:
            return None
        raise


def _later(row: LagoInvoice, now: datetime) -> None:
    if row.mail_attempts >= ATTEMPTS:
        _note(row, mail=Mail.FAILED)
    else:
        _note(row, mail_due_at=now + WAITS[row.mail_attempts - 1])


def _give_up(now: datetime) -> None:
    """Note as failed what no worker came back from after its last attempt."""
    lost = LagoInvoice.objects.filter(mail=Mail.PENDING, mail_attempts__gte=ATTEMPTS, mail_due_at__lte=now)
    with transactions.durable():
        lost.update(mail=Mail.FAILED)


def _note(row: LagoInvoice, **changes: object) -> None:
    """Write while the attempt is still ours."""
    mine = LagoInvoice.objects.filter(pk=row.pk, mail=Mail.PENDING, mail_attempts=row.mail_attempts)
    with transactions.durable():
        mine.update(**changes)


def _title(invoice: LagoInvoice) -> str:
    what = "Receipt" if news.is_receipt(invoice) else "Invoice"
    return f"{what} {invoice.number} of {money.display(invoice.total_amount_cents, invoice.currency)}"


def _lines(invoice: LagoInvoice, *, has_document: bool) -> list[str]:
    shown = [
        f"{line.name}, {line.period_text}: {money.display(line.amount_cents, invoice.currency)}."
        for line in contents.lines(invoice)
        if line.amount_cents
    ]
    if not has_document:
        return [
            *shown,
            news.payment(invoice),
            "Its PDF is not made yet; the page of the invoice has it later.",
        ]
    return [*shown, news.payment(invoice), "The PDF is attached."]


def _message_id(invoice: LagoInvoice) -> str:
    """Return the same for every attempt of one sending: what is sent again on purpose is another mail."""
    sending = int(invoice.mailed_at.timestamp()) if invoice.mailed_at else 0
    return f"<{invoice.pk}.{sending}@{urlsplit(settings.SITE_URL).hostname}>"

"""What is new about an invoice: who is told, and whether it goes out by mail."""

from datetime import datetime, timedelta
from typing import Final

from django.urls import reverse

from kit import transactions
from lago_sync import money
from lago_sync.invoices import contents, reading
from lago_sync.models import LagoCustomer, LagoInvoice, Purchase
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

ATTACHED: Final = "lago_sync.invoice"
"""How the attachment of a notice names an invoice: this word, and Lago's id."""
_NEWS_FOR: Final = timedelta(days=7)
_FIRST_NEWS_FOR: Final = timedelta(days=1)
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_RECEIPT: Final = "credit"


def announce(*, row: LagoInvoice, before: LagoInvoice | None, now: datetime) -> None:
    """Tell of an invoice that has just become one to send; fills the columns of its mail, which the caller saves.

    A plan's invoice is sent when it is final, a purchase's when it is paid, as a receipt. What was there before the
    portal knew the customer, or was found long after, is no news.
    """
    transactions.require()
    if not goes_out(row) or (before is not None and goes_out(before)):
        return
    if before is None and not _is_recent(row, now):
        return
    if address_of(row):
        row.mail, row.mail_due_at, row.mail_attempts = LagoInvoice.Mail.PENDING, now, 0
    if not is_receipt(row):
        _tell(row)


def is_receipt(row: LagoInvoice) -> bool:
    """Tell whether it is a purchase of credits, whose mail is a receipt."""
    return row.invoice_type == _RECEIPT


def goes_out(row: LagoInvoice) -> bool:
    """Tell whether an invoice is one that is sent: final and over something; a purchase's once it is paid."""
    if row.status != "finalized":
        return False
    if is_receipt(row):
        return row.payment_status == "succeeded"
    return contents.fees_cents(row) > 0


def address_of(row: LagoInvoice) -> str:
    """Return where an invoice is mailed: the billing address, else a receipt goes to who bought.

    "" for none, and for somebody who belongs to the organization no more.
    """
    if row.organization.billing_email or not is_receipt(row):
        return row.organization.billing_email
    purchase = Purchase.objects.filter(invoice_id=row.pk).first()
    buyers = audience.member(row.organization, purchase.made_by) if purchase else []
    return (buyers[0].email or "") if buyers else ""


def _is_recent(row: LagoInvoice, now: datetime) -> bool:
    made = reading.instant(row.body.get("created_at"))
    customer = LagoCustomer.objects.filter(organization=row.organization).first()
    if made is None or customer is None:
        return False
    lasts = _NEWS_FOR if customer.invoices_synced_at else _FIRST_NEWS_FOR
    return made >= customer.created_at - _CLOCKS_DIFFER and made >= now - lasts


def _tell(row: LagoInvoice) -> None:
    organization = row.organization
    total = money.display(row.total_amount_cents, row.currency)
    notices.once(
        kind=Kind.INVOICE_READY,
        subject=str(row.pk),
        crossing="ready",
        to=audience.admins(organization),
        organization=organization,
        title=f"Invoice {row.number} of {total} is ready",
        lines=[*(f"{line.name}: {line.period_text}." for line in contents.plan_lines(row)), payment(row)],
        action="Look at the invoice",
        path=reverse("invoices:invoice", args=[organization.slug, row.pk]),
        attachment="" if organization.billing_email else f"{ATTACHED} {row.pk}",
    )


def payment(row: LagoInvoice) -> str:
    """Say whether an invoice is paid, or what is to be paid until when."""
    if row.payment_status == "succeeded":
        return "It is paid; there is nothing to do."
    due = f" by {row.payment_due_date:%-d %B %Y}" if row.payment_due_date else ""
    return f"{money.display(row.total_due_amount_cents, row.currency)} is to be paid{due}."

"""How the API shows invoices and credit notes: from the mirror, each with its `as_of`."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from credits.api.answers import instant
from kit.rest.schema import Pagination, Shape
from lago_sync import money
from lago_sync.invoices import contents, listing
from lago_sync.invoices.contents import Line
from lago_sync.models import LagoCreditNote, LagoInvoice


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceShape(Shape):
    id: Annotated[str, "Lago's"]
    number: str
    invoice_type: Annotated[str, "subscription (a plan), credit (credits that were bought), one_off, …"]
    status: Annotated[str, "draft, finalized, voided, failed or pending"]
    payment_status: Annotated[str, "pending, succeeded or failed"]
    state: Annotated[
        str, "draft, void, disputed, paid, declined, overdue or to_pay: how it stands in one word"
    ]
    is_overdue: bool
    is_disputed: Annotated[bool, "a dispute over its payment was lost"]
    currency: str
    total_amount_cents: Annotated[int, "in minor units of the currency"]
    total_due_amount_cents: Annotated[int, "what is left to pay"]
    total_amount: Annotated[str, "decimal, in major units"]
    issuing_date: str
    payment_due_date: str | None
    mailed_at: Annotated[str | None, "when it was mailed last"]
    mailed_to: str | None
    as_of: Annotated[str, "when Lago showed it so"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeShape(Shape):
    kind: Annotated[str, "subscription for a plan, credit for credits, charge for usage, …"]
    code: str
    name: str
    first_day: Annotated[str | None, "of the time that it is for, a day in UTC"]
    last_day: Annotated[str | None, "included"]
    units: str
    amount_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteShape(Shape):
    id: str
    number: str
    invoice_id: Annotated[str | None, "the invoice that it corrects"]
    reason: str
    credit_status: Annotated[str, "available, consumed or voided"]
    currency: str
    total_amount_cents: int
    balance_amount_cents: Annotated[int, "what later invoices can still use"]
    issuing_date: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SumShape(Shape):
    name: str
    amount_cents: Annotated[int, "negative for what was taken off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDetailShape(InvoiceShape):
    fees: list[FeeShape]
    sums: Annotated[list[SumShape], "how the total came about"]
    credit_notes: Annotated[list[CreditNoteShape], "what was given back of it"]
    purchase_id: Annotated[str | None, "what was bought with it"]
    payment_url: Annotated[str | None, "where it is paid, once somebody asked for that page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceList(Shape):
    data: list[InvoiceShape]
    pagination: Pagination
    as_of: Annotated[str | None, "when the whole list was looked at last; null before the first time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeingMadeShape(Shape):
    status: Annotated[str, "being_made: ask again after `Retry-After` seconds"]


def invoice(row: LagoInvoice, *, now: datetime) -> dict[str, Any]:
    """Return an invoice as lists show it."""
    return {
        "id": str(row.pk),
        "number": row.number,
        "invoice_type": row.invoice_type,
        "status": row.status,
        "payment_status": row.payment_status,
        "state": str(listing.state_of(row, now=now)),
        "is_overdue": listing.is_late(row, now=now),
        "is_disputed": row.is_disputed,
        "currency": row.currency,
        "total_amount_cents": row.total_amount_cents,
        "total_due_amount_cents": row.total_due_amount_cents,
        "total_amount": money.major_text(row.total_amount_cents, row.currency),
        "issuing_date": row.issuing_date.isoformat(),
        "payment_due_date": _day(row.payment_due_date),
        "mailed_at": instant(row.mailed_at) if row.mailed_at else None,
        "mailed_to": row.mailed_to or None,
        "as_of": instant(row.synced_at),
    }


def detail(row: LagoInvoice, *, now: datetime) -> dict[str, Any]:
    """Return an invoice with everything on it."""
    purchase = listing.purchase_of(row)
    return invoice(row, now=now) | {
        "fees": [_fee(line) for line in contents.lines(row)],
        "sums": [{"name": one.name, "amount_cents": one.amount_cents} for one in contents.sums(row)],
        "credit_notes": [credit_note(one) for one in listing.credit_notes_of(row)],
        "purchase_id": str(purchase.pk) if purchase else None,
        "payment_url": row.payment_url if row.payment_url and row.total_due_amount_cents else None,
    }


def credit_note(row: LagoCreditNote) -> dict[str, Any]:
    """Return a credit note."""
    return {
        "id": str(row.pk),
        "number": row.number,
        "invoice_id": str(row.invoice_id) if row.invoice_id else None,
        "reason": row.reason,
        "credit_status": row.credit_status,
        "currency": row.currency,
        "total_amount_cents": row.total_amount_cents,
        "balance_amount_cents": row.balance_amount_cents,
        "issuing_date": row.issuing_date.isoformat(),
        "as_of": instant(row.synced_at),
    }


def _fee(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "code": line.code,
        "name": line.name,
        "first_day": _day(line.first_day),
        "last_day": _day(line.last_day),
        "units": line.units,
        "amount_cents": line.amount_cents,
    }


def _day(given: date | None) -> str | None:
    return given.isoformat() if given is not None else None

"""What stands on an invoice, read from Lago's kept answer; what it lacks is left out, so an odd one can still be shown.

The days of a period are Lago's own, in UTC, as the PDF prints them (without a licence it knows no other zone).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any, Final
from uuid import UUID

from lago_sync.invoices import reading
from lago_sync.models import LagoInvoice

_PLAN: Final = "subscription"
FEES: Final = "Fees"
_NOTES: Final = "Credit notes"
_SUMS: Final = (
    (FEES, "fees_amount_cents", 1),
    ("Coupons", "coupons_amount_cents", -1),
    (_NOTES, "credit_notes_amount_cents", -1),
    ("Tax", "taxes_amount_cents", 1),
    ("Prepaid at Lago", "prepaid_credit_amount_cents", -1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fee: what it is for, of which time, how much in minor units."""

    kind: str
    code: str
    name: str
    first_day: date | None
    last_day: date | None
    units: str
    amount_cents: int

    @property
    def period_text(self) -> str:
        """The days in words; "" where Lago names none."""
        if self.first_day is None or self.last_day is None:
            return "one time"
        if self.first_day == self.last_day:
            return f"{self.first_day:%-d %B %Y}"
        return f"{self.first_day:%-d %B %Y} to {self.last_day:%-d %B %Y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """What a credit note took off an invoice."""

    number: str
    note_id: UUID | None
    amount_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One line of how the total came about; what was taken off is negative."""

    name: str
    amount_cents: int


def lines(row: LagoInvoice) -> list[Line]:
    """Return the fees of an invoice as Lago orders them."""
    return [_line(fee, row) for fee in _objects(row.body.get("fees"))]


def plan_lines(row: LagoInvoice) -> list[Line]:
    """Return the fees of plans only: usage is billed at nothing, and not worth a sentence."""
    return [line for line in lines(row) if line.kind == _PLAN]


def credits(row: LagoInvoice) -> list[Credited]:
    """Return what credit notes took off."""
    found = _objects(row.body.get("credits"))
    return [
        Credited(
            number=_text(_item(one).get("code")) or _text(_item(one).get("name")),
            note_id=_uuid(_item(one).get("lago_item_id")),
            amount_cents=_cents(one.get("amount_cents")),
        )
        for one in found
    ]


def sums(row: LagoInvoice) -> list[Sum]:
    """Return what came to the total: the fees always, the rest where there is some, each credit note by its number."""
    found = []
    for name, key, sign in _SUMS:
        cents = _cents(row.body.get(key))
        notes = credits(row) if name == _NOTES else []
        if cents and cents == sum(one.amount_cents for one in notes):
            found += [Sum(name=f"Credit note {one.number}", amount_cents=-one.amount_cents) for one in notes]
        elif cents or name == FEES:
            found.append(Sum(name=name, amount_cents=sign * cents))
    return found


def uses_notes(row: LagoInvoice) -> bool:
    """Tell whether a credit note took something off, so that less is left of it."""
    return _cents(row.body.get("credit_notes_amount_cents")) > 0


def fees_cents(row: LagoInvoice) -> int:
    """Return the sum of the fees before anything was taken off."""
    return _cents(row.body.get("fees_amount_cents"))


def _line(fee: dict[str, Any], row: LagoInvoice) -> Line:
    item, period = _item(fee), _period(fee, row)
    return Line(
        kind=_text(item.get("type")),
        code=_text(item.get("code")),
        name=_text(item.get("invoice_display_name"))
        or _text(item.get("name"))
        or _text(item.get("code"))
        or "Fee",
        first_day=period[0],
        last_day=period[1],
        units=_text(fee.get("units")),
        amount_cents=_cents(fee.get("amount_cents")),
    )


def _period(fee: dict[str, Any], row: LagoInvoice) -> tuple[date | None, date | None]:
    """Return the days that a fee is for: its own, else those that the invoice gives its subscription."""
    starts, ends = fee.get("from_date"), fee.get("to_date")
    if not (starts and ends):
        for one in _objects(row.body.get("billing_periods")):
            if one.get("lago_subscription_id") == fee.get("lago_subscription_id"):
                starts, ends = one.get("subscription_from_datetime"), one.get("subscription_to_datetime")
    return _day(starts), _day(ends)


def _day(given: Any) -> date | None:
    at = reading.instant(given)
    return at.astimezone(UTC).date() if at is not None else None


def _objects(given: Any) -> Iterator[dict[str, Any]]:
    return (one for one in given if isinstance(one, dict)) if isinstance(given, list) else iter(())


def _item(given: dict[str, Any]) -> dict[str, Any]:
    item = given.get("item")
    return item if isinstance(item, dict) else {}


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _cents(given: Any) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) else 0


def _uuid(given: Any) -> UUID | None:
    try:
        return UUID(str(given))
    except ValueError:
        return None

"""Lago's JSON of an invoice or a credit note as the columns that the mirror keeps; the rest stays in `body`."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime

from lago_sync.client.transport import Json

_UNSTEADY: Final = frozenset(("customer", "file_url", "web_url"))
"""What changes without the invoice: who the customer is now, and addresses that are signed anew with each answer."""
_DETAILS: Final = "fees"
"""Only the answer about one invoice has them, a list has not."""


def invoice(given: Json) -> dict[str, Any]:
    """Return the columns of an invoice with its fees. Raises KeyError, TypeError, ValueError for what is none."""
    if not isinstance(given[_DETAILS], list):
        raise TypeError("an invoice has a list of fees")
    return {
        "number": _text(given["number"], 64),
        "invoice_type": _text(given["invoice_type"], 24),
        "status": _text(given["status"], 16),
        "payment_status": _text(given["payment_status"], 16),
        "is_overdue": given.get("payment_overdue") is True,
        "is_disputed": bool(given.get("payment_dispute_lost_at")),
        "currency": _text(given["currency"], 3),
        "total_amount_cents": _cents(given["total_amount_cents"]),
        "total_due_amount_cents": _due(given),
        "issuing_date": _day(given["issuing_date"]),
        "payment_due_date": _day(given["payment_due_date"]) if given.get("payment_due_date") else None,
        "updated_at": instant(given.get("updated_at")),
        "body": storable(given),
    }


def credit_note(given: Json) -> dict[str, Any]:
    """Return the columns of a credit note. Raises KeyError, TypeError, ValueError for what is none."""
    return {
        "invoice_id": given["lago_invoice_id"] or None,
        "number": _text(given["number"], 64),
        "reason": _text(given["reason"], 32),
        "credit_status": _text(given["credit_status"] or "", 16),
        "currency": _text(given["currency"], 3),
        "total_amount_cents": _cents(given["total_amount_cents"]),
        "balance_amount_cents": _cents(given.get("balance_amount_cents") or 0),
        "issuing_date": _day(given["issuing_date"]),
        "body": storable(given),
    }


def is_known(listed: Json, body: Mapping[str, Any]) -> bool:
    """Tell whether the entry of a list says nothing that the kept answer does not say too."""
    if _DETAILS not in body:
        return False
    said = {name: value for name, value in storable(listed).items() if name not in _UNSTEADY}
    return all(name in body and body[name] == value for name, value in said.items())


def storable(value: Any) -> Any:
    """Return JSON that PostgreSQL can keep: decimals as strings, no NUL."""
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.replace("\x00", "") if isinstance(value, str) else value


def instant(given: Any) -> datetime | None:
    """Return a time of Lago's, None where there is none."""
    try:
        at = parse_datetime(str(given or ""))
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _due(given: Json) -> int:
    """Return what is left to pay: what was marked as paid by hand still counts as due at Lago (lago.md §2.8)."""
    if given["payment_status"] == "succeeded" or given["status"] == "voided":
        return 0
    due = given.get("total_due_amount_cents")
    return _cents(given["total_amount_cents"] if due is None else due)


def _text(given: Any, longest: int) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no text")
    return given.replace("\x00", "")[:longest]


def _cents(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{given!r} is no amount in minor units")
    return given


def _day(given: Any) -> date:
    found = parse_date(str(given)[:10])
    if found is None:
        raise ValueError(f"{given!r} is no day")
    return found

"""Figures by month: two are free, the others need a licence."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from django.http import HttpRequest

from lago_sandbox import clock
from lago_sandbox.api.routing import require_licence
from lago_sandbox.billing.periods import add_months
from lago_sandbox.models import Fee, Invoice
from lago_sandbox.shapes.invoices import is_overdue

MONTHS = 12


def gross_revenue(request: HttpRequest) -> dict[str, Any]:
    """Return what was invoiced; a month without invoices has amount null."""
    return {
        "gross_revenues": [
            _row(month, currency, rows) | {"invoices_count": len(rows), "billing_entity_id": None}
            for month, currency, rows in _by_month(request, _finalized(request))
        ]
    }


def overdue_balance(request: HttpRequest) -> dict[str, Any]:
    late = [one for one in _finalized(request) if is_overdue(one)]
    return {
        "overdue_balances": [
            _row(month, currency, rows) | {"lago_invoice_ids": [str(one.id) for one in rows]}
            for month, currency, rows in _by_month(request, late)
        ]
    }


def mrr(request: HttpRequest) -> dict[str, Any]:
    """Return the base fees of each month. Needs a licence."""
    require_licence()
    plans = [one for one in _finalized(request) if one.invoice_type == "subscription"]
    return {"mrrs": [_fees(found, "subscription") for found in _by_month(request, plans)]}


def invoice_collection(request: HttpRequest) -> dict[str, Any]:
    require_licence()
    found = []
    for month, currency, rows in _by_month(request, _finalized(request)):
        for status in ("succeeded", "failed", "pending"):
            some = [one for one in rows if one.payment_status == status]
            more = {"payment_status": status, "invoices_count": len(some)}
            found.append({**_row(month, currency, some), "amount_cents": _sum(some) or 0} | more)
    return {"invoice_collections": found}


def invoiced_usage(request: HttpRequest) -> dict[str, Any]:
    require_licence()
    return {"invoiced_usages": [_fees(found, "charge") for found in _by_month(request, _finalized(request))]}


def _finalized(request: HttpRequest) -> list[Invoice]:
    rows = Invoice.objects.filter(status="finalized").select_related("customer")
    if external_id := request.GET.get("external_customer_id"):
        rows = rows.filter(customer__external_id=external_id)
    if currency := request.GET.get("currency"):
        rows = rows.filter(currency=currency.upper())
    return list(rows)


def _by_month(request: HttpRequest, rows: Iterable[Invoice]) -> list[tuple[date, str, list[Invoice]]]:
    """Return (first day, currency, invoices) of the last months, the newest last."""
    given = request.GET.get("months", "")
    count = int(given) if given.isdecimal() and given != "0" else MONTHS
    by_month: dict[tuple[date, str], list[Invoice]] = defaultdict(list)
    for one in rows:
        by_month[one.issuing_date.replace(day=1), one.currency].append(one)
    currencies = sorted({currency for _, currency in by_month}) or ["USD"]
    present = clock.now().date().replace(day=1)
    months = [add_months(present, -back) for back in range(count - 1, -1, -1)]
    return [
        (month, currency, by_month.get((month, currency), [])) for currency in currencies for month in months
    ]


def _row(month: date, currency: str, rows: list[Invoice]) -> dict[str, Any]:
    return {"month": f"{month}T00:00:00.000Z", "amount_cents": _sum(rows), "currency": currency}


def _sum(rows: list[Invoice]) -> int | None:
    return sum(one.total_amount_cents + one.prepaid_credit_amount_cents for one in rows) if rows else None


def _fees(found: tuple[date, str, list[Invoice]], fee_type: str) -> dict[str, Any]:
    month, currency, rows = found
    fees = Fee.objects.filter(invoice__in=rows, fee_type=fee_type).values_list("amount_cents", flat=True)
    return _row(month, currency, rows) | {"amount_cents": sum(fees) if rows else None}

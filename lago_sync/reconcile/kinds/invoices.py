"""Invoices and payments: the mirror says of each what Lago says, and a payment that Lago has is one that was heard of."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db.models import Q

from lago_sync.client import invoices, payments
from lago_sync.client.transport import Json
from lago_sync.invoices import mirror, reading
from lago_sync.models import LagoCustomer, LagoInvoice, Purchase
from lago_sync.purchases import advancing
from lago_sync.reconcile.kinds.kind import SHORTLY, Found, Kind, instant, text
from lago_sync.subscriptions import plans
from orgs.models import Organization

_DAYS: Final = timedelta(days=3)
"""Lago's list is ordered by the day of issue, in the customer's time zone."""


def judge(rows: list[Json]) -> Iterator[Found]:
    """Compare invoices of linked organizations with the mirror."""
    owners = _linked({text((row.get("customer") or {}).get("external_id")) for row in rows})
    known = LagoInvoice.objects.in_bulk([UUID(row["lago_id"]) for row in rows])
    for row in rows:
        organization = owners.get(text((row.get("customer") or {}).get("external_id")))
        mirrored = known.get(UUID(row["lago_id"]))
        if organization is None or (mirrored is not None and reading.is_known(row, mirrored.body)):
            continue
        yield Found(
            kind="invoice",
            subject=row["lago_id"],
            organization=organization.public_id,
            what=_what(row, mirrored),
            repair=partial(_look, organization, UUID(row["lago_id"])),
        )


def judge_payments(rows: list[Json]) -> Iterator[Found]:
    """Compare payments that succeeded with the invoices that they paid."""
    paid = [row for row in rows if row.get("payment_status") == "succeeded" and row.get("invoice_ids")]
    owners = _linked({text(row.get("external_customer_id")) for row in paid})
    unpaid = set(
        LagoInvoice.objects.filter(pk__in={UUID(one) for row in paid for one in row["invoice_ids"]})
        .filter(Q(payment_status="pending") | Q(payment_status="failed"), total_due_amount_cents__gt=0)
        .values_list("pk", flat=True)
    )
    for row in paid:
        organization = owners.get(text(row.get("external_customer_id")))
        missed = [UUID(one) for one in row["invoice_ids"] if UUID(one) in unpaid]
        if organization is not None and missed:
            yield Found(
                kind="payment",
                subject=row["lago_id"],
                organization=organization.public_id,
                what=f"Lago has a payment of {', '.join(row.get('invoice_numbers') or row['invoice_ids'])}, unpaid here",
                repair=partial(_look, organization, missed[0]),
            )


def _linked(public_ids: set[str]) -> dict[str, Organization]:
    links = LagoCustomer.objects.filter(organization__public_id__in=public_ids)
    return {one.organization.public_id: one.organization for one in links.select_related("organization")}


def _what(row: Json, mirrored: LagoInvoice | None) -> str:
    if mirrored is None:
        return f"Lago has invoice {row['number']}, which the portal has not seen"
    names = ("status", "payment_status", "total_amount_cents", "total_due_amount_cents")
    differ = [
        f"{name.replace('_', ' ')} is {row.get(name)} at Lago and {getattr(mirrored, name)} here"
        for name in names
        if row.get(name) != getattr(mirrored, name)
    ]
    return f"Invoice {row['number']}: {', '.join(differ) or 'details are others at Lago'}"


def _look(organization: Organization, invoice_id: UUID, now: datetime) -> None:
    """Look at the invoice and at what rests on its payment: a purchase's credits, a plan's."""
    row = mirror.refresh_one(invoice_id=invoice_id, now=now)
    for purchase_id in Purchase.objects.filter(invoice_id=invoice_id).values_list("pk", flat=True):
        advancing.advance(purchase_id=purchase_id, now=now)
    if row is not None and row.invoice_type == mirror.PLAN:
        plans.refresh(organization=organization, now=now)


INVOICES: Final = Kind(
    name="invoices",
    listed=lambda page: invoices.everyone(page=page),
    of_customer=invoices.of_customer,
    one=invoices.get,
    judge=judge,
    made_at=lambda row: instant(row["issuing_date"]),
    overlap=_DAYS,
)
PAYMENTS: Final = Kind(
    name="payments",
    listed=lambda page: payments.everyone(page=page),
    of_customer=payments.of_customer,
    one=payments.get,
    judge=judge_payments,
    made_at=lambda row: instant(row["created_at"]),
    overlap=SHORTLY,
)

"""Invoices of an organization, newest first."""

from typing import Final

from django.utils import timezone

from kit.errors import ValidationError
from lago_sync import money
from lago_sync.client.transport import Json
from lago_sync.functions.boundary import is_whole, organization, told
from lago_sync.invoices import mirror
from lago_sync.models import LagoInvoice

_MOST: Final = 100


@told
def get_invoices(org_id: str, limit: int = 10, fresh: bool = False) -> list[Json]:  # noqa: FBT001, FBT002 - the seeds' way
    """Return the organization's invoices, newest first, at most `limit` (1 to 100); none for one that is unknown.

    Each is Lago's invoice as it was seen last (with its `fees`, `credits`, …) and has `lago_id`, `number`,
    `invoice_type`, `status`, `payment_status`, `issuing_date`, `payment_due_date`, `currency`, `total_amount_cents`
    (minor units), `total_amount` (decimal text in major units, "19.00"), `total_due_amount_cents` and `as_of`. With
    `fresh` Lago is asked first: raises LagoUnavailable, LagoRefused; NotDone (`limit`).
    """
    if not is_whole(limit, least=1, most=_MOST):
        raise ValidationError(limit=f"must be a whole number from 1 to {_MOST}.")
    found = organization(org_id)
    if found is None:
        return []
    if fresh:
        mirror.refresh(organization=found, now=timezone.now())
    rows = LagoInvoice.objects.filter(organization=found).order_by("-issuing_date", "-lago_id")
    return [_shown(row) for row in rows[:limit]]


def _shown(row: LagoInvoice) -> Json:
    body: Json = row.body
    return body | {
        "lago_id": str(row.lago_id),
        "number": row.number,
        "invoice_type": row.invoice_type,
        "status": row.status,
        "payment_status": row.payment_status,
        "payment_overdue": row.is_overdue,
        "issuing_date": row.issuing_date.isoformat(),
        "payment_due_date": row.payment_due_date.isoformat() if row.payment_due_date else None,
        "currency": row.currency,
        "total_amount_cents": row.total_amount_cents,
        "total_amount": money.major_text(row.total_amount_cents, row.currency),
        "total_due_amount_cents": row.total_due_amount_cents,
        "as_of": row.synced_at.isoformat(),
    }

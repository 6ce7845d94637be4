"""Questions asked of the mirror: the invoices of an organization that match, what they come to, and how one stands."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from lago_sync.client import circuit
from lago_sync.models import (
    HealthCheck,
    LagoCreditNote,
    LagoCustomer,
    LagoInvoice,
    Purchase,
    Watermark,
)
from orgs.models import Organization


class State(StrEnum):
    """How an invoice stands, in one word; the first that fits."""

    DRAFT = "draft"
    VOID = "void"
    DISPUTED = "disputed"
    PAID = "paid"
    DECLINED = "declined"
    OVERDUE = "overdue"
    TO_PAY = "to_pay"


KINDS: Final = {"plan": "subscription", "credits": "credit"}
"""What people call the types that Lago has of invoices; all others are "other"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked for; empty fields ask for everything. Days are those of issuing, both included."""

    status: str = ""
    payment_status: str = ""
    invoice_type: str = ""
    state: str = ""
    first: date | None = None
    last: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the invoices in one currency come to, voided ones and drafts left out, in minor units."""

    currency: str
    count: int
    cents: int
    due_cents: int


def of_organization(*, organization: Organization, asked: Asked, now: datetime) -> QuerySet[LagoInvoice]:
    """Return the matching invoices, newest first."""
    rows = LagoInvoice.objects.filter(organization=organization).select_related("organization")
    exact = {name: getattr(asked, name) for name in ("status", "payment_status", "invoice_type")}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if asked.first is not None:
        rows = rows.filter(issuing_date__gte=asked.first)
    if asked.last is not None:
        rows = rows.filter(issuing_date__lte=asked.last)
    if asked.text:
        rows = rows.filter(number__icontains=asked.text)
    if asked.state:
        rows = rows.filter(_states(_today(now))[State(asked.state)])
    return rows.order_by("-issuing_date", "-number", "-lago_id")


def totals(rows: QuerySet[LagoInvoice]) -> list[Total]:
    """Return what rows come to, by currency."""
    counted = rows.exclude(status__in=["voided", "draft"]).order_by().values("currency")
    found = counted.annotate(
        count=Count("pk"), cents=Sum("total_amount_cents"), due=Sum("total_due_amount_cents")
    ).order_by("currency")
    return [
        Total(currency=one["currency"], count=one["count"], cents=one["cents"], due_cents=one["due"])
        for one in found
    ]


def find(*, organization: Organization, invoice_id: UUID) -> LagoInvoice | None:
    """Return an organization's invoice."""
    rows = LagoInvoice.objects.filter(organization=organization, pk=invoice_id)
    return rows.select_related("organization").first()


def state_of(row: LagoInvoice, *, now: datetime) -> State:
    """Return how an invoice stands."""
    if row.status in {"draft", "voided"}:
        return State.DRAFT if row.status == "draft" else State.VOID
    if row.is_disputed:
        return State.DISPUTED
    if row.payment_status == "succeeded":
        return State.PAID
    if row.payment_status == "failed":
        return State.DECLINED
    return State.OVERDUE if is_late(row, now=now) else State.TO_PAY


def is_late(row: LagoInvoice, *, now: datetime) -> bool:
    """Tell whether something is to be paid of a final invoice of a plan after its due date.

    An order of credits waits for its payment as long as its buyer likes; nothing is owed for it.
    """
    if row.invoice_type != KINDS["plan"] or row.status != "finalized" or not row.total_due_amount_cents:
        return False
    return row.is_overdue or (row.payment_due_date is not None and row.payment_due_date < _today(now))


def as_of(*, organization: Organization) -> datetime | None:
    """Return when the whole list was last looked at, or the poll last read Lago's new invoices; None if never."""
    known = LagoCustomer.objects.filter(organization=organization)
    own = known.values_list("invoices_synced_at", flat=True).first()
    polled = Watermark.objects.filter(name="invoices").values_list("ran_at", flat=True).first()
    return max(own, polled) if own and polled else own


def is_lago_away() -> bool:
    """Tell whether Lago gave no answer at the last look, made each minute, or is not asked since it gave none.

    Then what is shown here may be behind.
    """
    return circuit.standing().is_open or HealthCheck.objects.filter(status="unreachable").exists()


def credit_notes(*, organization: Organization) -> QuerySet[LagoCreditNote]:
    """Return the organization's credit notes, newest first."""
    rows = LagoCreditNote.objects.filter(organization=organization)
    return rows.order_by("-issuing_date", "-number", "-lago_id")


def credit_notes_of(row: LagoInvoice) -> list[LagoCreditNote]:
    """Return the credit notes that correct an invoice."""
    notes = credit_notes(organization=row.organization)
    return list(notes.filter(invoice_id=row.pk))


def purchase_of(row: LagoInvoice) -> Purchase | None:
    """Return what was bought with an invoice."""
    return Purchase.objects.filter(organization=row.organization_id, invoice_id=row.pk).first()


def _states(today: date) -> dict[State, Q]:
    """Return for each state what `state_of` says, as a question to the database."""
    shown = ~Q(status__in=["draft", "voided"])
    kept = shown & Q(is_disputed=False)
    open_ = kept & ~Q(payment_status__in=["succeeded", "failed"])
    late = Q(invoice_type=KINDS["plan"], status="finalized", total_due_amount_cents__gt=0) & (
        Q(is_overdue=True) | Q(payment_due_date__isnull=False, payment_due_date__lt=today)
    )
    return {
        State.DRAFT: Q(status="draft"),
        State.VOID: Q(status="voided"),
        State.DISPUTED: shown & Q(is_disputed=True),
        State.PAID: kept & Q(payment_status="succeeded"),
        State.DECLINED: kept & Q(payment_status="failed"),
        State.OVERDUE: open_ & late,
        State.TO_PAY: open_ & ~late,
    }


def _today(now: datetime) -> date:
    """Return Lago's day: without a licence it knows no zone but UTC (reference/lago.md §1.6)."""
    return now.astimezone(UTC).date()

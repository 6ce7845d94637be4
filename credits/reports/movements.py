"""Ledger entries and usage records as lists show them: newest first, by cursor."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet

from credits.models import LedgerEntry, Shortfall, UsageRecord
from credits.reports.usage import EVERYTHING, Filters
from orgs.models import AccessKey, Department, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLine:
    """One movement; `credits` is what it did to what the organization's pools have free, signed."""

    id: str
    kind: str
    credits: Decimal
    reason: str
    actor_name: str | None
    member_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What stands beside a usage record: names instead of keys, and what became of a charge."""

    department: str
    key: str
    payer: str
    reversal: UsageRecord | None
    corrected: UsageRecord | None
    shortfall: Shortfall | None


def facts(*, record: UsageRecord) -> RecordFacts:
    """Return the facts that explain one record; a handful of look-ups by key."""
    department = Department.objects.filter(pk__in=[record.department_id or 0]).first()
    key = AccessKey.objects.filter(pk__in=[record.key_id or 0]).first()
    of_charge = record.kind == UsageRecord.Kind.CHARGE
    return RecordFacts(
        department=department.name if department is not None else "",
        key=key.name if key is not None else "",
        payer=_payer(record),
        reversal=UsageRecord.objects.filter(kind=UsageRecord.Kind.REVERSAL, corrects=record.pk).first()
        if of_charge
        else None,
        corrected=UsageRecord.objects.filter(pk=record.corrects).first() if record.corrects else None,
        shortfall=Shortfall.objects.filter(charge_id=record.pk).first() if of_charge else None,
    )


def recent(*, organization: Organization, limit: int = 10) -> list[EntryLine]:
    """Return the newest ledger entries, with the names of who made them and whose allocation they changed."""
    entries = list(entry_rows(organization=organization)[:limit])
    names = _names({entry.made_by for entry in entries})
    return [_line(entry, names) for entry in entries]


def entry_rows(*, organization: Organization, before: UUID | None = None) -> QuerySet[LedgerEntry]:
    """Return ledger entries, newest first, older than `before`."""
    rows = LedgerEntry.objects.filter(organization=organization).select_related(
        "source_pool__department",
        "target_pool__department",
        "source_allocation__user",
        "target_allocation__user",
    )
    return (rows if before is None else rows.filter(pk__lt=before)).order_by("-pk")


def record_rows(
    *,
    organization: Organization,
    filters: Filters = EVERYTHING,
    since: date | None = None,
    until: date | None = None,
    before: UUID | None = None,
) -> QuerySet[UsageRecord]:
    """Return usage records that the filters let through, newest first, older than `before`."""
    rows = UsageRecord.objects.filter(filters.condition(), organization=organization).select_related("user")
    if since is not None and until is not None:
        rows = rows.filter(day__range=(since, until))
    return (rows if before is None else rows.filter(pk__lt=before)).order_by("-pk")


def _payer(record: UsageRecord) -> str:
    """Return who paid, as a person calls it."""
    if record.allocation_id is not None:
        return "An allocation"
    if record.pool is None:
        return "Nobody: it was free"
    department = record.pool.department
    return "The pool of the organization" if department is None else f"The pool of {department.name}"


def _line(entry: LedgerEntry, names: dict[str, str]) -> EntryLine:
    allocation = entry.target_allocation or entry.source_allocation
    leaves = entry.target_pool is None
    return EntryLine(
        id=str(entry.pk),
        kind=entry.kind,
        credits=-entry.amount if leaves else entry.amount,
        reason=entry.reason,
        actor_name=names.get(entry.made_by),
        member_name=allocation.user.name if allocation is not None else None,
        at=entry.created_at,
    )


def _names(public_ids: set[str]) -> dict[str, str]:
    people = User.objects.filter(public_id__in=public_ids).values_list("public_id", "name")
    keys = AccessKey.objects.filter(public_id__in=public_ids).values_list("public_id", "name")
    return dict(people) | dict(keys)

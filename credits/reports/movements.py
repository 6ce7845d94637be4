"""Ledger entries and usage records as lists show them: newest first, by cursor."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet

from credits.models import LedgerEntry, UsageRecord
from orgs.models import AccessKey, Organization, User


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


def record_rows(*, organization: Organization, before: UUID | None = None) -> QuerySet[UsageRecord]:
    """Return usage records, newest first, older than `before`."""
    rows = UsageRecord.objects.filter(organization=organization).select_related("user")
    return (rows if before is None else rows.filter(pk__lt=before)).order_by("-pk")


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

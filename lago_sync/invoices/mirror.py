"""The mirror of invoices and credit notes: what pages and API answer from, also while Lago is away.

Whoever hears of a change (a webhook, the poll) only causes a look. A look that began earlier than the one already
written is thrown away, so looks in any order and any number end in the newest.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from kit import transactions
from lago_sync.client import credit_notes, invoices
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.invoices import contents, news, reading
from lago_sync.models import LagoCreditNote, LagoCustomer, LagoInvoice
from orgs.models import Organization

logger = logging.getLogger(__name__)

STALE_AFTER: Final = timedelta(minutes=15)
"""After so long an organization's invoices are looked at again, though nothing was heard of them."""
UNPAID_STALE_AFTER: Final = timedelta(minutes=5)
PAID: Final = "succeeded"
FINALIZED: Final = "finalized"
DRAFT: Final = "draft"
PLAN: Final = "subscription"
_NOT_AS_EXPECTED: Final = (KeyError, TypeError, ValueError, AttributeError)
_AT_ONCE: Final = 25
_MOST: Final = 100
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A whole look at an organization: how many invoices Lago has, and which of them the mirror had otherwise."""

    seen: int = 0
    changed: tuple[UUID, ...] = ()


class _Watch:
    """What time it is while Lago is asked: `now` of the caller, and what has passed since."""

    def __init__(self, now: datetime) -> None:
        self._now, self._began = now, time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def at(self) -> datetime:
        return self._now + timedelta(seconds=self.seconds)


def refresh(*, organization: Organization, now: datetime) -> Mirrored:
    """Bring all invoices and credit notes of an organization in step with Lago; details are fetched of those that changed.

    Asks Lago, so no transaction may be open. Nothing where the organization is not at Lago. Raises LagoUnavailable,
    LagoRefused (404 for a customer that Lago does not know).
    """
    if not LagoCustomer.objects.filter(organization=organization).exists():
        return Mirrored()
    watch = _Watch(now)
    began = watch.at
    listed = {UUID(str(one["lago_id"])): one for one in invoices.of_customer(organization.public_id)}
    same = {row.pk for row in _known(listed) if reading.is_known(listed[row.pk], row.body)}
    changed = [key for key in reversed(listed) if key not in same]  # the oldest first
    written = [key for key in changed if _take(organization, str(key), watch) is not None]
    refresh_credit_notes(organization=organization, now=watch.at)
    with transactions.durable():
        LagoInvoice.objects.filter(pk__in=same, synced_at__lt=began).update(synced_at=began)
        _forget_drafts(LagoInvoice.objects.filter(organization=organization).exclude(pk__in=listed), began)
        LagoCustomer.objects.filter(organization=organization).exclude(invoices_synced_at__gt=began).update(
            invoices_synced_at=began
        )
    return Mirrored(seen=len(listed), changed=tuple(written))


def refresh_one(*, invoice_id: UUID, now: datetime) -> LagoInvoice | None:
    """Bring one invoice in step with Lago and return it; None where Lago shows none, or it is of nobody here.

    Asks Lago, so no transaction may be open. Raises LagoUnavailable, LagoRefused.
    """
    return _take(None, str(invoice_id), _Watch(now))


def hear(*, invoice_ids: Iterable[UUID], has_note: bool, now: datetime) -> None:
    """Look at invoices that a webhook named, and at the credit notes of whose they are if it was about one, or one was used.

    Asks Lago.
    """
    rows = [refresh_one(invoice_id=one, now=now) for one in invoice_ids]
    for organization in {
        row.organization for row in rows if row is not None and (has_note or contents.uses_notes(row))
    }:
        refresh_credit_notes(organization=organization, now=now)


def refresh_credit_notes(*, organization: Organization, now: datetime) -> int:
    """Bring the organization's credit notes in step with Lago; returns how many were new or had changed. Asks Lago."""
    found = list(credit_notes.of_customer(organization.public_id))
    known = LagoCreditNote.objects.in_bulk([UUID(str(one["lago_id"])) for one in found])
    count = 0
    with transactions.durable():
        _lock(organization)
        for one in found:
            count += _save_note(organization, one, known.get(UUID(str(one["lago_id"]))), now)
    return count


def overdue(*, organization: Organization, now: datetime) -> list[LagoInvoice]:
    """Return the finalized invoices of plans that are unpaid after their due date, the oldest first; from the mirror.

    A day at Lago is a day in UTC: without a licence a customer's time zone is ignored (reference/lago.md §1.6).
    """
    late = Q(is_overdue=True) | Q(payment_due_date__lt=now.astimezone(UTC).date())
    return list(unpaid_of_plans(organization=organization).filter(late))


def unpaid_of_plans(*, organization: Organization) -> QuerySet[LagoInvoice]:
    """Return the finalized invoices of plans that are unpaid, due or not, the oldest first; from the mirror."""
    rows = LagoInvoice.objects.filter(
        organization=organization, invoice_type=PLAN, status=FINALIZED, total_amount_cents__gt=0
    )
    return rows.exclude(payment_status=PAID).order_by("payment_due_date", "number")


def stale(*, now: datetime) -> QuerySet[LagoCustomer]:
    """Return the customers whose invoices were not looked at for a quarter of an hour, the one seen longest ago first."""
    longest_ago = F("invoices_synced_at").asc(nulls_first=True)
    unseen = Q(invoices_synced_at=None) | Q(invoices_synced_at__lt=now - STALE_AFTER)
    return LagoCustomer.objects.filter(unseen).select_related("organization").order_by(longest_ago, "pk")


def catch_up(*, now: datetime) -> int:
    """Look again at unpaid invoices and at organizations seen longest ago, a bounded number; returns how many changed.

    One that Lago refuses stops no other, a Lago that is away ends the run.
    """
    watch, changed = _Watch(now), 0
    for look in _due(now, watch):
        if watch.seconds > _SECONDS:
            break
        try:
            changed += look()
        except LagoRefused as refusal:
            logger.error("invoices are not looked at: %s", refusal.message)  # noqa: TRY400 - no trace is needed
        except LagoUnavailable as error:
            logger.warning("invoices are looked at later: %s", error.message)
            break
    return changed


def _due(now: datetime, watch: _Watch) -> Iterator[Callable[[], int]]:
    """Yield the looks of a run: single invoices that wait for their payment, then whole organizations."""
    for row in list(_unpaid(now)[:_AT_ONCE]):
        yield partial(_look_at_unpaid, row, watch)
    for customer in list(stale(now=now)[:_MOST]):
        yield partial(_look_at_all, customer.organization, watch)


def _look_at_unpaid(row: LagoInvoice, watch: _Watch) -> int:
    after = refresh_one(invoice_id=row.pk, now=watch.at)
    return after is not None and (after.status, after.payment_status) != (row.status, row.payment_status)


def _look_at_all(organization: Organization, watch: _Watch) -> int:
    return len(refresh(organization=organization, now=watch.at).changed)


def _unpaid(now: datetime) -> QuerySet[LagoInvoice]:
    rows = LagoInvoice.objects.filter(status=FINALIZED, synced_at__lt=now - UNPAID_STALE_AFTER)
    return rows.exclude(payment_status=PAID).order_by("synced_at")


def _known(listed: Iterable[UUID]) -> QuerySet[LagoInvoice]:
    return LagoInvoice.objects.filter(pk__in=list(listed)).only("pk", "body")


def _take(organization: Organization | None, lago_id: str, watch: _Watch) -> LagoInvoice | None:
    """Fetch one invoice and write it; one that is not as it should be is named in the log and stops no other."""
    at = watch.at
    found = invoices.get(lago_id)
    if found is None:
        _gone(UUID(lago_id), at)
        return None
    try:
        owner = _owner(found, organization)
        values = reading.invoice(found)
    except _NOT_AS_EXPECTED as error:
        logger.error("invoice %s is not mirrored: %s", lago_id, error)  # noqa: TRY400 - the sentence says all
        return None
    return _write(owner, UUID(lago_id), values, at) if owner is not None else None


def _owner(found: Json, expected: Organization | None) -> Organization | None:
    """Return whose invoice it is: its customer is known by the public id. Raises ValueError for another's."""
    public_id = found["customer"]["external_id"]
    if expected is None:
        return Organization.objects.filter(public_id=reading.storable(public_id)).first()
    if public_id != expected.public_id:
        raise ValueError(f"it is of {public_id}, not of {expected.public_id}")
    return expected


def _write(organization: Organization, lago_id: UUID, values: dict[str, Any], at: datetime) -> LagoInvoice:
    with transactions.durable():
        _lock(organization)
        before = LagoInvoice.objects.select_for_update(no_key=True).filter(pk=lago_id).first()
        if before is not None and before.synced_at > at:
            return before
        row = LagoInvoice(
            pk=lago_id,
            organization=organization,
            synced_at=at,
            **(_ours(before) | values if before is not None else values),
        )
        news.announce(row=row, before=before, now=at)
        row.save(force_insert=before is None, force_update=before is not None)
    return row


def _ours(row: LagoInvoice) -> dict[str, Any]:
    """Return what only the portal knows of an invoice."""
    names = (
        "payment_url",
        "mail",
        "mail_due_at",
        "mail_attempts",
        "mailed_at",
        "mailed_to",
        "paid_to_tell_since",
    )
    return {name: getattr(row, name) for name in names}


def _save_note(organization: Organization, given: Json, known: LagoCreditNote | None, at: datetime) -> bool:
    """Write one credit note unless a later look was written; tells whether it says something new."""
    try:
        values = reading.credit_note(given)
    except _NOT_AS_EXPECTED as error:
        logger.error("credit note %s is not mirrored: %s", given.get("lago_id"), error)  # noqa: TRY400 - the sentence says all
        return False
    if known is not None and known.synced_at > at:
        return False
    LagoCreditNote.objects.update_or_create(
        pk=given["lago_id"], defaults=values | {"organization": organization, "synced_at": at}
    )
    return known is None or known.body != values["body"]


def _gone(lago_id: UUID, at: datetime) -> None:
    """Note a look at an invoice that Lago does not show any more; what was finalized stays as it was seen last."""
    rows = LagoInvoice.objects.filter(pk=lago_id, synced_at__lte=at)
    with transactions.durable():
        _forget_drafts(rows, at)
        if rows.update(synced_at=at):
            logger.error("Lago does not show invoice %s any more", lago_id)


def _forget_drafts(rows: QuerySet[LagoInvoice], at: datetime) -> None:
    """Forget drafts that Lago deleted; nothing else of an invoice ever goes away there."""
    rows.filter(status=DRAFT, synced_at__lte=at).delete()


def _lock(organization: Organization) -> None:
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)

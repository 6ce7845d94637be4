"""Drift: each difference between the portal's mirror and Lago is a row, open until it is found repaired."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from kit import transactions
from kit.errors import DomainError
from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.models import Drift
from lago_sync.reconcile.kinds.every import KINDS
from lago_sync.reconcile.kinds.kind import Found, Kind, changed_at

logger = logging.getLogger(__name__)

GRACE: Final = timedelta(minutes=2)
"""What Lago changed this lately is still on its way by webhook, and no drift."""
_AT_ONCE: Final = 25
_LOOK_AGAIN: Final = timedelta(minutes=1)
_NOT_MENDED: Final = "It still differs after the repair. See the log of the worker for why."


def still_open(*, organization: str = "") -> QuerySet[Drift]:
    """Return what differs now, the newest first; of one organization (public id) or of all."""
    rows = Drift.objects.filter(repaired_at=None).order_by("-pk")
    return rows.filter(organization=organization) if organization else rows


def judge(kind: Kind, rows: list[dict[str, object]], *, now: datetime, at_once: bool) -> Iterator[Drift]:
    """Compare rows of Lago's, note and repair what differs, and yield it. Asks Lago for what must be repaired.

    What was changed just now is left to its webhook unless `at_once`. Raises LagoUnavailable.
    """
    old = rows if at_once else [row for row in rows if changed_at(row) <= now - GRACE]
    for found in kind.judge(old):
        yield settle(kind, found, now=now)


def settle(kind: Kind, found: Found, *, now: datetime) -> Drift:
    """Note a difference and repair it where that is possible; returns its row, repaired or not. Raises LagoUnavailable."""
    row = _note(found, now)
    if found.repair is None:
        return row
    try:
        found.repair(now)
    except LagoUnavailable:
        raise
    except (LagoRefused, DomainError) as error:
        return _leave(row, f"{error.message} {error.details.get('do', '')}".strip())
    shown = kind.one(found.subject)
    left = list(kind.judge([shown] if shown is not None else []))
    return _leave(row, left[0].do or _NOT_MENDED) if left else _close(row, now)


def look_again(*, now: datetime) -> None:
    """Look at what was left open before: repaired meanwhile by somebody, repairable now, or as it was. Asks Lago.

    Raises LagoUnavailable.
    """
    by_name = {_singular(kind): kind for kind in KINDS}
    for row in Drift.objects.filter(repaired_at=None, seen_at__lt=now - _LOOK_AGAIN).order_by("seen_at")[
        :_AT_ONCE
    ]:
        kind = by_name[row.kind]
        try:
            shown = kind.one(row.subject)
        except LagoRefused as refusal:
            _leave(row, refusal.message, now=now)
            continue
        if shown is None and kind.is_missed(row.subject):
            _leave(row, row.do, now=now)
            continue
        left = list(kind.judge([shown] if shown is not None else []))
        for found in left:
            settle(kind, found, now=now)
        if not any(found.subject == row.subject for found in left):
            _close(row, now)


def note(found: Found, *, now: datetime) -> Drift:
    """Note a difference that nobody but a person mends."""
    return _note(found, now)


def _note(found: Found, now: datetime) -> Drift:
    values = {
        "organization": found.organization,
        "what": found.what[:500],
        "do": found.do[:500],
        "seen_at": now,
    }
    with transactions.durable():
        row, is_new = Drift.objects.get_or_create(
            kind=found.kind,
            subject=found.subject[:128],
            repaired_at=None,
            defaults=values | {"found_at": now},
        )
        if not is_new:
            Drift.objects.filter(pk=row.pk).update(**values)
            row.refresh_from_db()
    if is_new:
        logger.warning("drift of %s %s: %s", found.kind, found.subject, found.what)
    return row


def _leave(row: Drift, do: str, *, now: datetime | None = None) -> Drift:
    row.do, row.seen_at = do[:500], now or row.seen_at
    with transactions.durable():
        Drift.objects.filter(pk=row.pk).update(do=row.do, seen_at=row.seen_at)
    return row


def _close(row: Drift, now: datetime) -> Drift:
    row.repaired_at = now
    with transactions.durable():
        Drift.objects.filter(pk=row.pk, repaired_at=None).update(repaired_at=now)
    return row


def _singular(kind: Kind) -> str:
    return kind.name.removesuffix("s")

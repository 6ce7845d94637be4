"""Whether Lago is in step, from what jobs stored: the page asks Lago nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import QuerySet

from lago_sync.inbox import handling
from lago_sync.inbox.handling import InboxStanding
from lago_sync.models import HealthCheck, Identity, Purchase
from lago_sync.outbox import delivery
from lago_sync.outbox.delivery import OutboxStanding
from lago_sync.purchases import orders
from lago_sync.reconcile import drift, health, identity

STALE_AFTER: Final = timedelta(minutes=15)
"""The check runs each minute; one older than this says nothing about now."""
QUIET_AFTER: Final = timedelta(hours=2)
LATE_AFTER: Final = timedelta(minutes=10)
SHOWN: Final = 10

_WORDS: Final = {
    "healthy": ("Healthy", "ok"),
    "unhealthy": ("Needs attention", "warn"),
    "unreachable": ("Unreachable", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """One figure as we and Lago say it; None where it was not compared."""

    ours: Decimal | None
    lagos: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLine:
    """How one organization's books and Lago's lie to each other (product.md §8)."""

    row: Identity
    top_ups: Sides
    consumed: Sides
    event_credits: Sides


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoPanel:
    """`check` is None before the first one; `word` and `tone` say how things stand, in a badge."""

    check: HealthCheck | None
    word: str
    tone: str
    is_stale: bool
    outbox: OutboxStanding
    is_outbox_late: bool
    inbox: InboxStanding
    is_inbox_quiet: bool
    open_purchases: int
    failed_purchases: int
    flagged: Sequence[Purchase]
    compared: int
    differing: int
    drifted: int

    @property
    def dead(self) -> int:
        """How many letters wait for somebody, both ways."""
        return self.outbox.dead + self.inbox.dead


def build(*, now: datetime) -> LagoPanel:
    """Return what is known of Lago; about ten queries, however much there is."""
    check, outbox, inbox = health.latest(), delivery.standing(), handling.standing()
    word, tone, is_stale = _word(check, now)
    oldest, newest = outbox.oldest_waiting_at, inbox.last_received_at
    compared = identity.all_latest()
    return LagoPanel(
        check=check,
        word=word,
        tone=tone,
        is_stale=is_stale,
        outbox=outbox,
        is_outbox_late=oldest is not None and now - oldest > LATE_AFTER,
        inbox=inbox,
        is_inbox_quiet=newest is not None and now - newest > QUIET_AFTER,
        open_purchases=Purchase.objects.filter(status__in=Purchase.OPEN).count(),
        failed_purchases=Purchase.objects.filter(status=Purchase.Status.FAILED).count(),
        flagged=list(orders.flagged()[:SHOWN]),
        compared=compared.count(),
        differing=_differing(compared).count(),
        drifted=drift.still_open().exclude(do="").count(),
    )


def _word(check: HealthCheck | None, now: datetime) -> tuple[str, str, bool]:
    if check is None:
        return "Not checked yet", "", False
    if now - check.checked_at > STALE_AFTER:
        return "Out of date", "warn", True
    return (*_WORDS[check.status], False)


def _differing(compared: QuerySet[Identity]) -> QuerySet[Identity]:
    return compared.exclude(differences=[])


def line(row: Identity) -> IdentityLine:
    """Return one organization's comparison as a row of a table."""
    return IdentityLine(
        row=row,
        top_ups=_sides(row, "top_ups"),
        consumed=_sides(row, "consumed_by_invoices"),
        event_credits=_sides(row, "event_credits"),
    )


def _sides(row: Identity, name: str) -> Sides:
    figure: dict[str, str] | None = row.figures.get(name)
    if figure is None:
        return Sides(ours=None, lagos=None)
    return Sides(ours=Decimal(figure["ours"]), lagos=Decimal(figure["lagos"]))

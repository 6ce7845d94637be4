"""Delivery of the outbox to Lago: each event once, by any number of deliverers, whatever dies in between.

A row is claimed by a lease that is committed before it is sent, so a second deliverer leaves it alone; one that died
leaves the lease to run out, and Lago refuses what it had stored by the row's own transaction id.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Min, QuerySet

from kit import transactions
from kit.errors import Conflict
from lago_sync.models import OutboxEvent
from lago_sync.outbox import bundling, claims
from lago_sync.outbox.sending import Delivered, Sending
from orgs.audit import events as audit
from orgs.audit.events import Actor

State = OutboxEvent.State

SECONDS: Final = 20
"""How long one run claims batches; what is still due then waits for the next, a few seconds later."""

COUNTED: Final = 10_000
_SMALL_BYTES: Final = 16 * 1024 * 1024
_SIZE: Final = "SELECT pg_relation_size('lago_sync_outboxevent'), reltuples FROM pg_class WHERE oid = 'lago_sync_outboxevent'::regclass"
_SHARES: Final = """
SELECT unnest(most_common_vals::text::text[]), unnest(most_common_freqs) FROM pg_stats
WHERE schemaname = current_schema() AND tablename = 'lago_sync_outboxevent' AND attname = 'state'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStanding:
    """Where the outbox stands. `waiting` and `dead` are counted up to 10,000; `oldest_waiting_at` is among those.

    `delivered`, `bundled` (in another event) and `not_applicable` are PostgreSQL's estimate where `estimated` says so.
    """

    waiting: int
    oldest_waiting_at: datetime | None
    dead: int
    not_applicable: int
    delivered: int
    bundled: int
    estimated: bool


def deliver_due(*, now: datetime) -> Delivered:
    """Send what is due, batch by batch, until nothing is or 20 seconds are over; for many to call side by side.

    Opens its own transactions and none while it talks to Lago. Where Lago gives no answer the run ends: the rows come
    due again later, and nothing is counted against them.
    """
    started = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - started)

    sending = Sending(clock)
    sending.total.dead += claims.bury(now=now)
    if settings.LAGO_AGGREGATE_USAGE:
        bundling.bundle(now=now)
    while time.monotonic() - started < SECONDS and not sending.total.unanswered:
        claimed = 0
        for claim in (claims.fresh, claims.failed):
            batch = claim(now=clock())
            claimed += len(batch.rows)
            sending.deliver(batch)
        if not claimed:
            break
    return sending.total


def dead(*, organization: str = "", since: datetime | None = None) -> QuerySet[OutboxEvent]:
    """Return the dead letters of an organization (public id, "" for all) that were made since a moment, oldest first."""
    found = OutboxEvent.objects.filter(state=State.DEAD).order_by("pk")
    if organization:
        found = found.filter(organization=organization)
    return found if since is None else found.filter(created_at__gte=since)


def replay(*, event: OutboxEvent, by: Actor, now: datetime) -> OutboxEvent:
    """Let a dead letter try again from the start, under the transaction id it always had; raises Conflict for another."""
    transactions.require()
    locked = OutboxEvent.objects.select_for_update(no_key=True).get(pk=event.pk)
    if locked.state != State.DEAD:
        raise Conflict("Only a dead letter is sent again.", state=locked.state)
    why = locked.last_error
    # Its attempts stay: Lago may have it, and what was never sent is what may still be bundled.
    locked.state, locked.due_at, locked.failures, locked.last_error = State.WAITING, now, 0, ""
    locked.save(update_fields=["state", "due_at", "failures", "last_error"])
    audit.record(
        organization=locked.organization,
        by=by,
        action="outbox.replayed",
        target=locked.transaction_id,
        before={"state": State.DEAD, "last_error": why},
        after={"state": State.WAITING},
    )
    return locked


def standing() -> OutboxStanding:
    """Return where the outbox stands, at a cost that does not grow with it."""
    waiting = OutboxEvent.objects.filter(state=State.WAITING)[: COUNTED + 1].aggregate(
        oldest=Min("created_at")
    )
    counts, estimated = _counts()
    return OutboxStanding(
        waiting=_counted(State.WAITING),
        oldest_waiting_at=waiting["oldest"],
        dead=_counted(State.DEAD),
        not_applicable=counts.get(State.NOT_APPLICABLE, 0),
        delivered=counts.get(State.DELIVERED, 0),
        bundled=counts.get(State.BUNDLED, 0),
        estimated=estimated,
    )


def _counted(state: str) -> int:
    return OutboxEvent.objects.filter(state=state)[:COUNTED].count()


def _counts() -> tuple[dict[str, int], bool]:
    """Return how many rows are in each state: counted in a small table, PostgreSQL's estimate of a large one."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZE)
        size, rows = cursor.fetchone() or (0, 0)
        if size > _SMALL_BYTES and rows > 0:
            cursor.execute(_SHARES)
            return {state: round(share * rows) for state, share in cursor.fetchall()}, True
        cursor.execute("SELECT state, count(*) FROM lago_sync_outboxevent GROUP BY state")
        return dict(cursor.fetchall()), False

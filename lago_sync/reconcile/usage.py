"""Delivered events against those that Lago keeps, one by one, so that their credits agree to the last decimal.

Lago's list of events is compared and not its usage figures: those leave out what came after a period was invoiced, come
late, and do not say which event is missing. So that the work of a comparison does not grow with history, time is read in
slices, and what is older than any late event and agrees is kept as a sum and not read again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django.db import connection
from django.db.models import Max

from credits import amounts
from credits.amounts import ZERO
from lago_sync.client import events
from lago_sync.client.transport import Json
from lago_sync.models import LagoCustomer, OutboxEvent
from lago_sync.outbox.writing import CREDITS_USED
from lago_sync.reconcile import slices
from lago_sync.reconcile.differences import Difference, Tally
from lago_sync.reconcile.slices import BUCKET, Bucket, Slice
from lago_sync.subscriptions import plans

LATEST: Final = timedelta(days=8)
"""No event is told later than this after it happened: captures and charges may come 7 days late (product.md §6)."""
READ_AT_MOST: Final = 50_000
"""Events of one comparison; a busier organization is compared up to a time that its figures name, and on from there."""

_NAMED: Final = 3

_OURS: Final = """
SELECT (floor((payload->>'timestamp')::numeric / %(bucket)s) * %(bucket)s)::bigint AS bucket,
       count(*) FILTER (WHERE is_delivered), coalesce(sum(credits) FILTER (WHERE is_delivered), 0),
       count(*) FILTER (WHERE is_open), min(id)
FROM (
  SELECT id, payload, (payload->>'credits')::numeric AS credits,
         state = 'delivered' AND delivered_at <= %(seen)s AS is_delivered,
         state IN ('waiting', 'dead') OR delivered_at > %(seen)s AS is_open
  FROM lago_sync_outboxevent
  WHERE organization = %(organization)s AND code = %(code)s AND id >= %(first)s
    AND (payload->>'timestamp')::numeric >= %(since)s
) AS row
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What earlier comparisons found equal: all events before `until` (UNIX seconds); `first` is the outbox row to go on from.

    `months` has their number and credits by month.
    """

    until: int
    first: int = 0
    months: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        return {"until": self.until, "first": self.first, "months": dict(self.months)}

    def with_events(self, in_month: str, events: int, credits: Decimal) -> Mapping[str, tuple[int, str]]:
        """Return the months with some more events in one."""
        number, sum_before = self.months.get(in_month, (0, "0"))
        more = (number + events, amounts.text(Decimal(sum_before) + credits))
        return {**self.months, in_month: more} if events else self.months


@dataclass(slots=True)
class Compared:
    """The figures, which carry what need not be read again, and what differs."""

    figures: dict[str, dict[str, Any]]
    tally: Tally
    differences: list[Difference]


def compare(customer: LagoCustomer, *, earlier: dict[str, Any], now: datetime) -> Compared:
    """Compare the credits of an organization's events; `earlier` are the figures of the last time. Asks Lago."""
    public_id = customer.organization.public_id
    intervals = plans.covers([public_id]).get(public_id, [])
    external_ids = sorted({one.external_id for one in intervals})
    kept = _kept(earlier, default=min((_floor(one.start) for one in intervals), default=_floor(now)))
    delivered = OutboxEvent.objects.filter(organization=public_id, state=OutboxEvent.State.DELIVERED)
    seen = delivered.aggregate(at=Max("delivered_at"))["at"] or now
    buckets = _ours(public_id, kept, seen)
    read: list[Slice] = []
    for one in slices.cut(buckets, since=kept.until, settled=_floor(now - LATEST), end=_floor(now) + 86_400):
        _ask(one, external_ids, public_id, seen)
        read.append(one)
        if sum(len(each.seen) for each in read) >= READ_AT_MOST:
            break
    tally = _tally(kept, read)
    figures = _figures(tally, kept, read, buckets, now)
    return Compared(figures, tally, list(_differences(read, public_id)))


def _kept(earlier: dict[str, Any], *, default: int) -> Kept:
    known = (earlier.get("event_credits") or {}).get("kept")
    if known is None or "months" not in known:
        return Kept(until=default)
    months = {name: (int(events), str(credits)) for name, (events, credits) in known["months"].items()}
    return Kept(until=known["until"], first=known["first"], months=months)


def _ours(public_id: str, kept: Kept, seen: datetime) -> list[Bucket]:
    asked: dict[str, Any] = {
        "bucket": BUCKET,
        "seen": seen,
        "organization": public_id,
        "code": CREDITS_USED,
        "first": kept.first,
        "since": kept.until,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OURS, asked)
        return [Bucket(*row) for row in cursor.fetchall()]


def _ask(one: Slice, external_ids: list[str], public_id: str, seen: datetime) -> None:
    since, until = datetime.fromtimestamp(one.start, UTC), datetime.fromtimestamp(one.end, UTC)
    for external_id in external_ids:
        page: list[Json] = []
        for event in events.of_subscription(external_id, since=since, until=until):
            if event["code"] == CREDITS_USED and since <= _instant(event) < until:
                page.append(event)
            if len(page) == events.MOST:
                _match(one, page, public_id, seen)
                page = []
        _match(one, page, public_id, seen)


def _match(one: Slice, page: list[Json], public_id: str, seen: datetime) -> None:
    """Find each event in the outbox: as it was sent, sent and not noted yet, or of nobody here."""
    rows = {
        row.transaction_id: row
        for row in OutboxEvent.objects.filter(transaction_id__in=[event["transaction_id"] for event in page])
    }
    for event in page:
        key = event["transaction_id"]
        if key in one.seen:
            continue
        one.seen.add(key)
        credits, row = _credits(event), rows.get(key)
        if row is None or row.organization != public_id:
            one.strange.append(key)
            one.lagos += credits
        elif row.delivered_at is not None and row.delivered_at <= seen:
            one.matched += 1
            one.lagos += credits
            if credits != Decimal(row.payload["credits"]):
                one.changed.append(key)


def _tally(kept: Kept, read: list[Slice]) -> Tally:
    tally = Tally(("events", "event_credits"))
    for in_month, (number, sum_kept) in kept.months.items():
        events, credits = Decimal(number), Decimal(sum_kept)
        tally.add("events", in_month, ours=events, lagos=events)
        tally.add("event_credits", in_month, ours=credits, lagos=credits)
    for one in read:
        lagos = Decimal(one.matched + len(one.strange))
        if one.delivered or lagos:
            tally.add("events", one.month, ours=Decimal(one.delivered), lagos=lagos)
            tally.add("event_credits", one.month, ours=one.credits, lagos=one.lagos)
    return tally


def _figures(
    tally: Tally, kept: Kept, read: list[Slice], buckets: list[Bucket], now: datetime
) -> dict[str, dict[str, Any]]:
    plain = {name: figure.plain() for name, figure in tally.figures().items()}
    until = min(read[-1].end if read else kept.until, int(now.timestamp()))
    following = _keep(kept, read, buckets, _floor(now - LATEST))
    more = {"until": datetime.fromtimestamp(until, UTC).isoformat(), "kept": following.plain()}
    return plain | {"event_credits": plain["event_credits"] | more}


def _keep(kept: Kept, read: list[Slice], buckets: list[Bucket], settled: int) -> Kept:
    """Take on the slices that nothing can change any more, up to the first that may."""
    for one in read:
        if one.end > settled or not one.is_over:
            break
        later = [bucket.first for bucket in buckets if bucket.start >= one.end]
        kept = Kept(
            until=one.end,
            first=min(later, default=kept.first),
            months=kept.with_events(one.month, one.delivered, one.credits),
        )
    return kept


def _differences(read: list[Slice], public_id: str) -> Iterator[Difference]:
    for in_month, some in groupby(read, key=lambda one: one.month):
        yield from _of_month(in_month, list(some), public_id)


def _of_month(in_month: str, read: list[Slice], public_id: str) -> Iterator[Difference]:
    strange = [key for one in read for key in one.strange]
    changed = [key for one in read for key in one.changed]
    missing = sum(one.delivered - one.matched for one in read)
    if missing:
        named = [key for one in read if one.delivered != one.matched for key in _missing(one, public_id)]
        yield Difference(
            what=f"Lago does not have {missing} of the events that it took: {_some(named)}",
            why="It lost them, or LAGO_API_URL is another Lago than it was. Once that is clear, replay them in the outbox.",
            month=in_month,
        )
    if strange:
        yield Difference(
            what=f"Lago has {len(strange)} events on our subscription that the portal did not send: {_some(strange)}",
            why="Another program sends events with the same external_subscription_id, or to the same Lago. Stop it; they are billed at zero.",
            month=in_month,
        )
    if changed:
        yield Difference(
            what=f"Lago has other credits in {len(changed)} events than were sent: {_some(changed)}",
            why="Another program sends events with our transaction ids, or Lago (ClickHouse) replaced them. Stop it; no charge here follows Lago's events.",
            month=in_month,
        )


def _missing(one: Slice, public_id: str) -> list[str]:
    """Return the first few delivered events of a slice that Lago does not have."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT transaction_id FROM lago_sync_outboxevent WHERE organization = %s AND code = %s AND state = 'delivered'"
            " AND (payload->>'timestamp')::numeric >= %s AND (payload->>'timestamp')::numeric < %s"
            " AND id >= %s AND NOT transaction_id = ANY(%s) ORDER BY id LIMIT %s",
            [
                public_id,
                CREDITS_USED,
                one.start,
                one.end,
                min((bucket.first for bucket in one.buckets), default=0),
                list(one.seen),
                _NAMED + 1,
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _some(keys: Iterable[str]) -> str:
    listed = list(keys)
    return ", ".join(listed[:_NAMED]) + (", …" if len(listed) > _NAMED else "")


def _credits(event: Json) -> Decimal:
    try:
        return Decimal(str((event.get("properties") or {}).get("credits") or 0))
    except ArithmeticError:
        return ZERO


def _instant(event: Json) -> datetime:
    return datetime.fromisoformat(str(event["timestamp"]))


def _floor(at: datetime) -> int:
    return int(at.timestamp()) // BUCKET * BUCKET

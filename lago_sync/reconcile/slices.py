"""Time cut into slices for the comparison of events: of one month each, and small enough to be read in one go."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from credits.amounts import ZERO
from lago_sync.reconcile.differences import month

BUCKET: Final = 600  # seconds
IN_A_SLICE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """What ten minutes have of delivered and waiting events, and the first outbox row among them."""

    start: int
    delivered: int
    credits: Decimal
    waiting: int
    first: int


@dataclass(slots=True)
class Slice:
    """A time from `start` to before `end` of one month, what of it was delivered, and what Lago has of it."""

    start: int
    end: int
    buckets: list[Bucket]
    matched: int = 0
    lagos: Decimal = ZERO
    seen: set[str] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def month(self) -> str:
        return month(datetime.fromtimestamp(self.start, UTC))

    @property
    def delivered(self) -> int:
        return sum(one.delivered for one in self.buckets)

    @property
    def credits(self) -> Decimal:
        return sum((one.credits for one in self.buckets), ZERO)

    @property
    def agrees(self) -> bool:
        return self.matched == self.delivered and not self.strange and not self.changed

    @property
    def is_over(self) -> bool:
        return self.agrees and not any(one.waiting for one in self.buckets)


def cut(buckets: list[Bucket], *, since: int, settled: int, end: int) -> Iterator[Slice]:
    """Cut time at each month and where late events may still come, and so that a slice has about a thousand events."""
    end = max(end, since + BUCKET)
    cuts = sorted({since, end, *(one for one in (settled, *_months(since, end)) if since < one < end)})
    for start, stop in pairwise(cuts):
        yield from _pieces([one for one in buckets if start <= one.start < stop], start, stop)


def _pieces(buckets: list[Bucket], start: int, end: int) -> Iterator[Slice]:
    inside, count = list[Bucket](), 0
    for bucket in buckets:
        if inside and count + bucket.delivered > IN_A_SLICE:
            yield Slice(start, bucket.start, inside)
            start, inside, count = bucket.start, [], 0
        inside.append(bucket)
        count += bucket.delivered
    yield Slice(start, end, inside)


def _months(since: int, end: int) -> Iterator[int]:
    """Yield the starts of the months (UTC) from one time to another."""
    at = datetime.fromtimestamp(since, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while at.timestamp() < end:
        yield int(at.timestamp())
        at = (at + timedelta(days=32)).replace(day=1)

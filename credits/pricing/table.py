"""The price table in memory: an organization's own prices first, then everybody's.

In each of the two: the exact name, else the longest name that the asked one begins with, else `*`. Units have no
prefixes, since `storage_gb` says nothing about `storage_gb_cold`.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.utils import timezone

from credits.ledger import statements
from credits.models import Price

ANY: Final = "*"
"""The name of a price for whatever has no other."""

_KEEP_SECONDS: Final = 5.0
"""How long a process may price by what it read: a changed price takes effect everywhere within this time."""
_ENDED_LONG_AGO: Final = timedelta(days=8)
"""Prices that ended before this are not read: nothing is priced by a time so far back."""
_MOST_REMEMBERED: Final = 20_000

_SIGNATURE: Final = """
SELECT count(*), extract(epoch FROM sum(changed_at - timestamptz '2020-01-01 00:00+00')) FROM credits_price
"""
"""What differs after any change, whatever the order in which transactions commit: a row that is added or taken away
changes the count, one that is edited the sum (a latest time alone would miss who stamped first and committed last)."""

_READ: Final = """
SELECT organization_id, kind, name, size, quality, input_price, output_price, cached_input_price, each_price,
  default_output_tokens, valid_from, valid_until
FROM credits_price WHERE valid_until IS NULL OR valid_until > %s
"""

_Signature = tuple[int, Decimal | None]
_Asked = tuple[int | None, str, str, str, str]


class Listed(NamedTuple):
    """A price as it is kept in memory: the columns of `Price` that decide and price."""

    organization_id: int | None
    kind: str
    name: str
    size: str
    quality: str
    input_price: Decimal
    output_price: Decimal
    cached_input_price: Decimal | None
    each_price: Decimal
    default_output_tokens: int
    valid_from: datetime
    valid_until: datetime | None


class PriceTable:
    """All prices of one reading."""

    def __init__(self, prices: Iterable[Listed]) -> None:
        self._by_name: dict[tuple[int | None, str, str], list[Listed]] = defaultdict(list)
        for price in sorted(prices, key=_precedence, reverse=True):
            self._by_name[price.organization_id, price.kind, price.name].append(price)
        self._longest = max((len(name) for _, _, name in self._by_name), default=0)
        self._with_own = {organization for organization, _, _ in self._by_name if organization is not None}
        self._remembered: dict[_Asked, tuple[Listed, ...]] = {}

    def find(
        self,
        kind: str,
        name: str,
        *,
        at: datetime,
        organization_id: int | None = None,
        size: str = "",
        quality: str = "",
    ) -> Listed | None:
        """Return the price that is valid at that instant, None where nothing has one."""
        own = organization_id if organization_id in self._with_own else None
        asked = (own, kind, name, size, quality)
        found = self._remembered.get(asked)
        if found is None:
            found = self._remember(asked)
        for price in found:
            if price.valid_from <= at and (price.valid_until is None or at < price.valid_until):
                return price
        return None

    def _remember(self, asked: _Asked) -> tuple[Listed, ...]:
        """Keep what may price this, in order: which of them is valid is a question of the instant."""
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        found = self._remembered[asked] = tuple(self._candidates(*asked))
        return found

    def _candidates(self, own: int | None, kind: str, name: str, size: str, quality: str) -> Iterator[Listed]:
        for organization in (None,) if own is None else (own, None):
            for named in self._names(kind, name):
                for price in self._by_name.get((organization, kind, named), ()):
                    if price.size in ("", size) and price.quality in ("", quality):
                        yield price

    def _names(self, kind: str, name: str) -> Iterator[str]:
        """Return the names that may price this one, the most exact first."""
        shortest = len(name) if kind == Price.Kind.UNITS else 1
        for length in range(min(len(name), self._longest), max(shortest, 1) - 1, -1):
            if name[:length] != ANY:
                yield name[:length]
        yield ANY


_reading = threading.Lock()
_kept: tuple[float, _Signature, PriceTable] | None = None


def current() -> PriceTable:
    """Return the table; when it is older than five seconds, ask whether anything changed, and read only then."""
    global _kept  # noqa: PLW0603 - one table per process is the point
    kept = _kept
    if kept is not None and time.monotonic() - kept[0] <= _KEEP_SECONDS:
        return kept[2]
    if not _reading.acquire(blocking=kept is None):
        return kept[2]  # type: ignore[index]  # somebody else is asking in this very moment
    try:
        _kept = _read(_kept)
        return _kept[2]
    finally:
        _reading.release()


def forget() -> None:
    """Read the table again at the next look: after an import in this process, and between tests."""
    global _kept  # noqa: PLW0603
    _kept = None


def _read(kept: tuple[float, _Signature, PriceTable] | None) -> tuple[float, _Signature, PriceTable]:
    """Return what was kept where nothing has changed since, else a new reading.

    The signature is asked first: what changes between the two statements is read again in five seconds.
    """
    asked_at = time.monotonic()
    if kept is not None and asked_at - kept[0] <= _KEEP_SECONDS:
        return kept
    [[count, total]] = statements.rows(_SIGNATURE)
    signature = (count, total)
    if kept is not None and kept[1] == signature:
        return asked_at, signature, kept[2]
    prices = statements.rows(_READ, timezone.now() - _ENDED_LONG_AGO)
    return asked_at, signature, PriceTable(Listed(*row) for row in prices)


def _precedence(price: Listed) -> tuple[int, datetime]:
    """Sort the price of a size and quality before that of any, and the newest before older ones."""
    return bool(price.size) + bool(price.quality), price.valid_from

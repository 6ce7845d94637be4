"""The price table in memory: found by exact name, else by the longest name that the asked one begins with."""

import threading
import time
from collections import defaultdict
from datetime import datetime
from typing import Final

from credits.models import Price

_KEEP_SECONDS: Final = 5.0
"""How long a process may price by what it read: a changed price takes effect everywhere within this time."""


class PriceTable:
    """All prices of one reading."""

    def __init__(self, prices: list[Price]) -> None:
        self._by_name: dict[tuple[str, str], list[Price]] = defaultdict(list)
        for price in sorted(prices, key=_precedence, reverse=True):
            self._by_name[price.kind, price.name].append(price)
        self._longest = max((len(name) for _, name in self._by_name), default=0)

    def find(self, kind: str, name: str, *, at: datetime, size: str = "", quality: str = "") -> Price | None:
        """Return the price valid at that instant; units are found by exact name only, models also by prefix."""
        shortest = len(name) if kind == "units" else 1
        for length in range(min(len(name), self._longest), shortest - 1, -1):
            for price in self._by_name.get((kind, name[:length]), ()):
                if _valid(price, at) and price.size in ("", size) and price.quality in ("", quality):
                    return price
        return None


_lock = threading.Lock()
_kept: tuple[float, PriceTable] | None = None


def current() -> PriceTable:
    """Return the table, read again when it is older than five seconds."""
    global _kept  # noqa: PLW0603 - one table per process is the point
    kept = _kept
    if kept is None or time.monotonic() - kept[0] > _KEEP_SECONDS:
        table = PriceTable(list(Price.objects.all()))
        with _lock:
            _kept = kept = (time.monotonic(), table)
    return kept[1]


def forget() -> None:
    """Read the table again at the next look: after an import in this process, and between tests."""
    global _kept  # noqa: PLW0603
    _kept = None


def _precedence(price: Price) -> tuple[int, datetime]:
    """Sort the price of a size and quality before that of any, and the newest before older ones."""
    return bool(price.size) + bool(price.quality), price.valid_from


def _valid(price: Price, at: datetime) -> bool:
    return price.valid_from <= at and (price.valid_until is None or at < price.valid_until)

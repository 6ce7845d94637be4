"""A difference between the portal's books and Lago's, as it is kept and shown, and the figures of both by month."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

from credits import amounts
from credits.amounts import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, why that may be and what to do, how both sides say it, and of which month (2026-11) if of one."""

    what: str
    why: str
    ours: str = ""
    lagos: str = ""
    month: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure on both sides, exact."""

    ours: Decimal
    lagos: Decimal

    def plain(self) -> dict[str, str]:
        return {"ours": amounts.text(self.ours), "lagos": amounts.text(self.lagos)}


@dataclass(slots=True)
class Tally:
    """Figures in the making: each amount is of one month, so that the months add up to the whole."""

    names: tuple[str, ...]
    _ours: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    _lagos: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    def add(self, name: str, in_month: str, *, ours: Decimal = ZERO, lagos: Decimal = ZERO) -> None:
        self._ours[in_month, name] += ours
        self._lagos[in_month, name] += lagos

    def figures(self) -> dict[str, Figure]:
        """Return each figure over all months."""
        return {
            name: Figure(ours=_sum(self._ours, name), lagos=_sum(self._lagos, name)) for name in self.names
        }

    def months(self) -> dict[str, dict[str, Figure]]:
        """Return the figures of each month that has any."""
        found = sorted({one for one, _ in [*self._ours, *self._lagos]})
        return {one: {name: self._of(one, name) for name in self.names} for one in found}

    def _of(self, in_month: str, name: str) -> Figure:
        key = (in_month, name)
        return Figure(ours=self._ours.get(key, ZERO), lagos=self._lagos.get(key, ZERO))


@dataclass(frozen=True, slots=True)
class Compared:
    """What one part of the comparison came to."""

    tally: Tally
    differences: list[Difference]


def month(at: Any) -> str:
    """Return the month of a time, a day, or Lago's text of one, in UTC: 2026-11; "" for what is none."""
    if isinstance(at, str):
        try:
            at = parse_datetime(at) or parse_date(at)
        except ValueError:
            return ""
    if isinstance(at, datetime):
        at = at.astimezone(UTC).date() if at.tzinfo is not None else at.date()
    return f"{at:%Y-%m}" if isinstance(at, date) else ""


def _sum(amounts_by_month: dict[tuple[str, str], Decimal], name: str) -> Decimal:
    found: Iterable[Decimal] = (amount for (_, one), amount in amounts_by_month.items() if one == name)
    return sum(found, ZERO)

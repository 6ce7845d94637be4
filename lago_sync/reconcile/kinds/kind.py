"""What the poll reads of Lago, kind by kind, and what it may find that differs from the portal's mirror."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime

from lago_sync.client.transport import Json
from lago_sync.errors import LagoUnavailable

SHORTLY: Final = timedelta(minutes=10)
"""Read again before the watermark: what Lago made while a run was under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One difference: of what, whose (public id), and either how it is repaired or what a person does about it."""

    kind: str
    subject: str
    organization: str
    what: str
    do: str = ""
    repair: Callable[[datetime], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of Lago's objects.

    `listed` yields all from a page on, `of_customer` those of one; `one` is the object that a difference names.
    `made_at` is what the list is ordered by, the newest first; without `overlap` it is ordered by something else, and
    read to its end each time. `judge` compares with the mirror and asks Lago nothing. `is_missed`
    tells whether the portal still counts on an object that Lago does not show.
    """

    name: str
    listed: Callable[[int], Iterator[Json]]
    of_customer: Callable[[str], Iterator[Json]]
    one: Callable[[str], Json | None]
    judge: Callable[[list[Json]], Iterable[Found]]
    made_at: Callable[[Json], datetime]
    overlap: timedelta | None
    is_missed: Callable[[str], bool] = lambda _subject: False


def instant(given: Any) -> datetime:
    """Return a time or the start of a day of Lago's. Raises LagoUnavailable for what is none."""
    try:
        at = parse_datetime(str(given))
        day = None if at is not None else parse_date(str(given))
    except ValueError:
        at = day = None
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if at is None:
        raise LagoUnavailable("Lago's list has a time that is none.")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def changed_at(row: Json) -> datetime:
    """Return when Lago touched something last."""
    return instant(row.get("updated_at") or row.get("started_at") or row.get("created_at"))


def text(given: Any) -> str:
    """Return a text that PostgreSQL can be asked for, "" for anything else."""
    return given if isinstance(given, str) and given.isprintable() else ""

"""Sheets: a CSV of who shall have how much, read line by line. Every fault is named by its line; nothing is looked up here."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from credits import amounts
from credits.amounts import ZERO
from credits.models import Allocation
from credits.sharing import periods
from credits.sharing.allocations import Mode
from credits.sharing.terms import KEEP, Expiry
from kit import instants
from kit.errors import ValidationError

MOST_BYTES: Final = 1024 * 1024
MOST_LINES: Final = 5_000
COLUMNS: Final = ("email", "user_id", "name", "credits", "mode", "reset_period", "expires_at", "notes")
"""`name` is for who reads the file; nobody is found by it."""
_LONGEST: Final = {"email": 254, "user_id": 64, "notes": 500}
_NAMES: Final = ("email", "user_id", "name")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NEVER: Final = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line says. `number` is where it begins in the file, `faults` why it cannot be as it stands."""

    number: int
    email: str = ""
    user_id: str = ""
    credits: Decimal = ZERO
    mode: Mode = Mode.SET
    reset_period: str | None = None
    expires_at: Expiry = KEEP
    notes: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def who(self) -> str:
        """What the line calls its member."""
        return self.email or self.user_id


def read(data: bytes, *, zone: ZoneInfo) -> list[Line]:
    """Return the lines of a CSV: UTF-8 with or without a byte order mark, split by comma or semicolon.

    The head names the columns: `credits` and one of `email` and `user_id` at least. Raises ValidationError (file) where
    it cannot be read as a whole; what is wrong with one line stands with that line. A line that only names somebody says
    nothing and is left out.
    """
    head, rows = _rows(_decoded(data))
    lines = [_line(number, head, cells, zone) for number, cells in rows if _says_something(head, cells)]
    if not lines:
        raise ValidationError(file="has no line below its head that says something")
    if len(lines) > MOST_LINES:
        raise ValidationError(file=f"has more than {MOST_LINES:,} lines")
    return lines


def last_day(day: date, *, zone: ZoneInfo) -> datetime:
    """Return when an allocation expires whose last day is this one: where the next day begins."""
    return periods.bounds(day, "daily", 1, zone)[0]


def _decoded(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise ValidationError(file="is larger than 1 MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError(file="is not UTF-8 text; save it as «CSV UTF-8»") from None
    if "\x00" in text:
        raise ValidationError(file="is not text")
    return text


def _rows(text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the head, and each row that is not empty with the number of its first line."""
    first = text.lstrip().partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    found = list(_numbered(text, delimiter))
    if not found:
        raise ValidationError(file="is empty")
    head = [one.strip().lower() for one in found[0][1]]
    unknown = sorted({one for one in head if one not in COLUMNS})
    if unknown:
        raise ValidationError(
            file=f"has a column that nobody knows: {', '.join(unknown)[:200] or '(no name)'}"
        )
    if len(set(head)) != len(head):
        raise ValidationError(file="names a column twice")
    if "credits" not in head or not {"email", "user_id"} & set(head):
        raise ValidationError(file="needs the column credits, and email or user_id")
    return head, found[1:]


def _numbered(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error:
        raise ValidationError(file=f"cannot be read from line {number} on: look at its quotes") from None


def _says_something(head: list[str], cells: list[str]) -> bool:
    return any(cell.strip() for name, cell in zip(head, cells, strict=False) if name not in _NAMES)


def _line(number: int, head: list[str], cells: list[str], zone: ZoneInfo) -> Line:
    given = {name: cell.strip() for name, cell in zip(head, cells, strict=False)}
    faults = [
        f"{name} is too long." for name, longest in _LONGEST.items() if len(given.get(name, "")) > longest
    ]
    if any(_CONTROL.search(cell) for cell in given.values()):
        faults.append("It has characters that cannot be read.")
    if any(cell.strip() for cell in cells[len(head) :]):
        faults.append(f"It has more fields than the head, which has {len(head)}.")
    if not given.get("email") and not given.get("user_id"):
        faults.append("It names nobody.")
    return Line(
        number=number,
        email=given.get("email", "")[:254],
        user_id=given.get("user_id", "")[:64],
        credits=_credits(given, faults),
        mode=_mode(given, faults),
        reset_period=_period(given, faults),
        expires_at=_expiry(given, zone, faults),
        notes=given.get("notes", "")[:500],
        faults=faults,
    )


def _credits(given: Mapping[str, str], faults: list[str]) -> Decimal:
    text = given.get("credits", "")
    if not text:
        faults.append("credits is empty.")
        return ZERO
    try:
        return amounts.parse(text)
    except ValueError as error:
        faults.append(f"credits {error}.")
        return ZERO


def _mode(given: Mapping[str, str], faults: list[str]) -> Mode:
    text = given.get("mode", "").lower() or Mode.SET
    if text not in list(Mode):
        faults.append("mode must be set or add.")
        return Mode.SET
    return Mode(text)


def _period(given: Mapping[str, str], faults: list[str]) -> str | None:
    text = given.get("reset_period", "").lower()
    if text and text not in Allocation.ResetPeriod.values:
        faults.append(f"reset_period must be one of {', '.join(Allocation.ResetPeriod.values)}.")
        return None
    return text or None


def _expiry(given: Mapping[str, str], zone: ZoneInfo, faults: list[str]) -> Expiry:
    """Return when it ends: nothing is as it is, a date is the last day, else a time with its offset."""
    text = given.get("expires_at", "")
    if not text:
        return KEEP
    if text.lower() == _NEVER:
        return None
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    at = instants.utc(text) if day is None else None
    if day is not None and date(2000, 1, 1) <= day <= date(2200, 1, 1):
        return last_day(day, zone=zone)
    if at is None or not 2000 <= at.year <= 2200:
        faults.append("expires_at must be a date such as 2027-01-31, a time with its offset, or never.")
        return KEEP
    return at

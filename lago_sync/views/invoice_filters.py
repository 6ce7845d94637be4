"""What the address of the list of invoices asks for: state, kind, days of issuing, number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from lago_sync.invoices.listing import KINDS, Asked, State

_LONGEST_TEXT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the address asks for, as it was typed; `problem` says why there is nothing to show."""

    state: str
    kind: str
    start: str
    end: str
    text: str
    problem: str

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(self.state or self.kind or self.start or self.end or self.text)

    @property
    def asked(self) -> Asked:
        """The question to the mirror."""
        return Asked(
            state=self.state,
            invoice_type=KINDS.get(self.kind, ""),
            first=_day(self.start),
            last=_day(self.end),
            text=self.text,
        )


def read(query: Mapping[str, str]) -> Filters:
    """Return what an address asks for; words that mean nothing are left out, days that are none are a problem."""
    state, kind, start, end, text = (_text(query, name) for name in ("state", "kind", "start", "end", "q"))
    problem = ""
    if (start and _day(start) is None) or (end and _day(end) is None):
        problem = "A date cannot be read. Write it as 2027-01-31."
    elif start and end and start > end:
        problem = "The first day lies after the last one."
    return Filters(
        state=state if state in frozenset(State) else "",
        kind=kind if kind in KINDS else "",
        start=start,
        end=end,
        text=text,
        problem=problem,
    )


def _text(query: Mapping[str, str], name: str) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:_LONGEST_TEXT]


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(2000, 1, 1) <= found <= date(2200, 1, 1) else None

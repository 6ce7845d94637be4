"""How a member stands, in words: what a request for credits is judged by. What is not known is said, never left at 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.formats import date_format

from credits import amounts
from credits.amounts import ZERO
from credits.reports.forecast import State

NOT_KNOWN_YET: Final = "not known yet"
NOT_APPLICABLE: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the evidence."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The lines, and what the rest of the period lacks at this pace (None where nothing, or nobody knows)."""

    facts: list[Fact]
    lacking: Decimal | None
    until: date


def read(found: Mapping[str, Any]) -> Standing:
    """Return the evidence as the verb found or kept it (`requests.Evidence` as a dictionary)."""
    until = date.fromisoformat(found["period_until"])
    facts = [
        Fact(label="Left", value=_left(found)),
        Fact(label="Burn rate", value=_pace(found)),
        Fact(label="Lasts", value=_lasts(found)),
        Fact(label=f"Use by {date_format(until, 'j F')}", value=_expected(found)),
    ]
    return Standing(facts=facts, lacking=_lacking(found), until=until)


def _left(found: Mapping[str, Any]) -> str:
    if found["remaining"] is None:
        return "no allocation; the pool pays" if found["payer"] == "pool" else "nothing is set apart"
    return f"{_shown(found['remaining'])} of {_shown(found['allocated'])}"


def _pace(found: Mapping[str, Any]) -> str:
    return NOT_KNOWN_YET if found["a_day"] is None else f"{_short(found['a_day'])} a day"


def _lasts(found: Mapping[str, Any]) -> str:
    if found["runway_state"] == State.NOT_APPLICABLE:
        return NOT_APPLICABLE
    if found["runway_days"] is None:
        return NOT_KNOWN_YET
    return "1 day" if found["runway_days"] == 1 else f"{found['runway_days']} days"


def _expected(found: Mapping[str, Any]) -> str:
    used = f"{_short(found['period_used'])} so far"
    if found["expected"] is None:
        return f"{NOT_KNOWN_YET}; {used}"
    return f"{_short(found['expected'])} expected; {used}"


def _lacking(found: Mapping[str, Any]) -> Decimal | None:
    if found["expected"] is None or found["remaining"] is None:
        return None
    to_come = Decimal(found["expected"]) - Decimal(found["period_used"])
    lacking = to_come - Decimal(found["remaining"])
    return lacking if lacking > ZERO else None


def _shown(text: str) -> str:
    return amounts.display(Decimal(text))


def _short(text: str) -> str:
    return amounts.display_short(Decimal(text))

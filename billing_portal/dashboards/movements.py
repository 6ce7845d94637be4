"""The latest movements of an organization's ledger, as sentences."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from credits.reports import movements
from credits.reports.movements import EntryLine
from orgs.models import Organization

SHOWN: Final = 6

# kind: icon, tone, what happened
_KINDS: Final = {
    "grant": ("coins", "ok", "granted"),
    "transfer": ("arrow-right", "", "transferred between pools"),
    "allocate": ("gauge", "accent", "allocated"),
    "deallocate": ("arrow-left", "", "returned"),
    "reset": ("refresh-cw", "accent", "restored"),
    "expire": ("hourglass", "warn", "expired"),
    "withdraw": ("arrow-down-right", "warn", "withdrawn"),
}


@dataclass(frozen=True)
class Movement:
    """One line of the feed; `credits` is always above zero, the sentence says where it went."""

    icon: str
    tone: str
    credits: Decimal
    sentence: str
    reason: str
    at: datetime


def latest(*, organization: Organization) -> list[Movement]:
    """Return the newest movements first."""
    return [_movement(line) for line in movements.recent(organization=organization, limit=SHOWN)]


def _movement(line: EntryLine) -> Movement:
    icon, tone, happened = _KINDS[line.kind]
    word = {"allocate": "to", "deallocate": "from", "reset": "for"}.get(line.kind, "of")
    sentence = f"{happened} {word} {line.member_name}" if line.member_name else happened
    return Movement(
        icon=icon, tone=tone, credits=abs(line.credits), sentence=sentence, reason=line.reason, at=line.at
    )

"""How full something is, as a word and a colour: colour alone says nothing to many."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True)
class Band:
    """A word for a badge, with the tone of the badge and of the bar."""

    word: str
    badge_tone: str
    bar_tone: str


NORMAL: Final = Band("Normal", "ok", "")
WATCH: Final = Band("Watch", "warn", "")
NEAR_LIMIT: Final = Band("Near limit", "warn", "warn")
EXHAUSTED: Final = Band("Exhausted", "bad", "bad")
CLOSED: Final = Band("Closed", "", "off")
POOL_PAYS: Final = Band("Pool pays", "", "off")


def band(*, percentage: Decimal, remaining: Decimal, is_active: bool = True, is_limited: bool = True) -> Band:
    """Return the band of a limit that is used to `percentage` and has `remaining` credits left.

    What is held counts as gone: with nothing remaining the next request is refused, whatever the percentage.
    A closed allocation is a limit of 0, unless its member was let spend from the pool.
    """
    if not is_active:
        return CLOSED if is_limited else POOL_PAYS
    if remaining <= 0 or percentage >= 100:
        return EXHAUSTED
    if percentage >= 90:
        return NEAR_LIMIT
    return WATCH if percentage >= 75 else NORMAL

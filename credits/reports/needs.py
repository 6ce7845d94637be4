"""What somebody needs, by what their days took: pure functions of credits a day, the oldest first, 0 where there was no use."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from credits import amounts
from credits.amounts import ZERO

MONTH: Final = 30
"""Days of a month, for comparing months."""


def need(*, by_day: Sequence[Decimal], span: int) -> Decimal:
    """Return what nine of ten spans of so many days took; fewer days are scaled up to one span. Pure."""
    if len(by_day) < span:
        return amounts.portion(sum(by_day, ZERO), span, len(by_day))
    sums, running = [], sum(by_day[:span], ZERO)
    sums.append(running)
    for at in range(span, len(by_day)):
        running += by_day[at] - by_day[at - span]
        sums.append(running)
    sums.sort()
    return max(sums[(len(sums) * 9 - 1) // 10], ZERO)


def refused(*, by_day: Sequence[Decimal], span: int, credits: Decimal) -> Decimal:
    """Return what would not have fitted, had the amount been there anew every so many days. Pure."""
    lost = ZERO
    for first in range(0, len(by_day), span):
        left = credits
        for used in by_day[first : first + span]:
            taken = min(max(used, ZERO), left)
            left -= taken
            lost += max(used, ZERO) - taken
    return lost


def budget(*, by_day: Sequence[Decimal]) -> Decimal:
    """Return a month's budget: 30 times the mean day, and twice the spread of a month, tidy. Pure."""
    mean = sum(by_day, ZERO) / len(by_day)
    variance = sum(((one - mean) ** 2 for one in by_day), ZERO) / len(by_day)
    return amounts.tidy(amounts.round_up(mean * MONTH + 2 * (variance * MONTH).sqrt()))

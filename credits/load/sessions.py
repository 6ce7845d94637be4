"""Generated use: sessions of like requests, in the order of time, drawn from a seed so that they can be drawn twice.

The first drawing tells what everybody will have spent, the second writes it; nothing is kept in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from credits.load.teams import Member, Team

REQUESTS: Final = 8
"""Of one session."""
DAYS: Final = 90
SPACE: Final = timedelta(seconds=20)
MODELS: Final = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-3-5-sonnet"),
    ("mistral", "mistral-large"),
)
_OF_THE_LARGEST: Final = 10
"""One session in ten is the largest organization's."""


@dataclass(frozen=True, slots=True)
class Session:
    """Requests of one member to one model, each of the same figures; `micro` are millionths of a credit each."""

    at: datetime
    team: Team
    member: Member
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    micro: int
    requests: int


def draw(*, teams: list[Team], usage: int, since: datetime, seed: int) -> Iterator[Session]:
    """Yield sessions of `usage` requests together, from `since` on over DAYS and not before, by the calendar of UTC."""
    random = Random(seed)  # noqa: S311 - made-up figures, no secret
    sessions = -(-usage // REQUESTS)
    length = REQUESTS * SPACE
    span = (timedelta(days=DAYS) - 2 * length) / max(sessions, 1)
    for number in range(sessions):
        team = teams[0] if not random.randrange(_OF_THE_LARGEST) else random.choice(teams)
        provider, model = random.choice(MODELS)
        yield Session(
            at=_within_a_day(since + length + number * span),
            team=team,
            member=random.choice(team.members),
            provider=provider,
            model=model,
            input_tokens=random.randrange(50, 4_000),
            output_tokens=random.randrange(20, 1_000),
            micro=random.randrange(500, 900_000),
            requests=min(REQUESTS, usage - number * REQUESTS),
        )


def _within_a_day(at: datetime) -> datetime:
    """Return an instant from which the whole session lies on one day."""
    return at if (at + REQUESTS * SPACE).date() == at.date() else at - REQUESTS * SPACE

"""Generating: a large data set whose books hold every law, in one transaction, for measuring and for load tests."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from credits.ledger import statements
from credits.load import books, sessions, teams
from kit import transactions
from kit.errors import ValidationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was made: organizations are named `load-<tag>-<number>`, number 0 is the one of 5,000 members."""

    tag: str
    organizations: int
    members: int
    usage: int
    rows: int
    seconds: float


def generate(
    *, organizations: int, members: int, usage: int, told: Callable[[int], None] = lambda _: None
) -> Generated:
    """Make `organizations`, one of 5,000 members and the others of `members`, with `usage` charges of the last 90 days.

    Their subscriptions begin now, so that this history concerns no billing engine. `told` hears the rows written so far.
    All or nothing: opens one transaction. Raises ValidationError for a number that makes no sense.
    """
    if organizations < 1 or members < 1 or usage < 0:
        raise ValidationError(numbers="organizations and members are 1 or more, usage is 0 or more")
    begun, tag = time.monotonic(), secrets.token_hex(3)
    with transactions.durable():
        _take_time()
        made, rows = _write(organizations, members, usage, tag, told)
    with transactions.durable(), connection.cursor() as cursor:
        _take_time()
        cursor.execute("ANALYZE")
    return Generated(
        tag=tag,
        organizations=organizations,
        members=sum(len(team.members) for team in made),
        usage=usage,
        rows=rows,
        seconds=time.monotonic() - begun,
    )


def _take_time() -> None:
    """Let this transaction take as long as it needs, whatever the portal's limits for a request are.

    ANALYZE waits for autovacuum, and for another ANALYZE of a table that all databases of the server share.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _write(
    organizations: int, members: int, usage: int, tag: str, told: Callable[[int], None]
) -> tuple[list[teams.Team], int]:
    now = statements.clock()
    since = now - timedelta(days=sessions.DAYS)
    seed = secrets.randbits(64)
    made = teams.make(organizations=organizations, members=members, tag=tag, now=now, since=since)
    books.add_up(sessions.draw(teams=made, usage=usage, since=since, seed=seed))
    rows = books.open_books(made, since=since)
    with connection.cursor() as cursor:
        # Otherwise PostgreSQL remembers a check for every usage record until the commit.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for written in books.charge(
        sessions.draw(teams=made, usage=usage, since=since, seed=seed), tag=tag, seed=seed
    ):
        rows += written
        told(rows)
    return made, rows

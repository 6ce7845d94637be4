"""The books of generated organizations: what entered, who got a share, and every request that was charged."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from random import Random
from typing import Final
from uuid import UUID

from credits.ledger.commands import MakeCharge, Spender
from credits.load.copying import NULL, amount, copy, line
from credits.load.sessions import SPACE, Session
from credits.load.teams import Member, Team
from credits.pricing.costs import CreditsCost
from kit.identifiers import uuid7

MADE_BY: Final = "portal"
SERVICE: Final = "llm"
_FREE: Final = 1_000_000 * 1_000_000
"""Millionths of a credit that a pool has available beside what it shared out."""
_LEFT: Final = 1_000 * 1_000_000
"""Millionths of a credit that an allocation has left."""
_SESSIONS: Final = 4_096
"""Written together."""
_PRICE: Final = json.dumps({"form": "credits"})
_MILLISECOND: Final = 1_000

Grain = tuple[int, int, UUID, str, str]
"""Organization, department, user, provider and model of a day's use."""


def add_up(sessions: Iterable[Session]) -> None:
    """Note on every payer what these sessions will cost it."""
    for one in sessions:
        payer = one.team if one.member.allocation is None else one.member
        payer.spent += one.requests * one.micro


def open_books(teams: list[Team], *, since: datetime) -> int:
    """Write pools, one grant each, allocations and the entries between them; returns the number of rows."""
    shared = {team.organization: sum(_given(member) for _, member in _sharing([team])) for team in teams}
    granted = {team.organization: shared[team.organization] + team.spent + _FREE for team in teams}
    grants = {team.organization: uuid7() for team in teams}
    written = copy(
        "credits_creditpool",
        "id, organization_id, available, held, spent, overdraft_limit",
        (line(team.pool, team.organization, amount(_FREE), 0, amount(team.spent), 0) for team in teams),
    )
    written += _grants(teams, grants, granted, since)
    written += copy(
        "credits_allocation",
        "id, organization_id, user_id, pool_id, remaining, held, used, spent, amount, is_limited,"
        " reset_period, notes, opened_at",
        (
            line(
                member.allocation, team.organization, member.user, team.pool, amount(_LEFT), 0,
                amount(member.spent), amount(member.spent), amount(_LEFT + member.spent), "t", "never", "", since,
            )
            for team, member in _sharing(teams)
        ),
    )  # fmt: skip
    written += copy(
        "credits_ledgerentry",
        "id, organization_id, kind, amount, source_pool_id, target_pool_id, target_allocation_id, grant_id, reason,"
        " made_by, created_at",
        _entries(teams, grants, granted, since),
    )
    return written


def charge(sessions: Iterator[Session], *, tag: str, seed: int) -> Iterator[int]:
    """Write usage records, their keys and the rollups of each day; yields the number of rows after each part."""
    days: dict[date, dict[Grain, list[int]]] = {}
    numbers = Random(seed)  # noqa: S311 - made-up identifiers, no secret
    while part := list(islice(sessions, _SESSIONS)):
        rows = [row for session in part for row in _requests(session, tag, numbers)]
        written = copy("credits_usagerecord", _USAGE_COLUMNS, (usage for usage, _ in rows))
        written += copy("credits_transactionkey", _KEY_COLUMNS, (key for _, key in rows))
        for session in part:
            _roll_up(session, days)
        over = [day for day in days if day < part[-1].at.date()]
        yield written + sum(_write_day(day, days.pop(day)) for day in sorted(over))
    yield sum(_write_day(day, grains) for day, grains in sorted(days.items()))


_USAGE_COLUMNS: Final = (
    "id, transaction_id, occurred_at, created_at, day, organization_id, kind, user_id, department_id, pool_id,"
    " allocation_id, credits, cost, shortfall, late, unpriced, byok, after_the_fact, service, provider, model,"
    " input_tokens, output_tokens, cached_input_tokens, price, metadata, reason, made_by"
)
_KEY_COLUMNS: Final = "subject, transaction_id, organization_id, kind, content"


def _requests(session: Session, tag: str, numbers: Random) -> Iterator[tuple[str, str]]:
    """Yield a usage record and its key for every request: what differs between them comes first."""
    usage, key = _same(session)
    for number in range(session.requests):
        at = session.at + number * SPACE
        row = _uuid7(at, numbers)
        name = f"load-{tag}-{row}"
        yield f"{row}\t{name}\t{at}\t{at}\t{usage}", f"{row}\t{name}\t{key}"


def _same(session: Session) -> tuple[str, str]:
    """Return what all requests of a session have alike, as columns of the record and of the key."""
    team, member = session.team, session.member
    pool = team.pool if member.allocation is None else None
    credits = amount(session.micro)
    usage = line(
        session.at.date(), team.organization, "charge", member.user, member.department, pool, member.allocation,
        credits, credits, 0, "f", "f", "f", "f", SERVICE, session.provider, session.model,
        session.input_tokens, session.output_tokens, 0, _PRICE, "{}", "", MADE_BY,
    )  # fmt: skip
    cost = CreditsCost(Decimal(credits), session.model, session.input_tokens, session.output_tokens)
    command = MakeCharge(
        organization_id=team.organization,
        spender=Spender(made_by=MADE_BY, user_id=member.user),
        transaction_id="",
        cost=cost,
        service=SERVICE,
        provider=session.provider,
    )
    return usage, line(team.organization, "charge", command.content())


def _roll_up(session: Session, days: dict[date, dict[Grain, list[int]]]) -> None:
    member = session.member
    grain = (
        session.team.organization,
        member.department or 0,
        member.user,
        session.provider,
        session.model,
    )
    total = days.setdefault(session.at.date(), {}).setdefault(grain, [0, 0, 0])
    total[0] += session.requests
    total[1] += session.requests * (session.input_tokens + session.output_tokens)
    total[2] += session.requests * session.micro


def _write_day(day: date, grains: dict[Grain, list[int]]) -> int:
    return copy(
        "credits_dailyusage",
        "day, organization_id, department_id, user_id, provider, model, service, requests, tokens, credits",
        (
            line(day, *grain, SERVICE, requests, tokens, amount(micro))
            for grain, (requests, tokens, micro) in grains.items()
        ),
    )


def _grants(teams: list[Team], grants: dict[int, UUID], granted: dict[int, int], since: datetime) -> int:
    """Write a grant for each, paid for at a cent a credit, and what use has left of it."""
    written = copy(
        "credits_grant",
        "id, organization_id, source, credits, reference, priority, paid_cents, currency, reason, granted_by, created_at",
        (
            line(
                grants[team.organization], team.organization, "migration", amount(granted[team.organization]),
                "generated load", 50, granted[team.organization] // 1_000_000, "USD", "generated", MADE_BY, since,
            )
            for team in teams
        ),
    )  # fmt: skip
    written += copy(
        "credits_grantbalance",
        "grant_id, organization_id, credits, consumed, expired, withdrawn",
        (
            line(
                grants[team.organization], team.organization, amount(granted[team.organization]),
                amount(team.spent + sum(member.spent for member in team.members)), 0, 0,
            )
            for team in teams
        ),
    )  # fmt: skip
    return written


def _entries(
    teams: list[Team], grants: dict[int, UUID], granted: dict[int, int], since: datetime
) -> Iterator[str]:
    for team in teams:
        of = team.organization
        yield line(
            uuid7(), of, "grant", amount(granted[of]), NULL, team.pool, NULL, grants[of], "", MADE_BY, since
        )
        for _, member in _sharing([team]):
            yield line(
                uuid7(), of, "allocate", amount(_given(member)), team.pool, NULL, member.allocation, NULL, "",
                MADE_BY, since,
            )  # fmt: skip


def _sharing(teams: list[Team]) -> Iterator[tuple[Team, Member]]:
    for team in teams:
        for member in team.members:
            if member.allocation is not None:
                yield team, member


def _given(member: Member) -> int:
    return member.spent + _LEFT


def _uuid7(at: datetime, numbers: Random) -> UUID:
    """Return a UUID of version 7 of that instant (RFC 9562 §5.7), so that rows lie in the order of time."""
    milliseconds = int(at.timestamp() * _MILLISECOND)
    random = numbers.getrandbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return UUID(int=value)

"""Generated organizations: one of 5,000 members, the rest alike; every tenth member has no allocation."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from credits.load.copying import copy, keys, line
from kit.identifiers import public_id, uuid7
from orgs.models import Plan

LARGEST: Final = 5_000
"""Members of the first organization."""
_DEPARTMENT: Final = 500
"""Members of a department, in organizations that have as many."""
_PERIOD: Final = timedelta(days=30)


@dataclass(slots=True)
class Member:
    """A member; `allocation` is a primary key, None where the pool pays. `spent` is in millionths of a credit."""

    user: UUID
    department: int | None
    allocation: int | None = None
    spent: int = 0


@dataclass(slots=True)
class Team:
    """An organization with its own pool; `spent` is what the pool itself paid, in millionths of a credit."""

    organization: int
    public_id: str
    pool: int
    members: list[Member]
    spent: int = 0


def make(*, organizations: int, members: int, tag: str, now: datetime, since: datetime) -> list[Team]:
    """Write organizations, departments, users, memberships and subscriptions; returns them without their books."""
    sizes = [LARGEST, *[members] * (organizations - 1)]
    made = [
        Team(organization, public_id("org"), pool, [])
        for organization, pool in zip(
            keys("orgs_organization", organizations), keys("credits_creditpool", organizations), strict=True
        )
    ]
    _organizations(made, tag, since)
    _fill(made, sizes, _departments(made, sizes, since))
    _people(made, tag, since)
    plan = Plan.objects.get(code="enterprise").pk
    copy(
        "orgs_subscription",
        "organization_id, plan_id, status, started_at, current_period_start, current_period_end",
        (line(team.organization, plan, "active", now, now, now + _PERIOD) for team in made),
    )
    return made


def _organizations(teams: list[Team], tag: str, since: datetime) -> None:
    copy(
        "orgs_organization",
        "id, public_id, slug, name, kind, status, shared_spending, unpriced, unpriced_credits, time_zone, currency,"
        " billing_email, legal_name, tax_number, billing_address, created_at",
        (
            line(
                team.organization, team.public_id, f"load-{tag}-{number}", f"Load {tag} {number}", "team", "active",
                "without_allocation", "refuse", 0, "UTC", "USD", "", "", "", "", since,
            )
            for number, team in enumerate(teams)
        ),
    )  # fmt: skip


def _departments(teams: list[Team], sizes: list[int], since: datetime) -> dict[int, list[int]]:
    """Write departments of the large organizations, and return their keys by the organization's."""
    counts = {team.organization: size // _DEPARTMENT for team, size in zip(teams, sizes, strict=True)}
    free = iter(keys("orgs_department", sum(counts.values())))
    owned = {organization: list(islice(free, count)) for organization, count in counts.items()}
    copy(
        "orgs_department",
        "id, public_id, organization_id, name, created_at",
        (
            line(key, public_id("dep"), organization, f"Department {number}", since)
            for organization, departments in owned.items()
            for number, key in enumerate(departments, 1)
        ),
    )
    return owned


def _fill(teams: list[Team], sizes: list[int], departments: dict[int, list[int]]) -> None:
    allocations = iter(keys("credits_allocation", sum(sizes)))
    for team, size in zip(teams, sizes, strict=True):
        parts = departments[team.organization] or [None]  # type: ignore[list-item]
        team.members = [
            Member(uuid7(), parts[number % len(parts)], None if number % 10 == 9 else next(allocations))
            for number in range(size)
        ]


def _people(teams: list[Team], tag: str, since: datetime) -> None:
    copy(
        "orgs_user",
        "id, public_id, email, name, password, is_service, is_staff, is_superuser, is_active, date_joined",
        (
            line(
                member.user, public_id("usr"), f"{number}@load-{tag}-{place}.example", f"Member {number} of {place}",
                "!", "f", "f", "f", "t", since,
            )
            for place, number, _, member in _numbered(teams)
        ),
    )  # fmt: skip
    copy(
        "orgs_membership",
        "organization_id, user_id, role, department_id, joined_at",
        (
            line(team.organization, member.user, "member" if number else "owner", member.department, since)
            for _, number, team, member in _numbered(teams)
        ),
    )


def _numbered(teams: list[Team]) -> Iterator[tuple[int, int, Team, Member]]:
    for place, team in enumerate(teams):
        for number, member in enumerate(team.members):
            yield place, number, team, member

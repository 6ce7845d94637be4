"""Four weeks of use up to this hour, the same on every run: each call has its day, hour and size from its own name."""

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone

from billing_portal.demo.cast import SOLO, TEAMS, Member, Team
from credits.ledger import charging
from credits.ledger.commands import MakeCharge, Settled, Spender
from credits.pricing.costs import CreditsCost, TokensCost
from credits.reports import usage
from orgs.models import Organization, User

DAYS: Final = 28
_BATCH: Final = 500
_MODELS: Final = (
    ("claude-sonnet-4", 41),
    ("gpt-5", 27),
    ("gemini-2.5-pro", 16),
    ("llama-3.3-70b", 11),
    ("gpt-4o-mini", 5),
)
_SERVICES: Final = ("chat", "chat", "chat", "agents", "search")


def carry_forward(*, organization: Organization) -> int:
    """Charge the calls of the last four weeks that are missing; returns how many were made now."""
    commands = list(_commands(organization))
    made = 0
    for start in range(0, len(commands), _BATCH):
        outcomes = charging.settle(commands[start : start + _BATCH])
        made += sum(1 for one in outcomes if isinstance(one, Settled) and not one.replayed)
    return made


def _commands(organization: Organization) -> Iterator[MakeCharge]:
    zone = ZoneInfo(organization.time_zone)
    now = timezone.now().astimezone(zone)
    known = _known_days(organization, now.date())
    users = dict(User.objects.filter(memberships__organization=organization).values_list("email", "pk"))
    for offset in range(DAYS, -1, -1):
        day = now.date() - timedelta(days=offset)
        if day in known:
            continue
        for member in _members(organization):
            calls = _calls(organization, member, day) * (member.yesterday if offset == 1 else 1)
            for call in range(calls):
                command = _call(organization, member.email, users[member.email], day, call, zone)
                if command.occurred_at is not None and command.occurred_at <= now:
                    yield command


def _known_days(organization: Organization, today: date) -> set[date]:
    """Return past days that have use already; today is always looked at again, its repeats change nothing."""
    since, until = today - timedelta(days=DAYS), today - timedelta(days=1)
    report = usage.breakdown(organization=organization, since=since, until=until)
    return {date.fromisoformat(row.key) for row in report.rows}


def _members(organization: Organization) -> tuple[Member, ...]:
    team: Team | None = next((team for team in TEAMS if team.slug == organization.slug), None)
    if team is None:
        return (Member(email=SOLO, daily_calls=3),)
    return tuple(member for member in team.members if member.daily_calls)


def _calls(organization: Organization, member: Member, day: date) -> int:
    chance = random.Random(f"{organization.slug} {member.email} {day}")  # noqa: S311 - it only has to look alive
    weekend = day.weekday() >= 5
    return round(member.daily_calls * (0.3 if weekend else 1) * chance.uniform(0.6, 1.5))


def _call(
    organization: Organization, email: str, user: UUID, day: date, number: int, zone: ZoneInfo
) -> MakeCharge:
    name = f"demo {day} {email} {number}"
    chance = random.Random(f"{organization.slug} {name}")  # noqa: S311
    at = datetime.combine(day, datetime.min.time(), zone) + timedelta(
        seconds=chance.triangular(7 * 3600, 21 * 3600, 14 * 3600)
    )
    model = chance.choices([model for model, _ in _MODELS], [weight for _, weight in _MODELS])[0]
    tokens = TokensCost(model, int(chance.lognormvariate(8.6, 0.8)), int(chance.lognormvariate(6.6, 0.7)))
    cost = tokens if number % 7 else CreditsCost(Decimal(chance.randrange(1, 40)) / 8, model)
    return MakeCharge(
        organization_id=organization.pk,
        spender=Spender(made_by="demo", user_id=user),
        transaction_id=name,
        cost=cost,
        service=chance.choice(_SERVICES),
        provider=_provider(model),
        occurred_at=at,
    )


def _provider(model: str) -> str:
    return {"claude": "anthropic", "gpt": "openai", "gemini": "google", "llama": "meta"}[
        model.partition("-")[0]
    ]

"""Acts of a change of plan for processes that may die (dying.py): subscribing, changing, carrying on, looking."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from kit.errors import DomainError
from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.setup import installing
from lago_sync.subscriptions import catalogue, changing, plans
from orgs import subscriptions
from orgs.audit.events import Actor
from orgs.models import Organization
from tests.factories import orgs as make

BUYER = Actor(kind="user", public_id="usr_buyer")


def begin(count: int, plan: str) -> list[str]:
    """Make organizations that are on a plan."""
    now = timezone.now()
    installing.install(webhook_url="http://127.0.0.1:9/webhooks/lago", now=now)
    catalogue.refresh(now=now)
    teams = [make.team() for _ in range(count)]
    for one in teams:
        plans.subscribe(organization=one, plan_code=plan, by=BUYER, now=timezone.now())
    return [one.public_id for one in teams]


def change(organization: str, to: str, now: str) -> str:
    """Change the plan, or cancel where `to` is "", and tell in a word what came of it."""
    given: dict[str, Any] = {
        "organization": Organization.objects.get(public_id=organization),
        "by": BUYER,
        "now": datetime.fromisoformat(now),
    }
    try:
        made = changing.change_plan(plan_code=to, **given) if to else changing.cancel(**given)
    except DomainError as refusal:
        return refusal.code
    return str(made.status)


def carry_on(now: str) -> int:
    return changing.carry_on(now=datetime.fromisoformat(now))


def look(organizations: list[str]) -> list[dict[str, Any]]:
    """Return what the books have of each organization's plan."""
    return [_look(Organization.objects.get(public_id=one)) for one in organizations]


def _look(one: Organization) -> dict[str, Any]:
    fact = subscriptions.live(organization=one)
    live = LagoSubscription.objects.filter(organization=one, ended_at=None)
    return {
        "plan": fact.plan.code if fact else None,
        "status": fact.status if fact else None,
        "live": live.count(),
        "changes": [each.status for each in PlanChange.objects.filter(organization=one)],
    }

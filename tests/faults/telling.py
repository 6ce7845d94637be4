"""Acts of telling Lago of usage, for processes that may die (dying.py): spending, delivering, looking."""

import dataclasses
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from credits.ledger import reconcile
from credits.ledger.commands import Settled
from credits.models import UsageRecord
from lago_sync.client import events as lago
from lago_sync.models import LagoSubscription, OutboxEvent
from lago_sync.outbox import delivery
from orgs.models import Organization
from tests.factories import credits as make


def begin(events: int) -> str:
    """Make an organization that is subscribed at Lago and has spent so many times."""
    team = make.team(1000)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    LagoSubscription.objects.create(
        lago_id=uuid4(),
        organization=team,
        external_id=f"sub_{team.public_id}",
        plan_code="enterprise",
        plan_name="Enterprise",
        amount_cents=9900,
        currency="USD",
        interval="monthly",
        billing_time="anniversary",
        status="active",
        started_at=start,
        period_start=start,
        period_end=start,
        synced_at=start,
    )
    user = make.member(team)
    for number in range(events):
        make.charged(team, user, key=f"before-{number}")
    return team.public_id


def spend(organization: str, key: str) -> bool:
    """Charge one credit; the same key again is the same charge. Returns whether an earlier try had made it."""
    team = Organization.objects.get(public_id=organization)
    outcome = make.settle(make.charge(team, key=key))[0]
    assert isinstance(outcome, Settled), outcome
    return outcome.replayed


def deliver(now: str, at_once: int = 3) -> dict[str, Any]:
    """Run a deliverer that sends few events at once, so that a run has many steps in which to die."""
    vars(lago)["MOST"] = at_once  # of this process, which was forked for it
    return dataclasses.asdict(delivery.deliver_due(now=datetime.fromisoformat(now)))


def look(organization: str) -> dict[str, Any]:
    """Return what the ledger has spent, what the outbox says of it, and what is wrong with the books."""
    team = Organization.objects.get(public_id=organization)
    rows = OutboxEvent.objects.filter(organization=organization)
    return {
        "charges": sorted(
            str(one) for one in UsageRecord.objects.filter(organization=team).values_list("pk", flat=True)
        ),
        "events": {row.transaction_id: row.state for row in rows},
        "violations": [str(one) for one in reconcile.prove(organization=team)],
    }

"""Usage on its way to Lago: who is subscribed, what was written, what arrived."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from lago_sync.models import LagoSubscription, OutboxEvent
from lago_sync.outbox import delivery
from lago_sync.outbox.sending import Delivered
from orgs.models import Organization
from tests.factories import credits as make

BATCH = ("POST", "/api/v1/events/batch")


def subscribed(
    organization: Organization, *, start: datetime | None = None, end: datetime | None = None, name: str = ""
) -> str:
    """Let the mirror say that the organization is subscribed at Lago; returns the external id."""
    external_id = name or f"sub_{organization.public_id}"
    since = start or datetime(2026, 1, 1, tzinfo=UTC)
    LagoSubscription.objects.create(
        lago_id=uuid4(),
        organization=organization,
        external_id=external_id,
        plan_code="enterprise",
        plan_name="Enterprise",
        amount_cents=9900,
        currency="USD",
        interval="monthly",
        billing_time="anniversary",
        status="terminated" if end else "active",
        started_at=since,
        ended_at=end,
        period_start=since,
        period_end=since + timedelta(days=30),
        synced_at=since,
    )
    return external_id


def team(credits: object = 1000) -> Organization:
    """Make a team with credits that is subscribed."""
    made = make.team(credits)
    subscribed(made)
    return made


def wrote(organization: Organization, count: int = 1, **fields: Any) -> list[OutboxEvent]:
    """Write rows as the outbox has them, without charges: for what only sending can show."""
    at = timezone.now() - timedelta(seconds=5)
    payload = {"timestamp": f"{at.timestamp():.3f}", "credits": "1", "service": "llm", "tokens": 3}
    rows = [
        OutboxEvent(
            organization=organization.public_id,
            transaction_id=str(uuid4()),
            code=fields.get("code", "credits_used"),
            payload=payload | fields.get("payload", {}),
            created_at=at,
            due_at=at,
        )
        for _ in range(count)
    ]
    return OutboxEvent.objects.bulk_create(rows)


def deliver(*, after: float = 0) -> Delivered:
    """Run a deliverer, so many seconds from now."""
    return delivery.deliver_due(now=timezone.now() + timedelta(seconds=after))


def arrived(lago: Any) -> Counter[str]:
    """Count events at Lago by transaction id."""
    return Counter(event["transaction_id"] for event in lago.dump()["event"])


def states() -> Counter[str]:
    return Counter(OutboxEvent.objects.values_list("state", flat=True))


def ids(rows: Any) -> set[str]:
    return {row.transaction_id for row in rows}


def each_once(rows: Any) -> Counter[str]:
    return Counter(ids(rows))

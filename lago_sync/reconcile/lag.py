"""Lag: how far the portal and Lago are apart in time. One set of figures for the system page, the API and `lago_health`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min

from lago_sync.client import circuit
from lago_sync.client.circuit import Standing
from lago_sync.models import Drift, LagoCustomer, LagoSubscription, PlanChange, Watermark, WebhookMessage
from lago_sync.outbox import delivery
from lago_sync.reconcile.kinds.every import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Ages of what is oldest, None where nothing is: an event, a webhook and a change of plan that wait; the mirror of a
    live subscription and of an organization's invoices; each list since it was read to its watermark, None before that.
    """

    outbox: timedelta | None
    webhooks: timedelta | None
    plan_changes: timedelta | None
    subscriptions: timedelta | None
    invoices: timedelta | None
    lists: Mapping[str, timedelta | None]
    open_drift: int
    circuit: Standing

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON has them: ages in whole seconds."""
        return {
            "outbox_oldest_seconds": _seconds(self.outbox),
            "webhooks_oldest_seconds": _seconds(self.webhooks),
            "plan_changes_oldest_seconds": _seconds(self.plan_changes),
            "subscriptions_oldest_seconds": _seconds(self.subscriptions),
            "invoices_oldest_seconds": _seconds(self.invoices),
            "lists_age_seconds": {name: _seconds(age) for name, age in self.lists.items()},
            "open_drift": self.open_drift,
            "circuit": {
                "is_open": self.circuit.is_open,
                "opened_at": self.circuit.opened_at.isoformat() if self.circuit.opened_at else None,
                "failures": self.circuit.failures,
                "why": self.circuit.why,
            },
        }


def measure(*, now: datetime) -> Lag:
    """Return the figures, from indexes and the cache; asks Lago nothing."""
    waiting = WebhookMessage.objects.filter(state=WebhookMessage.State.WAITING)[: delivery.COUNTED]
    changes = PlanChange.objects.filter(status=PlanChange.Status.PENDING)
    live = LagoSubscription.objects.filter(ended_at=None)
    read = dict(Watermark.objects.values_list("name", "ran_at"))
    return Lag(
        outbox=_age(delivery.standing().oldest_waiting_at, now),
        webhooks=_age(waiting.aggregate(at=Min("received_at"))["at"], now),
        plan_changes=_age(changes.aggregate(at=Min("created_at"))["at"], now),
        subscriptions=_age(live.aggregate(at=Min("synced_at"))["at"], now),
        invoices=_age(LagoCustomer.objects.aggregate(at=Min("invoices_synced_at"))["at"], now),
        lists={kind.name: _age(read.get(kind.name), now) for kind in KINDS},
        open_drift=Drift.objects.filter(repaired_at=None)[: delivery.COUNTED].count(),
        circuit=circuit.standing(),
    )


def _age(at: datetime | None, now: datetime) -> timedelta | None:
    return max(now - at, timedelta()) if at is not None else None


def _seconds(age: timedelta | None) -> int | None:
    return round(age.total_seconds()) if age is not None else None

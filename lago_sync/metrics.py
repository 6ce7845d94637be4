"""How far the portal and Lago are apart, for Prometheus: the figures of the system page, from what jobs stored."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lago_sync.inbox import handling
from lago_sync.models import Purchase
from lago_sync.outbox import delivery
from lago_sync.purchases import orders
from lago_sync.reconcile import drift, health, identity, lag

PREFIX: Final = "billing_portal_lago_"


class LagoCollector(Collector):
    """Reads everything anew at each scrape, at a cost that does not grow with the tables; asks Lago nothing.

    Nothing is counted in the process, so that any web process answers the same.
    """

    def collect(self) -> Iterator[Metric]:
        """Give the metrics as of now. An age that there is none of has no sample; nothing that waits has waited 0."""
        now = timezone.now()
        yield from _ages(now)
        yield from _counts()
        yield from _check(now)


def _ages(now: datetime) -> Iterator[Metric]:
    measured = lag.measure(now=now)
    waits = {
        "event": measured.outbox,
        "webhook": measured.webhooks,
        "plan_change": measured.plan_changes,
    }
    yield _family(
        "oldest_waiting_seconds",
        "How long the oldest of these waits.",
        "what",
        {what: _seconds(age or timedelta()) for what, age in waits.items()},
    )
    yield _family(
        "mirror_age_seconds",
        "Since the live subscription, or the organization's invoices, looked at longest ago were looked at.",
        "of",
        _known({"subscriptions": measured.subscriptions, "invoices": measured.invoices}),
    )
    yield _family(
        "list_age_seconds",
        "Since the poll read this list of Lago's to its watermark.",
        "list",
        _known(measured.lists),
    )
    yield _gauge("circuit_open", "1 while requests to Lago are held back.", float(measured.circuit.is_open))
    yield _gauge("drift_open", "Differences from Lago that are not repaired.", measured.open_drift)


def _counts() -> Iterator[Metric]:
    outbox, inbox = delivery.standing(), handling.standing()
    yield _family(
        "waiting",
        "Events to send and webhooks to handle, counted up to 10000.",
        "what",
        {"event": outbox.waiting, "webhook": inbox.waiting},
    )
    yield _family(
        "dead_letters",
        "Events and webhooks that were given up and wait for somebody, counted up to 10000.",
        "what",
        {"event": outbox.dead, "webhook": inbox.dead},
    )
    yield _gauge(
        "drift_to_decide",
        "Differences that only somebody can mend.",
        drift.still_open().exclude(do="").count(),
    )
    yield _gauge(
        "books_differing",
        "Organizations whose books and Lago's differed when they were compared last.",
        identity.all_latest().exclude(differences=[]).count(),
    )
    yield _family(
        "purchases",
        "Purchases that are under way, and those that somebody must look at.",
        "state",
        {
            "open": Purchase.objects.filter(status__in=Purchase.OPEN).count(),
            "flagged": orders.flagged().count(),
        },
    )


def _check(now: datetime) -> Iterator[Metric]:
    """Tell of the last look at Lago; before the first there is nothing to tell."""
    latest = health.latest()
    if latest is None:
        return
    yield _family(
        "status",
        "1 for what the last check of Lago found.",
        "status",
        {one: float(one == latest.status) for one in (health.HEALTHY, health.UNHEALTHY, health.UNREACHABLE)},
    )
    yield _gauge("check_age_seconds", "Since Lago was checked last.", _seconds(now - latest.checked_at))
    stops = any(one.get("stops_purchases") for one in latest.problems)
    yield _gauge(
        "purchases_stopped", "1 while Lago is set up so that credits would be billed twice.", float(stops)
    )


def _known(ages: Mapping[str, timedelta | None]) -> dict[str, float]:
    return {name: _seconds(age) for name, age in ages.items() if age is not None}


def _seconds(age: timedelta) -> float:
    return max(age.total_seconds(), 0.0)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, meaning, value=value)


def _family(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=[label])
    for one, value in values.items():
        family.add_metric([one], value)
    return family

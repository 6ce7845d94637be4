"""What `/system/lago/` shows: how far apart the portal and Lago are, what differs, and what waits for somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.core.paginator import Page, Paginator

from billing_portal.dashboards import lago_panel
from billing_portal.dashboards.lago_panel import IdentityLine, LagoPanel
from lago_sync.models import Drift, Identity, OutboxEvent, WebhookMessage
from lago_sync.reconcile import drift, identity, lag
from lago_sync.reconcile.lag import Lag

SHOWN: Final = 10
PER_PAGE: Final = 20
_LATE: Final = timedelta(minutes=10)
_STALE: Final = timedelta(minutes=30)
"""An object that a job looks at every few minutes, or at most each quarter of an hour."""

_COLUMNS: Final = {
    "top_ups": "Purchases",
    "top_ups_amount": "Paid",
    "credit_invoices": "Receipts",
    "voided": "Voided",
    "consumed_by_invoices": "Eaten",
    "plan_fees": "Plan fees",
    "events": "Events",
    "event_credits": "Credits told",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How long something waits, or is not looked at; None where nothing does."""

    label: str
    age: timedelta | None
    is_late: bool
    nothing: str

    @property
    def text(self) -> str:
        """Return the age in its largest whole unit."""
        seconds = round(self.age.total_seconds()) if self.age is not None else 0
        for unit, length in (("d", 2 * 86_400), ("h", 2 * 3_600), ("min", 120)):
            if seconds >= length:
                return f"{seconds // (length // 2)} {unit}"
        return f"{seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure of a month on both sides."""

    ours: Decimal
    lagos: Decimal

    @property
    def differs(self) -> bool:
        return self.ours != self.lagos


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One organization's books beside Lago's, in all and by month, the latest first."""

    line: IdentityLine
    months: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoPage:
    panel: LagoPanel
    lag: Lag
    waits: Sequence[Age]
    lists: Sequence[Age]
    drift: Sequence[Drift]
    repaired: Sequence[Drift]
    events: Sequence[OutboxEvent]
    webhooks: Sequence[WebhookMessage]
    columns: Sequence[str]
    books: Sequence[Books]
    pager: "Page[Identity]"


def build(*, page_number: str, now: datetime) -> LagoPage:
    """Return the page from what jobs stored; it asks Lago nothing."""
    measured = lag.measure(now=now)
    pager = Paginator(identity.all_latest(), PER_PAGE).get_page(page_number)
    return LagoPage(
        panel=lago_panel.build(now=now),
        lag=measured,
        waits=_waits(measured),
        lists=[
            Age(
                label=name.capitalize(),
                age=age,
                is_late=age is not None and age > _STALE,
                nothing="not read yet",
            )
            for name, age in measured.lists.items()
        ],
        drift=list(drift.still_open()[: 2 * SHOWN]),
        repaired=list(Drift.objects.exclude(repaired_at=None).order_by("-repaired_at")[:SHOWN]),
        events=list(OutboxEvent.objects.filter(state=OutboxEvent.State.DEAD).order_by("-pk")[:SHOWN]),
        webhooks=list(WebhookMessage.objects.filter(state=WebhookMessage.State.DEAD).order_by("-pk")[:SHOWN]),
        columns=list(_COLUMNS.values()),
        books=[Books(line=lago_panel.line(row), months=_months(row.months)) for row in pager.object_list],
        pager=pager,
    )


def _waits(measured: Lag) -> list[Age]:
    return [
        Age(label="Oldest event that waits", age=measured.outbox, is_late=_is_over(measured.outbox, _LATE), nothing="none waits"),
        Age(label="Oldest webhook that waits", age=measured.webhooks, is_late=_is_over(measured.webhooks, _LATE), nothing="none waits"),
        Age(label="Oldest change of plan that waits", age=measured.plan_changes, is_late=_is_over(measured.plan_changes, _LATE), nothing="none waits"),
        Age(label="Subscription seen longest ago", age=measured.subscriptions, is_late=_is_over(measured.subscriptions, _STALE), nothing="none is live"),
        Age(label="Invoices seen longest ago", age=measured.invoices, is_late=_is_over(measured.invoices, _STALE), nothing="nobody has any"),
    ]  # fmt: skip


def _is_over(age: timedelta | None, most: timedelta) -> bool:
    return age is not None and age > most


def _months(given: dict[str, dict[str, dict[str, str]]]) -> list[tuple[str, list[Cell]]]:
    return [
        (month, [_cell(given[month].get(name)) for name in _COLUMNS]) for month in sorted(given, reverse=True)
    ]


def _cell(figure: dict[str, str] | None) -> Cell:
    if figure is None:
        return Cell(ours=Decimal(0), lagos=Decimal(0))
    return Cell(ours=Decimal(figure["ours"]), lagos=Decimal(figure["lagos"]))

"""Orders that auto top-up places: under its row's lock, one open at a time, never beyond its caps."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet, Sum

from credits.limits import calendar
from credits.reports import figures
from kit import transactions
from kit.errors import DomainError, ValidationError
from kit.identifiers import uuid7
from lago_sync.customers import methods
from lago_sync.models import AutoTopUp, Purchase
from lago_sync.purchases import auto_top_ups, orders, telling
from lago_sync.purchases.orders import Order
from orgs.audit.events import SYSTEM
from orgs.models import Organization

logger = logging.getLogger(__name__)

_COST_NOTHING = (Purchase.Status.FAILED, Purchase.Status.ABANDONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What automatic purchases came to in the organization's present day and month, in minor units."""

    today_cents: int
    month_cents: int


def place_due(*, now: datetime) -> Iterator[UUID]:
    """Order for each organization whose pool is low; yields the purchases, each once it is committed.

    Asks Lago nothing. What goes wrong with one stops no other.
    """
    rows = AutoTopUp.objects.filter(is_on=True).select_related("organization").order_by("pk")
    for row in rows.iterator():
        if not _is_low(row):
            continue
        try:
            with transactions.durable():
                placed = place(organization=row.organization, now=now)
        except DomainError as error:
            logger.warning("auto top-up of %s: %s", row.organization.public_id, error.message)
            continue
        if placed is not None:
            yield placed.pk


def place(*, organization: Organization, now: datetime) -> Purchase | None:
    """Order what auto top-up says, if the pool is low, a card is stored, none is open and the caps allow; else None.

    What is no longer offered stops it. Raises OrganizationSuspended, NotFound and PurchasesStopped: it waits for them.
    """
    transactions.require()
    row = _locked(organization)
    if row is None or not _is_low(row) or open_purchase(organization=organization):
        return None
    if not methods.has_default(organization=organization):
        return None
    try:
        cents = auto_top_ups.price_of(row)
    except ValidationError:
        why = "What it bought is no longer offered."
        auto_top_ups.stop(organization=organization, because=why, subject=organization.public_id, now=now)
        return None
    capped = _capped(row, cents, now)
    if capped:
        _tell_once_a_day(row, capped, now)
        return None
    return _ordered(row, now)


def spent(*, organization: Organization, now: datetime) -> Spent:
    """Return what was ordered by itself today and this month, paid or not; what failed or was given up left out."""
    zone = organization.time_zone
    today = now.astimezone(ZoneInfo(zone)).date()
    mine = Purchase.objects.filter(organization=organization, is_automatic=True).exclude(
        status__in=_COST_NOTHING
    )
    month = mine.filter(created_at__gte=calendar.midnight(today.replace(day=1), zone))
    return Spent(
        today_cents=_total(month.filter(created_at__gte=calendar.midnight(today, zone))),
        month_cents=_total(month),
    )


def open_purchase(*, organization: Organization) -> Purchase | None:
    """Return the automatic purchase that is not paid yet; there is at most one, and none is added to it."""
    mine = Purchase.objects.filter(organization=organization, is_automatic=True)
    return mine.filter(status__in=Purchase.OPEN).first()


def _total(rows: QuerySet[Purchase]) -> int:
    return int(rows.aggregate(total=Sum("amount_cents"))["total"] or 0)


def _is_low(row: AutoTopUp) -> bool:
    return figures.own_pool(organization=row.organization) < row.threshold


def _capped(row: AutoTopUp, cents: int, now: datetime) -> str:
    """Return which cap one more purchase would pass, "" where none."""
    already = spent(organization=row.organization, now=now)
    if already.today_cents + cents > row.day_cap_cents:
        return "day"
    return "month" if already.month_cents + cents > row.month_cap_cents else ""


def _tell_once_a_day(row: AutoTopUp, cap: str, now: datetime) -> None:
    today = now.astimezone(ZoneInfo(row.organization.time_zone)).date()
    if row.capped_on != today:
        AutoTopUp.objects.filter(pk=row.pk).update(capped_on=today)
        telling.top_up_capped(row, cap=cap, today=today)


def _ordered(row: AutoTopUp, now: datetime) -> Purchase:
    order = Order(package_code=row.package.code if row.package else None, credits=row.credits)
    placed, _ = orders.place(
        organization=row.organization,
        order=order,
        idempotency_key=f"auto-{uuid7()}",
        by=SYSTEM,
        now=now,
        is_automatic=True,
    )
    return placed


def _locked(organization: Organization) -> AutoTopUp | None:
    rows = AutoTopUp.objects.select_for_update(no_key=True, of=("self",))
    return (
        rows.select_related("organization", "package").filter(organization=organization, is_on=True).first()
    )

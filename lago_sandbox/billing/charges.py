"""From events to amounts: aggregation of a metric, price by the charge's model."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from lago_sandbox import money
from lago_sandbox.models import Charge, Event, Subscription

ZERO = Decimal(0)


@dataclass(frozen=True)
class Usage:
    """What one charge comes to over a time."""

    charge: Charge
    units: Decimal
    events: int
    precise_cents: Decimal

    @property
    def cents(self) -> int:
        return money.round_half_up(self.precise_cents)


def usage(
    subscription: Subscription, *, begins: datetime, ends: datetime, visible_at: datetime | None = None
) -> list[Usage]:
    """Return the usage of every charge in arrears; `visible_at` leaves out what is not processed by then."""
    found = []
    for charge in subscription.plan.charges.filter(deleted_at=None, pay_in_advance=False).select_related(
        "metric"
    ):
        events = Event.objects.filter(
            external_subscription_id=subscription.external_id,
            code=charge.metric.code,
            timestamp__gte=begins,
            timestamp__lt=_after(ends),
        )
        if visible_at is not None:
            events = events.filter(visible_at__lte=visible_at)
        rows = list(events.order_by("timestamp").values_list("properties", "precise_total_amount_cents"))
        units = _aggregate(charge, [one for one, _ in rows])
        cents = _price(charge, units, rows) * money.SUBUNITS[subscription.plan.amount_currency]
        found.append(Usage(charge, units, len(rows), cents))
    return found


def is_summable(value: Any) -> bool:
    """Say whether an aggregation can use a property's value."""
    return _number(value) is not None


def _after(ends: datetime) -> datetime:
    """Return the first moment that is not inside: a period ends with its last second."""
    return ends.replace(microsecond=999999) if ends.microsecond == 0 else ends


def _aggregate(charge: Charge, properties: list[dict[str, Any]]) -> Decimal:
    kind, name = charge.metric.aggregation_type, charge.metric.field_name
    if kind == "count_agg":
        return Decimal(len(properties))
    if kind == "unique_count_agg":
        return Decimal(len({json.dumps(one[name]) for one in properties if name in one}))
    values = [value for one in properties if (value := _number(one.get(name))) is not None]
    if not values:
        return ZERO
    if kind == "max_agg":
        return max(values)
    return values[-1] if kind == "latest_agg" else sum(values, ZERO)


def _number(value: Any) -> Decimal | None:
    """Return a property as a number: numeric strings count (B13)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _price(charge: Charge, units: Decimal, rows: list[tuple[dict[str, Any], str | None]]) -> Decimal:
    """Return an amount in units of the currency."""
    terms = charge.properties
    match charge.charge_model:
        case "package":
            paid = max(ZERO, units - Decimal(str(terms.get("free_units") or 0)))
            packages = (paid / Decimal(str(terms["package_size"]))).to_integral_value(ROUND_CEILING)
            return packages * Decimal(terms["amount"])
        case "percentage":
            return units * Decimal(terms["rate"]) / 100 + len(rows) * Decimal(terms.get("fixed_amount") or 0)
        case "graduated":
            return _graduated(units, terms.get("graduated_ranges") or [])
        case "volume":
            return _volume(units, terms.get("volume_ranges") or [])
        case "dynamic":
            return sum((_number(amount) or ZERO for _, amount in rows), ZERO) / 100
        case _:
            return units * Decimal(terms.get("amount") or 0)


def _graduated(units: Decimal, ranges: Iterable[dict[str, Any]]) -> Decimal:
    total, below = ZERO, ZERO
    for step in ranges:
        if units <= below:
            break
        upto = units if step["to_value"] is None else min(units, Decimal(step["to_value"]))
        total += Decimal(step["flat_amount"]) + (upto - below) * Decimal(step["per_unit_amount"])
        below = upto
    return total


def _volume(units: Decimal, ranges: Iterable[dict[str, Any]]) -> Decimal:
    for step in ranges:
        if units and (step["to_value"] is None or units <= step["to_value"]):
            return Decimal(step["flat_amount"]) + units * Decimal(step["per_unit_amount"])
    return ZERO

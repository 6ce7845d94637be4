"""Lago's events, made from rows of the outbox: public ids only, and only for usage that lies in a subscription."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from lago_sync.client.transport import Json
from lago_sync.models import OutboxEvent
from lago_sync.outbox.claims import Claimed
from lago_sync.subscriptions import plans
from lago_sync.subscriptions.plans import Interval
from orgs.models import Department, User

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = Decimal("0.001")
_COUNTS: Final = ("tokens", "input_tokens", "output_tokens")
_TEXTS: Final = ("endpoint", "model", "service", "provider", "credits")


@dataclass(frozen=True, slots=True)
class Broken:
    """A row of which no event can be made, and why."""

    why: str


def of(rows: Iterable[Claimed]) -> dict[int, Json | Broken | None]:
    """Return Lago's event for each row, by its id: None where the usage lies outside any subscription.

    A reversal belongs to Lago only where the charge that it gives back does too.
    """
    claimed = list(rows)
    known = _Known(claimed)
    return {row.id: _event(row, known) for row in claimed}


def covering(intervals: Iterable[Interval], timestamp: Decimal) -> Interval | None:
    """Return the one of an organization's intervals in which a moment (UNIX seconds) lies, None outside of all."""
    at = _EPOCH + timedelta(milliseconds=int(timestamp.scaleb(3)))
    for interval in intervals:
        if interval.start <= at and (interval.end is None or at < interval.end):
            return interval
    return None


class _Known:
    """What the rows name, looked up for all of them at once."""

    def __init__(self, rows: list[Claimed]) -> None:
        payloads = [row.payload for row in rows]
        self.users = _public_ids(User.objects.all(), _uuids(_named(payloads, "user")))
        self.departments = _public_ids(Department.objects.all(), _whole(_named(payloads, "department")))
        self.reversed = _timestamps(_named(payloads, "reverses"))
        self.intervals = plans.covers({row.organization for row in rows})

    def subscription(self, organization: str, timestamp: Decimal) -> str | None:
        """Return the external id of the subscription that was live then, None without one."""
        interval = covering(self.intervals.get(organization, ()), timestamp)
        return None if interval is None else interval.external_id


def _event(row: Claimed, known: _Known) -> Json | Broken | None:
    try:
        timestamp = _seconds(row.payload["timestamp"])
        subscription = known.subscription(row.organization, timestamp)
        given_back = _seconds(known.reversed.get(row.payload.get("reverses") or "", timestamp))
        if subscription is None or known.subscription(row.organization, given_back) is None:
            return None
        return {
            "transaction_id": row.transaction_id,
            "external_subscription_id": subscription,
            "code": row.code,
            "timestamp": f"{timestamp:f}",
            "properties": _properties(row, known),
        }
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return Broken(f"No event can be made of it: {type(error).__name__}: {error}")


def _properties(row: Claimed, known: _Known) -> Json:
    """Return the properties, all of them texts: Lago's schema takes a whole number for two types at once, and so for none."""
    payload = row.payload
    if "properties" in payload:  # an event that is no charge says itself what it says
        return {**payload["properties"], "org_id": row.organization}
    found: Json = {"org_id": row.organization}
    if payload.get("user"):
        found["user_id"] = known.users[UUID(payload["user"])]
    if payload.get("department"):
        found["department"] = known.departments[payload["department"]]
    found |= {name: str(payload[name]) for name in _TEXTS if payload.get(name)}
    found |= {name: str(int(payload[name])) for name in _COUNTS if name in payload}
    return found


def _seconds(value: object) -> Decimal:
    """Return UNIX seconds to the millisecond; rows that were written as a number had microseconds."""
    return Decimal(str(value)).quantize(_MILLISECOND, rounding=ROUND_FLOOR)


def _named(payloads: Iterable[Mapping[str, Any]], name: str) -> set[Any]:
    named = [payload.get(name) for payload in payloads if isinstance(payload, dict)]
    return {one for one in named if one and isinstance(one, (str, int))}


def _uuids(texts: Iterable[Any]) -> set[UUID]:
    found = set()
    for text in texts:
        try:
            found.add(UUID(text))
        except (TypeError, ValueError, AttributeError):
            continue  # the row that says so is told apart when its event is made
    return found


def _whole(numbers: Iterable[Any]) -> set[int]:
    return {number for number in numbers if isinstance(number, int)}


def _public_ids(rows: QuerySet[User] | QuerySet[Department], keys: set[Any]) -> dict[Any, str]:
    return dict(rows.filter(pk__in=keys).values_list("pk", "public_id")) if keys else {}


def _timestamps(transaction_ids: set[Any]) -> dict[str, object]:
    """Return when the charges happened that are given back, as their rows say it."""
    if not transaction_ids:
        return {}
    rows = OutboxEvent.objects.filter(transaction_id__in=transaction_ids)
    return {row.transaction_id: row.payload["timestamp"] for row in rows}

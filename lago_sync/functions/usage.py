"""Usage: recorded for Lago without asking it, and what the present period comes to."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from kit.errors import ValidationError
from lago_sync import money
from lago_sync.client import customers
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused
from lago_sync.functions.boundary import is_whole, joined, organization, require, told
from lago_sync.models import LagoSubscription
from lago_sync.outbox import counting, writing
from lago_sync.setup import offer
from lago_sync.subscriptions import mirror

API_CALL: Final = offer.API_CALL
_MOST_TOKENS: Final = 1_000_000_000


@told
def record_usage(
    org_id: str,
    event_code: str,
    transaction_id: str,
    properties: Mapping[str, Any] | None = None,
    timestamp: datetime | str | float | None = None,
) -> bool:
    """Record an event for Lago and return True; Lago is not asked, so nothing of it can go wrong here.

    The same `transaction_id` is one event of the organization for ever, whoever sends it again and with whatever else;
    that of a charge is the charge's own event, and nothing is added. `event_code` is a metric's code at Lago, or a
    service that LAGO_EVENT_CODES names. `properties` are flat texts, numbers and booleans; `org_id` is added.
    `timestamp` is when it happened: a datetime, an ISO 8601 text or UNIX seconds; UTC where no zone is said, now where
    it is left out. Within a transaction of the caller the event is kept or lost with it.

    Raises NotDone for what Lago could not count (`codes` by field: code, transaction_id, properties, timestamp), and
    UnknownOrganization. An event outside any subscription is counted as not applicable and never sent.
    """
    found = require(org_id)
    at = _moment(timestamp)
    with joined():
        writing.add_event(
            organization=found,
            code=event_code,
            transaction_id=transaction_id,
            properties=properties or {},
            at=at,
        )
    return True


@told
def record_api_call(
    org_id: str,
    transaction_id: str,
    endpoint: str,
    user_id: str | None = None,
    tokens: int = 0,
    model: str | None = None,
) -> bool:
    """Record one call of an API as the event `api_call`; see `record_usage`. `tokens` is a whole number from 0.

    Raises NotDone (`codes` by field: tokens, transaction_id, properties), and UnknownOrganization.
    """
    if not is_whole(tokens, least=0, most=_MOST_TOKENS):
        raise ValidationError(tokens="must be a whole number from 0 to 1,000,000,000.")
    properties = {"endpoint": endpoint, "user_id": user_id, "tokens": tokens, "model": model}
    return record_usage(org_id, API_CALL, transaction_id, properties)


@told
def get_current_usage(org_id: str, fresh: bool = False) -> Json | None:  # noqa: FBT001, FBT002 - the seeds' way
    """Return the usage of the present billing period, None without an active subscription.

    `from_datetime`, `to_datetime`, `currency`, `total_amount_cents`, `total_amount` (decimal text in major units; zero,
    since what is used was paid when the credits were bought), `as_of`, and `charges_usage`: a dict for each metric with
    `units` (Decimal), `events_count`, `amount_cents`, `amount_currency` and `billable_metric` (`code`, `name`,
    `aggregation_type`). Without `fresh` it is what Lago took from the outbox until now; an event counts once it was
    delivered. With `fresh` Lago is asked, whose figures come a moment later. Raises LagoUnavailable, LagoRefused.
    """
    found = organization(org_id)
    row = mirror.live(organization=found) if found is not None else None
    if found is None or row is None:
        return None
    return _at_lago(found.public_id, row) if fresh else _delivered(found.public_id, row)


def _at_lago(public_id: str, row: LagoSubscription) -> Json | None:
    at = timezone.now()
    try:
        usage = customers.current_usage(public_id, external_subscription_id=row.external_id)
    except LagoRefused as refusal:
        if refusal.lago_code == "no_active_subscription":
            return None
        raise
    if usage is None:
        return None
    charges = [one | {"units": Decimal(str(one["units"]))} for one in usage["charges_usage"]]
    total = money.major_text(int(usage["total_amount_cents"]), str(usage["currency"]))
    return usage | {"charges_usage": charges, "total_amount": total, "as_of": at.isoformat()}


def _delivered(public_id: str, row: LagoSubscription) -> Json:
    at = timezone.now()
    starts = max(row.period_start, row.started_at)
    counted = counting.delivered(organization=public_id, since=starts)
    codes = [*offer.METRICS, *sorted(set(counted) - set(offer.METRICS))]
    charges = [_charge(code, row.currency, counted.get(code, counting.NOTHING)) for code in codes]
    return {
        "from_datetime": starts.isoformat(),
        "to_datetime": row.period_end.isoformat(),
        "currency": row.currency,
        "amount_cents": 0,
        "taxes_amount_cents": 0,
        "total_amount_cents": 0,
        "total_amount": money.major_text(0, row.currency),
        "charges_usage": charges,
        "as_of": at.isoformat(),
    }


def _charge(code: str, currency: str, counted: counting.Counted) -> Json:
    metric = offer.METRICS.get(code, {"name": code, "aggregation_type": "count_agg"})
    return {
        "units": counted.units,
        "events_count": counted.events,
        "amount_cents": 0,
        "amount_currency": currency,
        "billable_metric": {
            "code": code,
            "name": metric["name"],
            "aggregation_type": metric["aggregation_type"],
        },
    }


def _moment(given: datetime | str | float | None) -> datetime:
    """Return when something happened; raises ValidationError for what is no moment."""
    if given is None:
        return timezone.now()
    at = _read(given)
    if at is None:
        raise ValidationError(timestamp="must be a datetime, an ISO 8601 text or UNIX seconds.")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _read(given: object) -> datetime | None:
    try:
        if isinstance(given, datetime):
            return given
        if isinstance(given, str):
            return parse_datetime(given)
        if isinstance(given, int | float | Decimal) and not isinstance(given, bool) and math.isfinite(given):
            return datetime.fromtimestamp(float(given), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None

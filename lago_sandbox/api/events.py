"""Events: 200 says stored, not valid; only what the database can tell at once is checked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import uuid4

from django.http import HttpRequest

from lago_sandbox import clock, money, switches, usage
from lago_sandbox.api.fields import Problems, is_blank
from lago_sandbox.api.paging import page
from lago_sandbox.api.routing import items, root
from lago_sandbox.billing import expressions
from lago_sandbox.errors import Invalid, NotFound
from lago_sandbox.models import BillableMetric, Event
from lago_sandbox.shapes import subscriptions as shape

MAX_BATCH: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def create(request: HttpRequest) -> dict[str, Any]:
    given, now = root(request, "event"), clock.now()
    problems = _problems(given, now)
    if problems:
        raise Invalid(problems)
    if (unusable := _evaluate(given, _expressions())) is not None:
        raise Invalid(unusable)  # a bare text, not an object
    row = _row(given, now)
    if _stored([row]):
        raise Invalid({"transaction_id": ["value_already_exist"]})
    _store([row])
    usage.plan_report(now)
    return {"event": shape.event(row)}


def create_batch(request: HttpRequest) -> dict[str, Any]:
    """Store up to 100 events, all or none; errors are keyed by the place in the batch."""
    given, now = items(request, "events"), clock.now()
    if not given:
        raise Invalid({"events": ["no_events"]})
    if len(given) > MAX_BATCH:
        raise Invalid({"events": ["too_many_events"]})
    known = _expressions()
    problems: dict[str, Any] = {
        str(place): found
        for place, one in enumerate(given)
        if (found := _problems(one, now) or _evaluate(one, known))
    }
    rows = {place: _row(one, now) for place, one in enumerate(given) if str(place) not in problems}
    stored, seen = _stored(list(rows.values())), set()
    for place, row in rows.items():
        # Inside a batch the transaction id alone has to be unique, whatever the subscription.
        is_taken = (row.external_subscription_id, row.transaction_id) in stored or row.transaction_id in seen
        if is_taken and _refuses_duplicates():
            problems[str(place)] = {"transaction_id": ["value_already_exist"]}
        seen.add(row.transaction_id)
    if problems:
        raise Invalid(problems)
    _store(list(rows.values()))
    usage.plan_report(now)
    return {"events": [shape.event(row) for row in rows.values()]}


def index(request: HttpRequest) -> dict[str, Any]:
    rows = Event.objects.order_by("-timestamp", "-created_at", "id")
    for name in ("code", "external_subscription_id"):
        if value := request.GET.get(name):
            rows = rows.filter(**{name: value})
    for name, condition in (("timestamp_from", "timestamp__gte"), ("timestamp_to", "timestamp__lte")):
        if (moment := clock.parse(request.GET.get(name))) is not None:
            rows = rows.filter(**{condition: moment})
    return page(request, rows, name="events", shape=shape.event)


def show(_request: HttpRequest, transaction_id: str) -> dict[str, Any]:
    found = Event.objects.filter(transaction_id=transaction_id).order_by("created_at").first()
    if found is None:
        raise NotFound("event")
    return {"event": shape.event(found)}


def estimate_fees(request: HttpRequest) -> dict[str, Any]:
    """Refuse: only charges paid in advance can be estimated, and the sandbox bills none."""
    given = root(request, "event")
    if not BillableMetric.objects.filter(code=given.get("code"), deleted_at=None).exists():
        raise NotFound("billable_metric")
    raise Invalid({"code": ["does_not_match_an_instant_charge"]})


def _problems(given: dict[str, Any], now: datetime) -> dict[str, list[str]]:
    problems = Problems()
    problems.require(given, "transaction_id", "code")
    if _timestamp(given.get("timestamp"), now) is None:
        problems.add("timestamp", "invalid_format")
    return problems.found


def _expressions() -> dict[str, tuple[str, str]]:
    """Return (expression, field) by code, of the metrics that have one."""
    rows = BillableMetric.objects.filter(deleted_at=None).values_list("code", "details", "field_name")
    return {code: (kept["expression"], field) for code, kept, field in rows if kept.get("expression")}


def _evaluate(given: dict[str, Any], found: dict[str, tuple[str, str]]) -> str | None:
    """Put the value of the metric's expression into the event's properties; return why it has none."""
    if given.get("code") not in found:
        return None
    expression, field = found[given["code"]]
    properties = given.get("properties") if isinstance(given.get("properties"), dict) else {}
    try:
        value = expressions.evaluate(expression, properties or {})
    except expressions.Unusable as error:
        return f"expression_evaluation_failed: {error}"
    given["properties"] = {**(properties or {}), field: money.text(value)}
    return None


def _row(given: dict[str, Any], now: datetime) -> Event:
    subscription = given.get("external_subscription_id")
    cents = given.get("precise_total_amount_cents")
    properties = given.get("properties")
    return Event(
        id=uuid4(),
        created_at=now,
        transaction_id=str(given["transaction_id"]),
        code=str(given["code"]),
        external_subscription_id=None if is_blank(subscription) else str(subscription),
        timestamp=_timestamp(given.get("timestamp"), now) or now,
        properties=properties if isinstance(properties, dict) else {},
        precise_total_amount_cents=None if is_blank(cents) else str(cents),
        visible_at=now + timedelta(seconds=switches.read("usage_delay")),
    )


def _refuses_duplicates() -> bool:
    return bool(switches.read("events_store") == "postgres")


def _store(rows: list[Event]) -> None:
    """Store events; in ClickHouse the last one of a code, subscription, id and timestamp counts (B11)."""
    if not _refuses_duplicates():
        same = {
            (row.code, row.external_subscription_id, row.transaction_id, row.timestamp): row for row in rows
        }
        for code, subscription, transaction_id, timestamp in same:
            Event.objects.filter(
                code=code,
                external_subscription_id=subscription,
                transaction_id=transaction_id,
                timestamp=timestamp,
            ).delete()
        rows = list(same.values())
    Event.objects.bulk_create(rows)


def _stored(rows: list[Event]) -> set[tuple[str, str]]:
    """Return the keys that exist; events without a subscription are never duplicates."""
    if not _refuses_duplicates():
        return set()
    found = Event.objects.filter(transaction_id__in=[row.transaction_id for row in rows])
    wanted = {(row.external_subscription_id, row.transaction_id) for row in rows}
    pairs = found.values_list("external_subscription_id", "transaction_id")
    return {(one, two) for one, two in pairs if one is not None and (one, two) in wanted}


def _timestamp(value: Any, now: datetime) -> datetime | None:
    """Return UNIX seconds (a number or numeric text) as a time; absent: the reception; anything else: None."""
    if is_blank(value):
        return now
    if isinstance(value, bool):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(str(value).strip()) * 1_000_000))
    except (InvalidOperation, OverflowError, ValueError):
        return None

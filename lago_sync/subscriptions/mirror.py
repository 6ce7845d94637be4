"""The mirror: what Lago says of an organization's subscriptions, written here, and the facts of `orgs` that follow.

Lago is right. A look at it that began earlier than one already written is thrown away, so two at once end in the later.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime

from kit import transactions
from kit.errors import NotFound
from lago_sync.client.transport import Json
from lago_sync.errors import LagoUnavailable
from lago_sync.models import LagoSubscription
from orgs import subscriptions
from orgs.audit.events import Actor
from orgs.models import Organization, Subscription

logger = logging.getLogger(__name__)

TRIAL: Final = "trial"
LIVE: Final = "active"
ENDED: Final = ("terminated", "canceled")
_OUTLASTING: Final = (Subscription.Status.PAST_DUE, Subscription.Status.PAUSED)
"""A debt and a pause hold whatever is planned at Lago; they end by verbs of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Lago answered about one organization, and when it was asked."""

    organization: Organization
    found: list[Json]
    at: datetime


def write(look: Look, *, by: Actor) -> LagoSubscription | None:
    """Write what was seen and return the live subscription, None where there is none. Needs a transaction."""
    transactions.require()
    Organization.objects.select_for_update(no_key=True).get(pk=look.organization.pk)
    known = LagoSubscription.objects.filter(organization=look.organization)
    if not known.filter(synced_at__gt=look.at).exists():
        was_live = list(known.filter(ended_at=None).values_list("lago_id", flat=True))
        for one in look.found:
            _save(look, one)
        _end_the_lost(look, was_live)
        _tell_orgs(look, by=by, had_one=bool(was_live))
    return live(organization=look.organization)


def live(*, organization: Organization) -> LagoSubscription | None:
    """Return the organization's live subscription at Lago, as last seen; under our own id if there are several."""
    rows = LagoSubscription.objects.filter(organization=organization, ended_at=None)
    ours = external_id(organization)
    return min(rows, key=lambda row: (row.external_id != ours, row.started_at), default=None)


def is_canceled(row: LagoSubscription) -> bool:
    """Tell whether somebody planned the end of a live subscription; a trial ends by itself."""
    return row.ending_at is not None and row.plan_code != TRIAL


def clock(now: datetime) -> Callable[[], datetime]:
    """Return a clock that goes on from `now`: a look after a request must not be taken for an older one's."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)


def external_id(organization: Organization) -> str:
    """Return the id that the organization's subscription has at Lago for life, through every change of plan."""
    return f"sub_{organization.public_id}"


def _save(look: Look, one: Json) -> None:
    if not one.get("started_at"):
        return  # planned or waiting for its first payment: it does not count usage yet
    ended = one["status"] in ENDED
    plan: Json = one.get("plan") or {}
    known = LagoSubscription.objects.filter(pk=one["lago_id"]).first()
    values: dict[str, Any] = {
        "organization": look.organization,
        "external_id": one["external_id"],
        "plan_code": one["plan_code"],
        "plan_name": (plan.get("name") or (known.plan_name if known else one["plan_code"]))[:120],
        "amount_cents": one.get("plan_amount_cents") or 0,
        "currency": one.get("plan_amount_currency") or look.organization.currency,
        "interval": plan.get("interval") or (known.interval if known else ""),
        "billing_time": one.get("billing_time") or "",
        "status": one["status"],
        "started_at": _instant(one["started_at"]),
        "ended_at": _instant(one.get("terminated_at") or one.get("canceled_at")) if ended else None,
        "next_plan_code": one.get("next_plan_code") or "",
        "downgrade_at": _day(one.get("downgrade_plan_date")),
        "ending_at": _instant_or_none(one.get("ending_at")),
        "subscription_at": _instant_or_none(one.get("subscription_at")),
        "made_at": _instant_or_none(one.get("created_at")),
        "synced_at": look.at,
    }
    values |= _period(one, known)
    LagoSubscription.objects.update_or_create(pk=one["lago_id"], defaults=values)


def _period(one: Json, known: LagoSubscription | None) -> dict[str, datetime]:
    """Return the billing period; of one that has ended Lago names none, and the last one known stays."""
    starts, ends = one.get("current_billing_period_started_at"), one.get("current_billing_period_ending_at")
    if starts and ends:
        return {"period_start": _instant(starts), "period_end": _instant(ends)}
    if known is not None:
        return {"period_start": known.period_start, "period_end": known.period_end}
    if one["status"] in ENDED:
        return {
            "period_start": _instant(one["started_at"]),
            "period_end": _instant(one.get("terminated_at") or one.get("canceled_at")),
        }
    raise LagoUnavailable("Lago's subscription has no billing period.")


def _end_the_lost(look: Look, was_live: list[Any]) -> None:
    """End what was live here and is in no state at Lago any more."""
    seen = {str(one["lago_id"]) for one in look.found}
    lost = [pk for pk in was_live if str(pk) not in seen]
    rows = LagoSubscription.objects.filter(pk__in=lost)
    rows.update(status="terminated", ended_at=look.at, synced_at=look.at)


def _tell_orgs(look: Look, *, by: Actor, had_one: bool) -> None:
    """Set plan and period as `orgs` knows them, where they changed; end its subscription with the one at Lago."""
    row, fact = live(organization=look.organization), subscriptions.live(organization=look.organization)
    if row is None:
        if fact is not None and had_one:
            last = LagoSubscription.objects.filter(organization=look.organization).latest("ended_at")
            subscriptions.end(subscription=fact, at=last.ended_at or look.at, by=by)
        return
    try:
        plan = subscriptions.plan_named(row.plan_code)
    except NotFound:
        logger.error("Lago has %s on plan %s, which the portal does not know", row.external_id, row.plan_code)  # noqa: TRY400 - the sentence says all
        return
    status = _status(plan.code, row)
    if fact is not None and _same(fact, plan.code, row) and fact.status in {status, *_OUTLASTING}:
        return
    changed = subscriptions.set_plan(
        organization=look.organization,
        plan_code=row.plan_code,
        period_start=row.period_start,
        period_end=row.period_end,
        by=by,
        status=status,
    )
    if fact is not None and fact.status == Subscription.Status.PAST_DUE and fact.past_due_since:
        subscriptions.mark_past_due(subscription=changed, since=fact.past_due_since, by=by)


def _status(plan_code: str, row: LagoSubscription) -> str:
    """Return the state that follows from what Lago has: on trial, planned to end, or active."""
    if plan_code == TRIAL:
        return Subscription.Status.TRIALING
    return Subscription.Status.CANCELED if row.ending_at is not None else Subscription.Status.ACTIVE


def _same(fact: Subscription, plan_code: str, row: LagoSubscription) -> bool:
    return (fact.plan.code, fact.current_period_start, fact.current_period_end) == (
        plan_code,
        row.period_start,
        row.period_end,
    )


def _instant(given: Any) -> datetime:
    try:
        at = parse_datetime(str(given))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise LagoUnavailable("Lago's subscription has a time that is none.")
    return at


def _instant_or_none(given: Any) -> datetime | None:
    return _instant(given) if given else None


def _day(given: Any) -> date | None:
    return parse_date(str(given)[:10]) if given else None

"""The subscription of an organization: started, kept in step with Lago's, and the times in which usage belongs to it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from credits.ledger.standing import OrganizationSuspended
from kit import transactions
from kit.errors import DomainError, NotFound, TryAgain, ValidationError
from lago_sync.client import catalogue as plans_at_lago
from lago_sync.client import subscriptions as at_lago
from lago_sync.client.transport import Json
from lago_sync.customers import linking
from lago_sync.errors import LagoRefused, LagoUnreachable
from lago_sync.invoices import mirror as invoices
from lago_sync.models import LagoCustomer, LagoSubscription
from lago_sync.subscriptions import catalogue, debts, fees, mirror, prices, trials
from lago_sync.subscriptions.mirror import external_id
from lago_sync.subscriptions.trials import TrialUsed
from orgs import subscriptions
from orgs.audit.events import SYSTEM, Actor
from orgs.models import Organization, Subscription

__all__ = [
    "Interval",
    "SubscriptionExists",
    "TrialUsed",
    "covers",
    "end",
    "external_id",
    "live",
    "look",
    "may_try",
    "refresh",
    "require_active",
    "subscribe",
]

BILLING_TIMES: Final = ("anniversary", "calendar")
_SECOND: Final = timedelta(seconds=1)
_LEASE: Final = timedelta(minutes=3)
"""Longer than starting one can take: a few requests to Lago, each with a time limit."""
_LOOKS_AFTER: Final = (0.0, 0.3, 1.0)
"""Seconds before each look for what Lago was just told to start."""
_ALL: Final = (mirror.LIVE, *mirror.ENDED)

live = mirror.live


class SubscriptionExists(DomainError):
    """The organization has a live subscription; its plan is changed, not a second one started."""

    code = "subscription_exists"
    status = 409

    def __init__(self, *, plan_code: str) -> None:
        super().__init__("There is a live subscription.", plan_code=plan_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A time in which usage belongs to a subscription: from `start` to before `end`, which is None while it lives."""

    external_id: str
    start: datetime
    end: datetime | None


@dataclass(slots=True, kw_only=True)
class _Lease:
    """The right to start a subscription; while `is_unknown`, Lago was asked for one and may still be making it."""

    is_unknown: bool = False


def subscribe(
    *,
    organization: Organization,
    plan_code: str,
    by: Actor,
    now: datetime,
    billing_time: str = "anniversary",
    confirmed_due_cents: int | None = None,
) -> LagoSubscription:
    """Start the organization's subscription at Lago and mirror it here. Asks Lago; opens its own transactions.

    One that is live at Lago already, under whatever id, is adopted: returned if it is on the plan asked for, else
    SubscriptionExists. Lago takes the same external id and plan twice for one, so a second call after a crash ends in one
    subscription; another plan it would take for a change, so one request at a time talks to Lago, by a lease, which runs
    out by itself where the answer was lost. Raises ValidationError (plan_code, billing_time), SubscriptionExists,
    TrialUsed, TryAgain while another request is at it or Lago does not show it yet, OrganizationSuspended, PriceChanged
    where the amount is not the one that was confirmed, PurchasesStopped for a plan that bills usage, LagoUnavailable,
    LagoRefused.
    """
    if billing_time not in BILLING_TIMES:
        raise ValidationError(billing_time=f"One of {', '.join(BILLING_TIMES)} is expected.")
    _require_none(organization)
    require_active(organization=organization)
    offer = catalogue.ask(plan_code, currency=organization.currency, now=now)
    clock = mirror.clock(now)
    if confirmed_due_cents is not None:
        _require_price(organization, offer, confirmed_due_cents, now)
    customer = linking.ensure_customer(organization=organization, now=now)
    with _lease(customer, now) as lease:
        if lease is not None:
            _require_none(organization)
        adopted = look(organization=organization, now=clock(), by=by)
        if adopted is None and lease is not None:
            _start(organization, offer.at_lago.code, billing_time, now, lease)
            adopted = _started(organization, clock, by)
    if adopted is None:
        raise TryAgain("The subscription is being started; send the same request again.")
    if adopted.plan_code != offer.at_lago.code:
        raise SubscriptionExists(plan_code=adopted.plan_code)
    return adopted


def require_active(*, organization: Organization) -> None:
    """Raise where staff stopped the organization or its plan: it may leave a plan then, not take one."""
    status = Organization.objects.values_list("status", flat=True).get(pk=organization.pk)
    if status == Organization.Status.SUSPENDED:
        raise OrganizationSuspended("The organization is suspended; its plan cannot be changed now.")
    if status == Organization.Status.ARCHIVED:
        raise NotFound("There is no such organization.")
    fact = subscriptions.live(organization=organization)
    if fact is not None and fact.status == Subscription.Status.PAUSED:
        raise OrganizationSuspended("The plan is paused; it cannot be changed now.")


def refresh(*, organization: Organization, now: datetime) -> LagoSubscription | None:
    """Bring the mirror and the facts of `orgs` in step with Lago, fees paid and owed included; returns what is live.

    Asks Lago. None also where the organization is not at Lago. A live subscription of an archived organization is ended there.
    """
    if not LagoCustomer.objects.filter(organization=organization).exists():
        return None
    known = mirror.live(organization=organization)
    clock = mirror.clock(now)
    if known is not None and organization.status == Organization.Status.ARCHIVED:
        at_lago.terminate(known.external_id)
    row = look(organization=organization, now=clock(), by=SYSTEM)
    fees.collect(organization=organization)
    debts.settle(organization=organization, now=now)
    return row


def look(*, organization: Organization, now: datetime, by: Actor) -> LagoSubscription | None:
    """Ask Lago for all that the organization has or had, and write it; returns the live subscription.

    The fee of a free plan counts at once. Opens its own transaction. Raises LagoUnavailable, LagoRefused.
    """
    found = [_with_plan(one) for one in at_lago.of_customer(organization.public_id, statuses=_ALL)]
    with transactions.durable():
        row = mirror.write(mirror.Look(organization=organization, found=found, at=now), by=by)
    if row is not None:
        fees.note_free(row=row)
    return row


def end(*, organization: Organization, now: datetime, by: Actor) -> LagoSubscription | None:
    """End the live subscription at once, and return it as it ended; None where there is none. Asks Lago.

    The days that were paid and not used are not given back: the next plan's fee would be paid with them, and bring its
    credits a second time. Bought credits stay. People cancel instead, which ends the plan with its period
    (`changing.cancel`). Raises LagoUnavailable, LagoRefused.
    """
    known = mirror.live(organization=organization)
    if known is None:
        return None
    clock = mirror.clock(now)
    at_lago.terminate(known.external_id, credit_note="skip")
    look(organization=organization, now=clock(), by=by)
    known.refresh_from_db()
    return known


def may_try(*, organization: Organization) -> bool:
    """Tell whether a trial may be started: it comes once to an organization and to each of its owners."""
    return mirror.live(organization=organization) is None and not trials.was_had(organization=organization)


def covers(organization_public_ids: Iterable[str]) -> dict[str, list[Interval]]:
    """Return, by organization, when which subscription counts usage, as last seen; one without any is left out.

    A change of plan makes a new subscription with the same external id, so an organization has many. Usage outside of
    all of them is billed nowhere. Lago tells an end to the second and a start to the millisecond: a gap that is shorter
    than that is none.
    """
    rows = LagoSubscription.objects.filter(organization__public_id__in=list(organization_public_ids))
    found: dict[str, list[Interval]] = {}
    for row in rows.select_related("organization").order_by("started_at"):
        interval = Interval(external_id=row.external_id, start=row.started_at, end=row.ended_at)
        earlier = found.setdefault(row.organization.public_id, [])
        if earlier and earlier[-1].end and timedelta(0) <= interval.start - earlier[-1].end < _SECOND:
            earlier[-1] = replace(earlier[-1], end=interval.start)
        earlier.append(interval)
    return found


@contextmanager
def _lease(customer: LagoCustomer, now: datetime) -> Iterator[_Lease | None]:
    """Be the one request that starts a subscription; None where there is one. Who dies leaves it to run out."""
    until = now + _LEASE
    rows = LagoCustomer.objects.filter(pk=customer.pk)
    with transactions.durable():
        taken = rows.filter(Q(subscribing_until=None) | Q(subscribing_until__lte=now)).update(
            subscribing_until=until
        )
    if not taken:
        yield None
        return
    lease = _Lease()
    try:
        yield lease
    finally:
        if not lease.is_unknown:
            with transactions.durable():
                rows.filter(subscribing_until=until).update(subscribing_until=None)


def _require_none(organization: Organization) -> None:
    fact = subscriptions.live(organization=organization)
    if fact is not None:
        raise SubscriptionExists(plan_code=fact.plan.code)


def _require_price(organization: Organization, offer: catalogue.Offer, due_cents: int, now: datetime) -> None:
    """Raise PriceChanged where what is to pay is not what was confirmed, by the credit notes that Lago has now."""
    if LagoCustomer.objects.filter(organization=organization).exists():
        invoices.refresh_credit_notes(organization=organization, now=now)
    price = prices.starting(organization, offer, now=now)
    if price.due_cents != due_cents:
        raise prices.PriceChanged(price)


def _started(organization: Organization, clock: Callable[[], datetime], by: Actor) -> LagoSubscription | None:
    """Return what was just started as Lago shows it, which may take it a moment."""
    for seconds in _LOOKS_AFTER:
        time.sleep(seconds)
        row = look(organization=organization, now=clock(), by=by)
        if row is not None:
            return row
    return None


def _start(
    organization: Organization, plan_code: str, billing_time: str, now: datetime, lease: _Lease
) -> None:
    """Ask Lago for a subscription; where its answer is lost the lease stays, so that no second one is asked for."""
    if plan_code == mirror.TRIAL:
        trials.claim(organization=organization, now=now)
    fields: dict[str, Any] = {
        "external_customer_id": organization.public_id,
        "external_id": external_id(organization),
        "plan_code": plan_code,
        "billing_time": billing_time,
        "name": organization.name,
    }
    if plan_code == mirror.TRIAL:  # never renewed: Lago ends it by itself
        fields["ending_at"] = (now + trials.LASTS).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lease.is_unknown = True
    try:
        at_lago.create(fields)
        lease.is_unknown = False
    except LagoUnreachable:
        lease.is_unknown = False
        raise
    except LagoRefused as refusal:
        lease.is_unknown = False
        if plan_code == mirror.TRIAL:
            trials.give_back(organization=organization)
        if refusal.lago_code == "plan_not_found":
            raise ValidationError(plan_code="There is no such plan.") from refusal
        raise


def _with_plan(one: Json) -> Json:
    """Return a live subscription with its plan, which a list need not have."""
    if one["status"] != mirror.LIVE or one.get("plan"):
        return one
    return one | {"plan": plans_at_lago.plan(one["plan_code"]) or {}}

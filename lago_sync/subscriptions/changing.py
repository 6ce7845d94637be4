"""Changing a subscription: recorded, then told to Lago under a lease, then seen there. A crash anywhere loses nothing.

Whatever dies in between, the next `carry_out` looks at what Lago has before it sends anything, so that a change happens
once and the organization is at every moment on the old plan or on the new one.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from kit import transactions
from kit.errors import Conflict, DomainError
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable, LagoUnreachable
from lago_sync.invoices import mirror as invoices
from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.subscriptions import (
    catalogue,
    change_leases,
    change_steps,
    changes,
    mirror,
    plans,
    prices,
    telling,
)
from lago_sync.subscriptions.change_leases import Lease
from orgs import subscriptions
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

logger = logging.getLogger(__name__)

Kind, Status = PlanChange.Kind, PlanChange.Status

_STARTS_WITHIN: Final = 3.0  # seconds: one run of the job begins no further change after this
_MOST_STEPS: Final = 3
"""A change is at most two requests to Lago; a third look that does not show it is left to the next run."""
_NOT_ABOUT_THE_CHANGE: Final = (401, 403, 429)
"""A wrong key of ours, or too many requests; the change waits."""


class ChangeRefused(Conflict):
    """Lago did not take the change, or what it rests on is no longer so; the subscription is as it was."""


class ChangeWaits(LagoUnavailable):
    """The change is recorded and Lago does not show it yet; it is carried on by the job, without being asked again."""

    def __init__(self) -> None:
        super().__init__("The change is recorded, and made as soon as the billing engine answers.")


def change_plan(
    *,
    organization: Organization,
    plan_code: str,
    by: Actor,
    now: datetime,
    confirmed_due_cents: int | None = None,
) -> PlanChange:
    """Put the organization on another plan: at once where it costs as much a year or more, else at the period's end.

    Asks Lago; opens its own transactions. Raises what `changes.ask` raises, ChangeRefused, ChangeWaits.
    """
    with transactions.durable():
        change = changes.ask(
            organization=organization,
            plan_code=plan_code,
            by=by,
            now=now,
            confirmed_due_cents=confirmed_due_cents,
        )
    return _made(change, now)


def choose(
    *,
    organization: Organization,
    plan_code: str,
    by: Actor,
    now: datetime,
    confirmed_due_cents: int | None = None,
) -> None:
    """Put the organization on a plan, whether it has one or not: subscribe, else change. Raises what these two raise."""
    has_one = subscriptions.live(organization=organization) is not None
    verb: Callable[..., object] = change_plan if has_one else plans.subscribe
    verb(
        organization=organization,
        plan_code=plan_code,
        by=by,
        now=now,
        confirmed_due_cents=confirmed_due_cents,
    )


def cancel(*, organization: Organization, by: Actor, now: datetime) -> PlanChange:
    """End the subscription with its period, before a renewal is billed; a planned downgrade is dropped. Raises likewise."""
    with transactions.durable():
        change = changes.ask_to_cancel(organization=organization, by=by, now=now)
    return _made(change, now)


def take_back(*, organization: Organization, by: Actor, now: datetime) -> PlanChange:
    """Take back a planned downgrade or cancellation: the subscription goes on as it is. Raises likewise."""
    with transactions.durable():
        change = changes.ask_to_take_back(organization=organization, by=by, now=now)
    return _made(change, now)


def carry_on(*, now: datetime) -> int:
    """Carry on the changes whose time has come, and return how many; one that fails stops no other."""
    began, count = time.monotonic(), 0
    for change_id in change_leases.claim_due(now=now):
        try:
            carry_out(change_id=change_id, now=now)
        except Exception:  # whatever it is, it is this change's, which is looked at again
            logger.exception("change of plan %s could not be carried on", change_id)
        count += 1
        if time.monotonic() - began > _STARTS_WITHIN:
            break
    return count


def carry_out(*, change_id: UUID, now: datetime) -> PlanChange:
    """Do what can be done for a change now, and return it. Asks Lago; safe at any time, for anybody, any number of times.

    What goes wrong at Lago is not raised: it stands in `last_error`. While another process tells Lago, or has not heard
    what became of it, this one only looks. Raises PlanChange.DoesNotExist.
    """
    change = _read(change_id)
    if change.status == Status.PENDING:
        lease = change_leases.take(change=change, now=now)
        if lease is None:
            _look_only(change, now)
        else:
            _under(lease, now)
    return _read(change_id)


def _under(lease: Lease, now: datetime) -> None:
    try:
        _tell(lease, now)
    except LagoUnreachable as error:
        lease.give_back(error.message, now=now)
    except LagoUnavailable as error:
        lease.keep(error.message, now=now)
    except LagoRefused as refusal:
        if refusal.http_status in _NOT_ABOUT_THE_CHANGE:
            lease.give_back(refusal.message, now=now)
        else:
            _refuse(lease.change, f"{refusal.message} {refusal.codes or ''}".strip(), now)
    except LagoIntegrationError as error:
        lease.give_back(error.message, now=now)
    except DomainError as error:  # what the change rests on is no longer so
        _refuse(lease.change, error.message, now)


def _tell(lease: Lease, now: datetime) -> None:
    """Look, and while Lago does not have it as asked, take the next step and look again."""
    change, clock = lease.change, mirror.clock(now)
    row = _look(change, clock())
    if _is_done(change, row):
        _apply(change, row, now)
        return
    _require_as_it_was(change, row, clock())
    for _ in range(_MOST_STEPS):
        lease.check()
        change_steps.take(change, row)
        row = _look(change, clock())
        if _is_done(change, row):
            _apply(change, row, now)
            return
    lease.give_back("Lago took the change and does not show it.", now=now)


def _look_only(change: PlanChange, now: datetime) -> None:
    try:
        row = _look(change, now)
    except LagoIntegrationError:
        return
    if _is_done(change, row):
        _apply(change, row, now)


def _is_done(change: PlanChange, row: LagoSubscription | None) -> bool:
    """Tell whether Lago shows what was asked for."""
    if row is None:
        return change.kind == Kind.CANCEL
    match change.kind:
        case Kind.UPGRADE:
            return row.plan_code == change.plan_code and row.ending_at is None
        case Kind.DOWNGRADE:
            return change.plan_code in {row.plan_code, row.next_plan_code}
        case Kind.CANCEL:
            return row.ending_at is not None
        case _:
            return not row.next_plan_code and not mirror.is_canceled(row)


def _require_as_it_was(change: PlanChange, row: LagoSubscription | None, now: datetime) -> None:
    """Raise where what was confirmed is no longer what would happen: nobody pays more than was shown to them."""
    if row is None:
        raise Conflict("The subscription has ended meanwhile.")
    if (
        change.kind in {Kind.CANCEL, Kind.DOWNGRADE}
        and change.period_end
        and row.period_end > change.period_end
    ):
        raise Conflict(
            "The period ended before the billing engine could be told, and the next one was billed. Ask again for its "
            "end, and whoever runs this portal about the invoice.",
            period_end=row.period_end.isoformat(),
        )
    if change.kind not in {Kind.UPGRADE, Kind.DOWNGRADE} or row.plan_code == change.plan_code:
        return  # the last: an upgrade of which one step is done
    if row.plan_code != change.from_plan_code:
        raise Conflict("The plan was changed elsewhere meanwhile.", plan_code=row.plan_code)
    offer = catalogue.ask(change.plan_code, currency=row.currency, now=now)
    invoices.refresh_credit_notes(organization=change.organization, now=now)  # a renewal may have used one
    price = prices.of_change(row, offer, now=now)
    if price.kind != change.kind or price.due_cents > int(change.price_change["due_cents"]):
        raise prices.PriceChanged(price)


def _look(change: PlanChange, now: datetime) -> LagoSubscription | None:
    by = Actor(kind=change.made_by_kind, public_id=change.made_by)
    return plans.look(organization=change.organization, now=now, by=by)


def _apply(change: PlanChange, row: LagoSubscription | None, now: datetime) -> None:
    with transactions.durable():
        if change_leases.end(change=change, status=Status.APPLIED, now=now):
            telling.applied(change, row)
            _record(change, "subscription.change_applied")


def _refuse(change: PlanChange, why: str, now: datetime) -> None:
    with transactions.durable():
        if change_leases.end(change=change, status=Status.REFUSED, now=now, why=why):
            telling.refused(change, why=why)
            _record(change, "subscription.change_refused", why=why)


def _record(change: PlanChange, action: str, **more: str) -> None:
    events.record(
        organization=change.organization.public_id,
        by=Actor(kind=change.made_by_kind, public_id=change.made_by),
        action=action,
        target=change.organization.public_id,
        after=changes.facts(change) | more,
    )


def _made(change: PlanChange, now: datetime) -> PlanChange:
    """Tell Lago of a change that was recorded; raises unless it is made."""
    done = carry_out(change_id=change.pk, now=now)
    if done.status == Status.REFUSED:
        raise ChangeRefused(done.last_error)
    if done.status == Status.PENDING:
        raise ChangeWaits
    return done


def _read(change_id: UUID) -> PlanChange:
    return PlanChange.objects.select_related("organization").get(pk=change_id)

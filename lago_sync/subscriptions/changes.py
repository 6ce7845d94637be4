"""What somebody asked to change of a subscription, recorded before Lago hears of it: one change at a time, checked first."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from kit import transactions
from kit.errors import Conflict, NotFound
from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.subscriptions import catalogue, mirror, plans, prices
from orgs import organizations
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization

Kind, Status = PlanChange.Kind, PlanChange.Status
_OF_PLAN: Final = (Kind.UPGRADE, Kind.DOWNGRADE)


class ChangeUnderWay(Conflict):
    """Another change of this organization's plan is being made; nothing was recorded."""

    def __init__(self, pending: PlanChange) -> None:
        super().__init__(
            "A change of this plan is being made; see what becomes of it first.", kind=pending.kind
        )


def ask(
    *,
    organization: Organization,
    plan_code: str,
    by: Actor,
    now: datetime,
    confirmed_due_cents: int | None = None,
) -> PlanChange:
    """Record that a change to another plan was asked for, with the price that holds now.

    Raises NotFound without a subscription, ValidationError for what is no plan, InvalidRequest for the plan that it is on,
    Conflict while another change is under way or where a cancellation is planned, PriceChanged where the amount due is
    not the one that was confirmed, OrganizationSuspended.
    """
    code = catalogue.lago_code(plan_code)
    known = _begin(organization, by, now, lambda one: one.kind in _OF_PLAN and one.plan_code == code)
    if known is not None:
        return known
    row = _live(organization)
    plans.require_active(organization=organization)
    price = prices.of_change(row, catalogue.find(plan_code, currency=organization.currency), now=now)
    if confirmed_due_cents is not None and confirmed_due_cents != price.due_cents:
        raise prices.PriceChanged(price)
    return _record(row, Kind(price.kind), by, now, plan_code=price.plan_code, price_change=price.shown())


def ask_to_cancel(*, organization: Organization, by: Actor, now: datetime) -> PlanChange:
    """Record that the subscription is to end with its period. Raises NotFound without one, Conflict where it ends already."""
    known = _begin(organization, by, now, lambda one: one.kind == Kind.CANCEL)
    if known is not None:
        return known
    row = _live(organization)
    if row.ending_at is not None:
        raise Conflict("The plan ends by itself already.", cancel_at=row.ending_at.isoformat())
    return _record(row, Kind.CANCEL, by, now)


def ask_to_take_back(*, organization: Organization, by: Actor, now: datetime) -> PlanChange:
    """Record that a planned downgrade or cancellation is not to happen. Raises NotFound where nothing is planned."""
    known = _begin(organization, by, now, lambda one: one.kind == Kind.TAKE_BACK)
    if known is not None:
        return known
    row = _live(organization)
    if not row.next_plan_code and not mirror.is_canceled(row):
        raise NotFound("Nothing is planned that could be taken back.")
    return _record(row, Kind.TAKE_BACK, by, now, plan_code=row.next_plan_code)


def pending(*, organization: Organization) -> PlanChange | None:
    """Return the change that is under way, None where there is none."""
    return PlanChange.objects.filter(organization=organization, status=Status.PENDING).first()


def latest(*, organization: Organization) -> PlanChange | None:
    """Return the newest change, whatever became of it."""
    return PlanChange.objects.filter(organization=organization).order_by("-id").first()


def facts(change: PlanChange) -> dict[str, Any]:
    """Return what the audit log keeps of a change."""
    return {
        "kind": change.kind,
        "from_plan_code": change.from_plan_code,
        "plan_code": change.plan_code,
        "due_cents": change.price_change.get("due_cents"),
    }


def _begin(
    organization: Organization, by: Actor, now: datetime, is_same: Callable[[PlanChange], bool]
) -> PlanChange | None:
    """Lock the organization; return the change under way if it is the caller's own, sent again after one that failed.

    Raises ChangeUnderWay for another's, another one, or one that somebody tells Lago right now or is about to.
    """
    transactions.require()
    organizations.lock(organization)
    under_way = pending(organization=organization)
    if under_way is None:
        return None
    is_free = under_way.leased_until is None or under_way.leased_until <= now
    was_tried = under_way.attempts > 0
    if is_free and was_tried and under_way.made_by == by.public_id and is_same(under_way):
        return under_way
    raise ChangeUnderWay(under_way)


def _live(organization: Organization) -> LagoSubscription:
    row = mirror.live(organization=organization)
    if row is None:
        prices.require_unsubscribed(organization)
        raise NotFound("The organization has no subscription.")
    return row


def _record(
    row: LagoSubscription, kind: PlanChange.Kind, by: Actor, now: datetime, **given: Any
) -> PlanChange:
    change = PlanChange.objects.create(
        organization=row.organization,
        kind=kind,
        from_plan_code=row.plan_code,
        billing_time=row.billing_time,
        period_end=row.period_end,
        made_by=by.public_id,
        made_by_kind=by.kind,
        created_at=now,
        due_at=now,
        **given,
    )
    events.record(
        organization=row.organization.public_id,
        by=by,
        action="subscription.change_ordered",
        target=row.organization.public_id,
        after=facts(change),
    )
    return change

"""Plans and subscriptions: which plan's limits hold for an organization. Prices and invoices are not kept here."""

from datetime import datetime
from typing import Any, Final

from kit import transactions
from kit.errors import Conflict, NotFound, ValidationError
from orgs import organizations, signals
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Organization, Plan, PlanFee, Subscription
from orgs.models.plans import NO_PLAN

_SET: Final = (
    Subscription.Status.ACTIVE,
    Subscription.Status.TRIALING,
    Subscription.Status.CANCELED,  # it ends with its period
)
_PERIOD_SUFFIXES: Final = ("_monthly", "_annual", "_yearly")


class NotSubscribed(NotFound):
    """The organization has no live subscription, or this one has ended."""


def plan_named(code: str) -> Plan:
    """Return the plan of a code, `_monthly`, `_annual` and `_yearly` taken as names of it; raises NotFound."""
    codes = [code, *(code.removesuffix(suffix) for suffix in _PERIOD_SUFFIXES if code.endswith(suffix))]
    found = {plan.code: plan for plan in Plan.objects.filter(code__in=codes)}
    for candidate in codes:
        if candidate in found:
            return found[candidate]
    raise NotFound(f"There is no plan {code}.", plan_code=code)


def live(*, organization: Organization) -> Subscription | None:
    """Return the organization's subscription that has not ended, with its plan; there is at most one."""
    return (
        Subscription.objects.select_related("plan").filter(organization=organization, ended_at=None).first()
    )


def plan_of(*, organization: Organization) -> Plan:
    """Return the plan whose limits hold now: that of the live subscription, else the plan of having none."""
    subscription = live(organization=organization)
    return subscription.plan if subscription else Plan.objects.get(code=NO_PLAN)


def set_plan(
    *,
    organization: Organization,
    plan_code: str,
    period_start: datetime,
    period_end: datetime,
    by: Actor,
    status: str = Subscription.Status.ACTIVE,
) -> Subscription:
    """Put the organization on a plan for a period, starting its subscription or changing the live one.

    One that staff paused stays paused, whatever becomes of its plan and period.
    Raises NotFound for an unknown plan, ValidationError for a period that does not run forward.
    """
    transactions.require()
    plan = plan_named(plan_code)
    if plan.code == NO_PLAN:
        raise ValidationError(plan_code="To have no plan, end the subscription.")
    if period_end <= period_start:
        raise ValidationError(period_end="A period ends after it starts.")
    if status not in _SET:
        raise ValidationError(
            status="A plan is set active, trialing or canceled; the other states have verbs of their own."
        )
    organizations.lock(organization)
    subscription = live(organization=organization)
    if subscription is None:
        subscription = Subscription(organization=organization, started_at=period_start)
    before = _facts(subscription) if subscription.pk else {}
    if subscription.status != Subscription.Status.PAUSED:
        subscription.status, subscription.past_due_since = Subscription.Status(status), None
    subscription.plan = plan
    subscription.current_period_start, subscription.current_period_end = period_start, period_end
    subscription.save()
    signals.subscription_changed.send(sender=Subscription, subscription=subscription, before=before, by=by)
    _record(subscription, by, "subscription.changed" if before else "subscription.created", before=before)
    return subscription


def fee_paid(  # noqa: PLR0913 - the facts of one row
    *,
    subscription: Subscription,
    plan: Plan,
    period_start: datetime,
    period_end: datetime,
    amount_cents: int,
    full_amount_cents: int,
    currency: str,
    reference: str,
    by: Actor,
    replaced_plan: Plan | None = None,
    credited_cents: int = 0,
    replaced_full_cents: int = 0,
) -> tuple[PlanFee, bool]:
    """Note that a period's fee was paid, once per subscription, plan and period; returns the fee and whether it is new.

    `amount_cents` of the plan's `full_amount_cents` were due; after an upgrade `credited_cents` of the replaced plan's
    price were given back. `reference` names the invoice. A new one is announced by `signals.fee_paid`. Raises Conflict
    where the period was paid with another amount before.
    """
    transactions.require()
    fee, is_new = PlanFee.objects.get_or_create(
        subscription=subscription,
        plan=plan,
        period_start=period_start,
        defaults={
            "period_end": period_end,
            "amount_cents": amount_cents,
            "full_amount_cents": full_amount_cents,
            "replaced_plan": replaced_plan,
            "credited_cents": credited_cents,
            "replaced_full_cents": replaced_full_cents,
            "currency": currency,
            "reference": reference,
        },
    )
    paid = (amount_cents, full_amount_cents, currency, period_end)
    if not is_new and (fee.amount_cents, fee.full_amount_cents, fee.currency, fee.period_end) != paid:
        raise Conflict("This period's fee was paid with another amount.", reference=fee.reference)
    if is_new:
        signals.fee_paid.send(sender=PlanFee, fee=fee, by=by)
        _record(
            subscription,
            by,
            "subscription.fee_paid",
            more={
                "fee_plan_code": plan.code,
                "amount_cents": amount_cents,
                "currency": currency,
                "reference": reference,
            },
        )
    return fee, is_new


def mark_past_due(*, subscription: Subscription, since: datetime, by: Actor) -> Subscription:
    """Note that a plan invoice is unpaid after its due date; the first date stays if it is noted again."""
    locked = _lock(subscription)
    if locked.status == Subscription.Status.PAST_DUE:
        return locked
    return _change(
        locked, by, "subscription.past_due", status=Subscription.Status.PAST_DUE, past_due_since=since
    )


def restore(*, subscription: Subscription, by: Actor) -> Subscription:
    """Make a past due subscription active again, since what was owed is paid."""
    locked = _lock(subscription)
    if locked.status != Subscription.Status.PAST_DUE:
        return locked
    return _change(
        locked, by, "subscription.restored", status=Subscription.Status.ACTIVE, past_due_since=None
    )


def pause(*, subscription: Subscription, reason: str, by: Actor) -> Subscription:
    """Stop new holds and charges under this plan (staff); captures and releases work, and invoices go on.

    A debt is kept for when it is resumed. Raises ValidationError without a reason, NotSubscribed.
    """
    if not reason.strip():
        raise ValidationError(reason="Say why; it is kept in the audit log.")
    locked = _lock(subscription)
    if locked.status == Subscription.Status.PAUSED:
        return locked
    return _change(
        locked, by, "subscription.paused", facts={"reason": reason.strip()}, status=Subscription.Status.PAUSED
    )


def resume(*, subscription: Subscription, by: Actor) -> Subscription:
    """Let a paused subscription go on: past due where a debt is open, else active until Lago is next looked at."""
    locked = _lock(subscription)
    if locked.status != Subscription.Status.PAUSED:
        return locked
    owes = locked.past_due_since is not None
    status = Subscription.Status.PAST_DUE if owes else Subscription.Status.ACTIVE
    return _change(locked, by, "subscription.resumed", status=status)


def end(*, subscription: Subscription, at: datetime, by: Actor) -> Subscription:
    """End a subscription for good; the organization's credits stay, under the limits of no plan."""
    locked = _lock(subscription)
    return _change(
        locked,
        by,
        "subscription.ended",
        status=Subscription.Status.TERMINATED,
        past_due_since=None,
        ended_at=at,
    )


def _lock(subscription: Subscription) -> Subscription:
    transactions.require()
    found = (
        Subscription.objects.select_for_update(no_key=True).filter(pk=subscription.pk, ended_at=None).first()
    )
    if found is None:
        raise NotSubscribed("This subscription has ended.")
    return found


def _change(
    subscription: Subscription,
    by: Actor,
    action: str,
    *,
    facts: dict[str, Any] | None = None,
    **values: Any,
) -> Subscription:
    before = _facts(subscription)
    for field, value in values.items():
        setattr(subscription, field, value)
    subscription.save(update_fields=list(values))
    signals.subscription_changed.send(sender=Subscription, subscription=subscription, before=before, by=by)
    _record(subscription, by, action, before=before, more=facts)
    return subscription


def _facts(subscription: Subscription) -> dict[str, Any]:
    return {
        "plan_code": subscription.plan.code,
        "status": subscription.status,
        "period_start": subscription.current_period_start,
        "period_end": subscription.current_period_end,
    }


def _record(
    subscription: Subscription,
    by: Actor,
    action: str,
    *,
    before: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    events.record(
        organization=subscription.organization.public_id,
        by=by,
        action=action,
        target=subscription.organization.public_id,
        before=before,
        after=_facts(subscription) | (more or {}),
    )

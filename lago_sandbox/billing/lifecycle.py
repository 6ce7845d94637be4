"""The life of a subscription: started, changed up at once or down at the period's end, ended."""

from datetime import datetime
from typing import Any

from lago_sandbox import jobs
from lago_sandbox.billing import bills, invoicing, notes, schedule, terms, trials
from lago_sandbox.models import Customer, Plan, Subscription
from lago_sandbox.webhooks.emit import emit


def create(
    *,
    customer: Customer,
    plan: Plan,
    external_id: str,
    now: datetime,
    subscription_at: datetime,
    **details: Any,
) -> Subscription:
    """Return a new subscription: pending if it starts later, backdated without a first invoice if it began on an earlier day."""
    row = Subscription.objects.create(
        created_at=now,
        external_id=external_id,
        customer=customer,
        plan=plan,
        status="pending",
        subscription_at=subscription_at,
        **details,
    )
    if subscription_at.date() < now.date():
        start(row, started_at=subscription_at, now=now)
    elif subscription_at.date() == now.date():
        start(row, started_at=now, now=now)
        _bill_start(row, now=now)
    schedule.plan_next(now)
    schedule.plan_alerts(row, now)
    return row


def start(row: Subscription, *, started_at: datetime, now: datetime) -> None:
    """Activate a subscription."""
    row.status, row.started_at = "active", started_at
    row.next_billing_at = terms.period(row, now.date()).next_begins_at
    row.save()
    emit("subscription.started", about=row, now=now)


def activate(row: Subscription, *, now: datetime) -> None:
    """Start one that was planned for now."""
    start(row, started_at=now, now=now)
    _bill_start(row, now=now)


def upgrade(row: Subscription, *, plan: Plan, name: str, now: datetime) -> Subscription:
    """Return the new subscription that takes the old one's place at once, with one joint invoice for both."""
    cancel_planned(row, now=now)
    unused = terms.period(row, now.date()).days_from(now.date())  # the day of the change is the new plan's
    _end(row, now=now)
    if row.plan.pay_in_advance:
        notes.for_unused_days(row, days=unused, now=now)
    new = _follow(row, plan=plan, name=name, now=now)
    start(new, started_at=now, now=now)
    jobs.soon("bill_change", now=now, old=row.id, new=new.id)
    schedule.plan_next(now)
    return new


def downgrade(row: Subscription, *, plan: Plan, name: str, now: datetime) -> Subscription:
    """Return the present subscription, which goes on to the end of its period; an earlier plan for then is canceled."""
    cancel_planned(row, now=now)
    _follow(row, plan=plan, name=name, now=now)
    emit("subscription.updated", about=row, now=now)
    return row


def switch(row: Subscription, new: Subscription, *, now: datetime) -> None:
    """Let a planned downgrade take effect at the end of a period, with one joint invoice."""
    _end(row, now=now)
    start(new, started_at=now, now=now)
    bill_change({"old": str(row.id), "new": str(new.id)}, now)


def bill_change(payload: dict[str, Any], now: datetime) -> None:
    """Write the joint invoice of a change: the old plan's usage, the new plan's fee."""
    old = Subscription.objects.select_related("plan", "customer").get(pk=payload["old"])
    new = Subscription.objects.select_related("plan", "customer").get(pk=payload["new"])
    joint = [bills.final_bill(old, changed=True)]
    if new.plan.pay_in_advance and not trials.is_running(new, now):
        joint.append(bills.starting_bill(new))
    if any(bill.days is not None or bill.charges for bill in joint):
        invoicing.invoice_bills(joint, now=now)


def terminate(row: Subscription, *, credit_note: str, invoice: str, now: datetime) -> Subscription:
    """End a subscription now; unused days of a fee in advance are credited, usage is invoiced."""
    cancel_planned(row, now=now)
    row.on_termination_credit_note, row.on_termination_invoice = credit_note, invoice
    unused = terms.period(row, now.date()).days_from(now.date()) - 1  # this day was used
    _end(row, now=now)
    if row.plan.pay_in_advance and credit_note != "skip":
        notes.for_unused_days(row, days=unused, now=now)
    if invoice == "generate":
        jobs.soon("bill_end", now=now, subscription=row.id)
    schedule.plan_next(now)
    return row


def bill_end(payload: dict[str, Any], now: datetime) -> None:
    row = Subscription.objects.select_related("plan", "customer").get(pk=payload["subscription"])
    invoicing.invoice_bills([bills.final_bill(row, changed=False)], now=now)


def cancel(row: Subscription, *, now: datetime) -> Subscription:
    """Cancel a pending one; Lago tells it as subscription.terminated, and the present one as updated."""
    row.status, row.canceled_at = "canceled", now
    row.save()
    emit("subscription.terminated", about=row, now=now)
    if row.previous is not None:
        emit("subscription.updated", about=row.previous, now=now)
    return row


def cancel_planned(row: Subscription, *, now: datetime) -> None:
    for planned in row.following.filter(status="pending"):
        planned.status, planned.canceled_at = "canceled", now
        planned.save()


def bill_start(payload: dict[str, Any], now: datetime) -> None:
    """Write the first invoice of a plan paid in advance."""
    row = Subscription.objects.select_related("plan", "customer").get(pk=payload["subscription"])
    invoicing.invoice_bills([bills.starting_bill(row)], now=now)


def _bill_start(row: Subscription, *, now: datetime) -> None:
    if row.plan.pay_in_advance and not trials.is_running(row, now):
        jobs.soon("bill_start", now=now, subscription=row.id)


def _end(row: Subscription, *, now: datetime) -> None:
    row.status, row.terminated_at = "terminated", now
    row.save()
    emit("subscription.terminated", about=row, now=now)


def _follow(row: Subscription, *, plan: Plan, name: str, now: datetime) -> Subscription:
    return Subscription.objects.create(
        created_at=now,
        external_id=row.external_id,
        customer=row.customer,
        plan=plan,
        previous=row,
        status="pending",
        billing_time=row.billing_time,
        name=name or row.name,
        subscription_at=row.subscription_at,
        ending_at=row.ending_at,
    )

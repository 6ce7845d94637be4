"""What a subscription owes when it starts, is renewed, or ends."""

from datetime import timedelta

from lago_sandbox.billing import periods, terms
from lago_sandbox.billing.invoicing import Bill
from lago_sandbox.models import Subscription


def starting_bill(row: Subscription) -> Bill:
    """Return the base fee from the start to the period's end; an anniversary's first period is whole."""
    started = (row.started_at or row.subscription_at).date()
    period = terms.period(row, started)
    return Bill(row, "subscription_starting", period, period.days_from(started), charges=None)


def renewal(row: Subscription) -> Bill:
    """Return the fee in advance of the period that begins, and the usage of the one that ended."""
    past, present = last_period(row), next_period(row)
    charges = terms.charges_range(row, past)
    if row.plan.pay_in_advance:
        return Bill(row, "subscription_periodic", present, present.days, charges)
    started = (row.started_at or row.subscription_at).date()
    return Bill(row, "subscription_periodic", past, past.days_from(started), charges)


def final_bill(row: Subscription, *, changed: bool) -> Bill:
    """Return what an ended subscription still owes: usage, and the used days of a plan paid in arrears."""
    ended = row.terminated_at or row.subscription_at
    period = last_period(row)
    days = None
    if not row.plan.pay_in_advance:
        started = (row.started_at or row.subscription_at).date()
        unused = period.days_from(ended.date()) - (0 if changed else 1)
        days = period.days_from(started) - max(0, unused)
    charges = None
    if row.plan.charges.filter(deleted_at=None, pay_in_advance=False).exists():
        charges = terms.charges_range(row, period, until=ended)
    return Bill(row, "subscription_terminating", period, days, charges)


def last_period(row: Subscription) -> periods.Period:
    """Return the period whose usage is not invoiced yet: the one before the next billing day."""
    if row.next_billing_at is None:
        raise ValueError(f"subscription {row.external_id} never started")
    return terms.period(row, row.next_billing_at.date() - timedelta(days=1))


def next_period(row: Subscription) -> periods.Period:
    """Return the period that begins on the next billing day."""
    return terms.period(row, last_period(row).next_begins_at.date())

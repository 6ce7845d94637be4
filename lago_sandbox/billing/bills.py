"""What a subscription owes when it starts, is renewed, or ends."""

from datetime import date, datetime, timedelta

from lago_sandbox.billing import periods, terms, trials
from lago_sandbox.billing.invoicing import Bill
from lago_sandbox.models import Subscription


def starting_bill(row: Subscription) -> Bill:
    """Return the base fee from the start to the period's end; an anniversary's first period is whole."""
    started = _first_day(row)
    period = terms.period(row, started)
    return Bill(row, "subscription_starting", period, period.days_from(started), charges=None)


def bill_after_trial(row: Subscription, ends: datetime) -> Bill:
    """Return the base fee for what is left of the present period when a trial ends."""
    period = terms.period(row, ends.date())
    return Bill(row, "subscription_starting", period, period.days_from(ends.date()), charges=None)


def renewal(row: Subscription) -> Bill:
    """Return the fee in advance of the period that begins, and the usage of the one that ended."""
    past, present = last_period(row), next_period(row)
    charges = terms.charges_range(row, past)
    if row.plan.pay_in_advance:
        is_free = trials.is_running(row, present.begins_at)  # it is billed when the trial ends
        return Bill(row, "subscription_periodic", present, None if is_free else present.days, charges)
    return Bill(row, "subscription_periodic", past, past.days_from(_first_paid_day(row)), charges)


def final_bill(row: Subscription, *, changed: bool) -> Bill:
    """Return what an ended subscription still owes: usage, and the used days of a plan paid in arrears."""
    ended = row.terminated_at or row.subscription_at
    period = last_period(row)
    days = None
    if not row.plan.pay_in_advance:
        unused = period.days_from(ended.date()) - (0 if changed else 1)
        days = max(0, period.days_from(_first_paid_day(row)) - max(0, unused))
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


def _first_day(row: Subscription) -> date:
    return (row.started_at or row.subscription_at).date()


def _first_paid_day(row: Subscription) -> date:
    ends = trials.ends_at(row)
    return max(_first_day(row), ends.date()) if ends else _first_day(row)

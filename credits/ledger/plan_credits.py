"""Plan credits: what a paid fee brings, once per subscription, plan and month, never before it is paid (product.md §9).

A fee for longer than a month (a yearly plan) brings its credits month by month, counted from the day it began.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import F

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import corrections, expiries, grants, payers, statements, takings
from credits.ledger.priorities import PRIORITIES
from credits.models import Grant, GrantBalance
from kit import transactions
from orgs.audit.events import SYSTEM, Actor
from orgs.models import Organization, PlanFee

GRACE: Final = timedelta(days=7)
"""How long plan credits outlive their month while its renewal is not paid."""
_MONTH: Final = timedelta(days=32)
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A month of a fee, and the credits that it brings."""

    start: datetime
    end: datetime
    credits: Decimal


def grant_due(*, fee: PlanFee, by: Actor) -> list[Grant]:
    """Grant what a paid fee brings by now: its first month at once, later ones when they have begun.

    New credits enter first; then those of months that are over expire, so that allocations stay whole. An upgrade in the
    middle of a month ends nothing. Calling it again grants nothing twice.
    """
    transactions.require()
    organization = fee.subscription.organization
    locked = payers.lock([payers.organization_pool(organization.pk)])
    now = statements.clock()
    due = _due(fee, now)
    if not due:
        return []
    ending = _over_by(organization, due[-1].start + (_DAY if fee.replaced_plan is None else timedelta()))
    leaving = sum((one.left for one in ending), ZERO) - sum((one.credits for one in due), ZERO)
    takings.widen(locked, organization_id=organization.pk, wanted=leaving)
    made = [_grant(fee, one, now, by) for one in due]
    settled = grants.enter(locked, organization, made, by=by)
    GrantBalance.objects.filter(pk__in=[one.pk for one in ending]).update(expires_at=now)
    gone = expiries.take_due(locked, organization, by=by)
    corrections.record(locked, settled)
    for one in made:
        grants.tell(one, by=by)
    expiries.tell(organization, gone, by=by)
    return made


def grant_all_due() -> int:
    """Grant the months that have begun of fees that were paid for longer; returns how many grants that made.

    The hourly job, a fee a transaction.
    """
    now = statements.clock()
    longer = PlanFee.objects.filter(period_end__gt=F("period_start") + _MONTH)
    lasting = longer.filter(period_end__gt=now - GRACE, period_start__lte=now, subscription__ended_at=None)
    made = 0
    for fee in lasting.select_related("subscription__organization", "plan", "replaced_plan").order_by("pk"):
        with transactions.durable():
            made += len(grant_due(fee=fee, by=SYSTEM))
    return made


def slices(fee: PlanFee) -> list[Slice]:
    """Return the months of a fee with their credits, which are in proportion to the fee and rounded down.

    Every whole month brings the plan's credits, the last one what the fee has left for it; the first one of an upgrade
    brings as much less as the replaced plan had brought for the rest of its month.
    """
    starts = _starts(fee)
    whole = Decimal(fee.plan.included_credits)
    months = _months_of_price(fee)
    total = _part(whole * months, fee.amount_cents, fee.full_amount_cents, free=whole * len(starts))
    found: list[Slice] = []
    for number, start in enumerate(starts):
        credits = min(whole, total - whole * number) if months > 1 else total
        if number == 0:
            credits -= _replaced(fee)
        end = starts[number + 1] if number + 1 < len(starts) else fee.period_end
        found.append(Slice(start=start, end=end, credits=max(credits, ZERO)))
    return found


def _due(fee: PlanFee, now: datetime) -> list[Slice]:
    """Return the months that have begun, bring something, and are not granted yet."""
    begun = [
        one for one in slices(fee) if one.credits and (one.start <= now or one.start == fee.period_start)
    ]
    granted = _granted(fee, begun)
    wanted = [one for one in begun if _reference(fee, one.start) not in granted]
    return [one for one in wanted if one.start == fee.period_start or _still_runs(fee, one)]


def _granted(fee: PlanFee, months: Sequence[Slice]) -> set[str]:
    """Return the references of these months that were granted."""
    rows = Grant.objects.filter(
        organization=fee.subscription.organization,
        source=Grant.Source.PLAN,
        reference__in=[_reference(fee, one.start) for one in months],
    )
    return set(rows.values_list("reference", flat=True))


def _still_runs(fee: PlanFee, month: Slice) -> bool:
    """Tell whether a later month of the fee is due at all: not after the subscription ended or the plan was changed.

    A month in which the plan was changed is settled by the fee of the new plan, also where the old one comes back.
    """
    subscription = fee.subscription
    if subscription.plan_id != fee.plan_id or subscription.ended_at is not None:
        return False
    later = PlanFee.objects.filter(subscription=subscription, period_start__gt=fee.period_start)
    return not later.filter(period_start__lt=month.end).exists()


def _grant(fee: PlanFee, of: Slice, now: datetime, by: Actor) -> Grant:
    return Grant(
        organization=fee.subscription.organization,
        source=Grant.Source.PLAN,
        credits=of.credits,
        reference=_reference(fee, of.start),
        reason=f"{fee.plan.name}, {of.start:%Y-%m-%d} to {of.end:%Y-%m-%d}",
        priority=PRIORITIES["plan"],
        expires_at=max(of.end, now) + GRACE,
        granted_by=by.public_id,
    )


def _over_by(organization: Organization, at: datetime) -> list[GrantBalance]:
    """Return plan credits of which something is left and whose month is over by then.

    Lago ends a period a moment before the next one starts, or some hours after where the plan was changed.
    """
    used = F("consumed") + F("expired") + F("withdrawn")
    rows = GrantBalance.objects.filter(
        organization=organization, grant__source=Grant.Source.PLAN, credits__gt=used
    ).select_related("grant")
    fees = PlanFee.objects.filter(subscription__organization=organization).select_related(
        "subscription", "plan", "replaced_plan"
    )
    over = {_reference(fee, one.start) for fee in fees for one in slices(fee) if one.end <= at}
    return [row for row in rows if row.grant.reference in over]


def _replaced(fee: PlanFee) -> Decimal:
    """Return what the replaced plan had brought for the rest of its month; below zero what it still owes.

    That is as much of its credits as of its price was given back; of a yearly price, which says nothing of one month, as
    much as of its present month is left. Where the hourly job had not brought that month yet, the part of it that is over
    is owed.
    """
    if fee.replaced_plan is None:
        return ZERO
    whole = Decimal(fee.replaced_plan.included_credits)
    if (found := _month_of_replaced(fee)) is not None:
        before, month = found
        over, length = fee.period_start - month.start, month.end - month.start
        brought = whole if _granted(before, [month]) else ZERO
        return brought - amounts.portion(whole, over // _TICK, length // _TICK)
    kept = fee.replaced_full_cents - fee.credited_cents
    return whole - _part(whole, kept, fee.replaced_full_cents, free=whole)


def _month_of_replaced(fee: PlanFee) -> tuple[PlanFee, Slice] | None:
    """Return the replaced plan's fee with its month that a fee begins in, where that was paid for more than one."""
    before = PlanFee.objects.filter(
        subscription_id=fee.subscription_id,
        plan=fee.replaced_plan,
        period_start__lt=fee.period_start,
        period_end__gt=fee.period_start,
    )
    last = before.select_related("plan", "replaced_plan").order_by("-period_start").first()
    if last is None or last.replaced_plan is not None:
        return None
    months = slices(last)
    running = [one for one in months if one.start <= fee.period_start < one.end]
    return (last, running[0]) if len(months) > 1 and running else None


def _starts(fee: PlanFee) -> list[datetime]:
    """Return when the months of a fee begin, always counted from its first day; a rest of a day is no month."""
    starts = [fee.period_start]
    if fee.period_end - fee.period_start > _MONTH:
        while (following := _months_after(fee.period_start, len(starts))) < fee.period_end - _DAY:
            starts.append(following)
    return starts


def _months_of_price(fee: PlanFee) -> int:
    """Return how many months a plan's full price is for: 12 of a yearly one.

    After an upgrade less than a month of a year may be due. That is told from what the rest's days cost of the price,
    which only then is certainly counted by days.
    """
    lasts = fee.period_end - fee.period_start
    if lasts <= _MONTH and fee.replaced_plan is not None and fee.amount_cents:
        days = Decimal(-(-lasts // _DAY))
        lasts = timedelta(days=int(amounts.portion(days, fee.full_amount_cents, fee.amount_cents)))
        return 12 if lasts > 2 * _MONTH else 1
    return 12 if lasts > _MONTH else 1


def _part(credits: Decimal, cents: int, full_cents: int, *, free: Decimal) -> Decimal:
    """Return the part of credits that a part of a price stands for; of a price of 0, what it brings for nothing."""
    return amounts.portion(credits, cents, full_cents) if full_cents else free


def _reference(fee: PlanFee, start: datetime) -> str:
    """Return what makes a month unique in its organization: plan, start and subscription (by its own start)."""
    return (
        f"{fee.plan.code} {start:%Y-%m-%dT%H:%M:%S.%f} of {fee.subscription.started_at:%Y-%m-%dT%H:%M:%S.%f}"
    )


def _months_after(start: datetime, months: int) -> datetime:
    """Return the same day some months later, or the last day of a shorter month."""
    years, month = divmod(start.month - 1 + months, 12)
    first = start.replace(year=start.year + years, month=month + 1, day=1)
    length = ((first + _MONTH).replace(day=1) - first).days
    return first.replace(day=min(start.day, length))

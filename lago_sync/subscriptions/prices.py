"""What a change of plan will cost: computed before it is asked for, to the minor unit as Lago will then invoice it.

A day costs the plan's price divided by the days of the period in which it lies, and each half of a change is rounded by
itself (reference/lago.md §5, B20, B26, B27; product.md §9 has examples).
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Sum

from kit.errors import Conflict, InvalidRequest, ValidationError
from lago_sync import money
from lago_sync.models import LagoCreditNote, LagoSubscription, PlanChange
from lago_sync.subscriptions import catalogue, mirror, periods
from lago_sync.subscriptions.catalogue import Offer
from orgs import subscriptions
from orgs.models import Organization

_SHOWN: Final = (
    "old_amount_cents",
    "new_amount_cents",
    "credit_cents",
    "fee_cents",
    "due_cents",
    "effective_at",
    "kind",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """What Lago will invoice at `effective_at`, in minor units: `fee_cents` of the new plan for the days until its period
    ends, less `credit_cents` for the days of the old plan that were paid and not used.

    `balance_cents` is what earlier credit notes still hold, which Lago sets off too; `due_cents` is what is left to pay.
    """

    kind: str
    plan_code: str
    currency: str
    old_amount_cents: int
    new_amount_cents: int
    credit_cents: int
    fee_cents: int
    balance_cents: int
    effective_at: datetime

    @property
    def due_cents(self) -> int:
        """What is to pay once all credit is set off."""
        return max(0, self.fee_cents - self.credit_cents - self.balance_cents)

    def shown(self) -> dict[str, Any]:
        """Return it as the API and the row of a change have it."""
        facts = asdict(self) | {"due_cents": self.due_cents, "effective_at": self.effective_at.isoformat()}
        return {name: facts[name] for name in _SHOWN}


class PriceChanged(Conflict):
    """The price is no longer the one that was confirmed; nothing was recorded. `price` is the present one."""

    def __init__(self, price: PriceChange) -> None:
        super().__init__(
            "The price has changed. Nothing was done; look at it and confirm again.",
            price_change=price.shown(),
        )
        self.price = price


def preview(*, organization: Organization, plan_code: str, now: datetime) -> PriceChange:
    """Return what subscribing or changing to a plan would cost now. Asks nobody: from what was last seen at Lago.

    Raises ValidationError (plan_code), InvalidRequest for the plan that it is on or that is planned, Conflict where no
    change is possible, LagoUnavailable where no plan is known yet.
    """
    offer = catalogue.find(plan_code, currency=organization.currency)
    row = mirror.live(organization=organization)
    if row is None:
        require_unsubscribed(organization)
        return starting(organization, offer, now=now)
    return of_change(row, offer, now=now)


def of_change(row: LagoSubscription, offer: Offer, *, now: datetime) -> PriceChange:
    """Return what changing a live subscription to a plan costs; raises like `preview`."""
    _check(row, offer)
    is_up = offer.yearly_cents >= row.amount_cents * periods.A_YEAR[row.interval]
    if not is_up and subscriptions.plan_named(row.plan_code).code == mirror.TRIAL:
        raise Conflict("A trial ends by itself; choose this plan when it has ended.")
    present = periods.of(row, at=now)
    at = now if is_up else present.next_begins_at
    following = periods.of(row, at=at, interval=offer.at_lago.interval)
    days = following.days_from(periods.day_of(row, at))
    cents = offer.at_lago.amount_cents
    return PriceChange(
        kind=PlanChange.Kind.UPGRADE if is_up else PlanChange.Kind.DOWNGRADE,
        plan_code=offer.at_lago.code,
        currency=row.currency,
        old_amount_cents=row.amount_cents,
        new_amount_cents=cents,
        credit_cents=_unused(row, present, now) if is_up else 0,
        fee_cents=money.share(cents, Decimal(days), Decimal(following.days)),
        balance_cents=_balance(row.organization, row.currency),
        effective_at=at,
    )


def starting(organization: Organization, offer: Offer, *, now: datetime) -> PriceChange:
    """Return what a new subscription costs: its first period is whole, since its periods count from its first day."""
    return PriceChange(
        kind=PlanChange.Kind.SUBSCRIBE,
        plan_code=offer.at_lago.code,
        currency=offer.at_lago.currency,
        old_amount_cents=0,
        new_amount_cents=offer.at_lago.amount_cents,
        credit_cents=0,
        fee_cents=offer.at_lago.amount_cents,
        balance_cents=_balance(organization, offer.at_lago.currency),
        effective_at=now,
    )


def require_unsubscribed(organization: Organization) -> None:
    """Raise Conflict where the organization has a plan that is not billed at Lago: no change of it can be priced."""
    if subscriptions.live(organization=organization) is not None:
        raise Conflict("This plan was set by staff and is not billed; ask a system admin to change it.")


def _check(row: LagoSubscription, offer: Offer) -> None:
    if offer.at_lago.code == row.plan_code:
        raise InvalidRequest("This is the present plan.", plan_code=row.plan_code)
    if offer.at_lago.code == row.next_plan_code:
        raise InvalidRequest("The change to this plan is planned already.", plan_code=row.next_plan_code)
    if offer.plan.code == mirror.TRIAL:
        raise ValidationError(plan_code="A trial is for the start; it does not follow another plan.")
    if mirror.is_canceled(row):
        raise Conflict("The plan is canceled; take the cancellation back before choosing another.")


def _unused(row: LagoSubscription, present: periods.Period, now: datetime) -> int:
    """Return what Lago gives back of the fee in advance: the day of the change is the new plan's."""
    if _has_no_fee(row, now):
        return 0
    left = present.days_from(periods.day_of(row, now))
    return money.share(row.amount_cents, Decimal(left), Decimal(present.days))


def _has_no_fee(row: LagoSubscription, now: datetime) -> bool:
    """Tell whether the present period was not invoiced: that in which a backdated subscription was made at Lago."""
    if row.made_at is None or periods.day_of(row, row.started_at) >= periods.day_of(row, row.made_at):
        return False
    return periods.of(row, at=row.made_at) == periods.of(row, at=now)


def _balance(organization: Organization, currency: str) -> int:
    notes = LagoCreditNote.objects.filter(
        organization=organization, currency=currency, credit_status="available"
    )
    found = notes.aggregate(cents=Sum("balance_amount_cents"))["cents"]
    return int(found or 0)

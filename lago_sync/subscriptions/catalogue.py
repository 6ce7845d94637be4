"""The plans: price and interval as Lago has them, kept so that pages answer while it is away; limits are `orgs`'."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kit import transactions
from kit.errors import NotFound, ValidationError
from lago_sync.client import catalogue
from lago_sync.client.transport import Json
from lago_sync.errors import LagoUnavailable, PurchasesStopped
from lago_sync.models import LagoPlan
from lago_sync.setup import charges
from lago_sync.subscriptions.periods import A_YEAR
from orgs import subscriptions
from orgs.models import Plan
from orgs.models.plans import NO_PLAN

_SPELLINGS: Final = {"_annual": "_yearly", "_monthly": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A plan that can be chosen: Lago's price, our limits and included credits (of a month, or of the trial)."""

    at_lago: LagoPlan
    plan: Plan

    @property
    def yearly_cents(self) -> int:
        """What a year of it costs: by this Lago tells an upgrade from a downgrade."""
        return self.at_lago.amount_cents * A_YEAR[self.at_lago.interval]


def refresh(*, now: datetime) -> int:
    """Bring the mirror of the plans in step with Lago; returns how many differed. Asks Lago.

    One that is gone there, or about to be, stays for those who are on it and is offered no more.
    Raises LagoUnavailable, LagoRefused.
    """
    listed = [one for one in catalogue.plans() if one["interval"] in A_YEAR]
    with transactions.durable():
        changed = sum(_keep(one, now) for one in listed)
        gone = LagoPlan.objects.exclude(code__in=[one["code"] for one in listed])
        return changed + gone.filter(is_offered=True).update(is_offered=False, synced_at=now)


def offered(*, currency: str) -> list[Offer]:
    """Return what can be chosen in a currency as last seen at Lago: the cheapest first, of one by the month before the year."""
    rows = LagoPlan.objects.filter(currency=currency, is_offered=True)
    found = [offer for row in rows if (offer := _offer(row)) is not None]
    cheapest: dict[str, int] = {}
    for one in found:
        cheapest[one.plan.code] = min(one.yearly_cents, cheapest.get(one.plan.code, one.yearly_cents))
    return sorted(
        found,
        key=lambda one: (
            cheapest[one.plan.code],
            one.plan.code,
            -A_YEAR[one.at_lago.interval],
            one.at_lago.code,
        ),
    )


def find(plan_code: str, *, currency: str) -> Offer:
    """Return the plan of a code or of one of its other spellings, as last seen at Lago.

    Raises ValidationError (plan_code) for what is not offered in this currency, LagoUnavailable where nothing is known yet.
    """
    row = LagoPlan.objects.filter(code=lago_code(plan_code), is_offered=True).first()
    offer = _offer(row) if row is not None else None
    if offer is None:
        if not LagoPlan.objects.exists():
            raise LagoUnavailable("The plans of the billing engine are not known yet.")
        raise ValidationError(plan_code="There is no such plan.")
    if offer.at_lago.currency != currency:
        raise ValidationError(plan_code=f"This plan has no price in {currency}.")
    return offer


def name(plan_code: str) -> str:
    """Return what a plan of Lago is called, the code of one that was never seen."""
    row = LagoPlan.objects.filter(code=plan_code).first()
    return row.name if row is not None else plan_code


def ask(plan_code: str, *, currency: str, now: datetime) -> Offer:
    """Return the plan as Lago has it this moment, and keep what it said. Asks Lago.

    Raises like `find`, and PurchasesStopped for a plan that bills usage, LagoUnavailable, LagoRefused.
    """
    code = lago_code(plan_code)
    known = _named(code)
    found = catalogue.plan(code) if known is not None else None
    if found is None:
        raise ValidationError(plan_code="There is no such plan.")
    for problem in charges.problems(found):
        if problem.stops_purchases:
            raise PurchasesStopped(problem.what, do=problem.do)
    with transactions.durable():
        _keep(found, now)
    return find(code, currency=currency)


def lago_code(plan_code: str) -> str:
    """Return Lago's code of a name: `_monthly` is the plan as it stands, `_annual` another word for `_yearly`."""
    if not plan_code.isprintable():
        return ""  # what no database would look for
    for spelling, ours in _SPELLINGS.items():
        if plan_code.endswith(spelling):
            return plan_code.removesuffix(spelling) + ours
    return plan_code


def _keep(one: Json, now: datetime) -> bool:
    """Write a plan as it is at Lago; returns whether it differed. What was seen later stays."""
    seen = {
        "lago_id": one["lago_id"],
        "name": str(one["name"])[:120],
        "interval": one["interval"],
        "amount_cents": one["amount_cents"],
        "currency": one["amount_currency"],
        "is_offered": not one.get("pending_deletion", False),
    }
    known = LagoPlan.objects.select_for_update(no_key=True).filter(code=one["code"]).first()
    if known is not None and known.synced_at > now:
        return False
    LagoPlan.objects.update_or_create(code=one["code"], defaults=seen | {"synced_at": now})
    return known is None or any(str(getattr(known, name)) != str(value) for name, value in seen.items())


def _offer(row: LagoPlan) -> Offer | None:
    plan = _named(row.code)
    return Offer(at_lago=row, plan=plan) if plan is not None else None


def _named(code: str) -> Plan | None:
    """Return the portal's plan of a code, None for one that it does not know or that stands for having none."""
    try:
        plan = subscriptions.plan_named(code)
    except NotFound:
        return None
    return plan if plan.code != NO_PLAN else None

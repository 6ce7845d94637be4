"""Plan fees: what Lago shows as paid for a period becomes a fact of `orgs`, on which plan credits rest.

Whoever hears of a payment (a webhook, the poll) only causes a look: an invoice counts once it was fetched by our key and
is paid, of this organization, in the currency of its subscription, with a fee of a subscription that the mirror knows.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from kit import transactions
from kit.errors import Conflict, NotFound
from lago_sync.client import credit_notes, invoices
from lago_sync.client.transport import Json
from lago_sync.models import LagoSubscription
from orgs import subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Organization, Plan, PlanFee, Subscription

logger = logging.getLogger(__name__)

WANTED: Final = {"invoice_type": "subscription", "payment_status": "succeeded", "status": "finalized"}
"""What a paid invoice of a plan says of itself."""
_AT_ONCE: Final = timedelta(seconds=1)
"""Lago tells an end to the second and a start to the millisecond: less lies between the two halves of a change."""
_CHANGE: Final = "order_change"
_VOIDED: Final = "voided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What Lago gave back of the plan that an upgrade replaced, in minor units; nothing where there was none."""

    plan: Plan | None = None
    credited_cents: int = 0
    full_cents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidFee:
    """What was paid for a time of one subscription, in minor units, net of tax."""

    row: LagoSubscription
    start: datetime
    end: datetime
    cents: int
    reference: str
    replaced: Replaced = Replaced()


def collect(*, organization: Organization) -> int:
    """Take the organization's paid fees that are not in the books yet; returns how many invoices that were.

    Asks Lago, so no transaction may be open. Any number may do so at once: a fee is noted once per subscription, plan
    and period. An invoice that is not as it should be is named in the log and stops no other. Raises LagoUnavailable,
    LagoRefused.
    """
    known = set(noted(organization=organization).values_list("reference", flat=True))
    asked = {name: WANTED[name] for name in ("invoice_type", "payment_status")}
    listed = [one for one in invoices.of_customer(organization.public_id, asked) if is_paid(one)]
    return sum(
        _take(organization, str(one["lago_id"]))
        for one in reversed(listed)
        if str(one["number"]) not in known
    )


def note_free(*, row: LagoSubscription) -> None:
    """Note the fee of a plan that costs nothing, for its present period: Lago need not show an invoice of nothing."""
    if row.amount_cents or _is_noted(row):
        return
    free = PaidFee(row=row, start=row.period_start, end=row.period_end, cents=0, reference=str(row.lago_id))
    _note(free)


def noted(*, organization: Organization) -> QuerySet[PlanFee]:
    """Return the fees in the books that an invoice proves, known by its number; a free plan's has none."""
    return PlanFee.objects.filter(subscription__organization=organization, full_amount_cents__gt=0)


def is_paid(invoice: Json) -> bool:
    """Tell what was asked for from what came: Lago ignores a filter that it does not understand."""
    return all(invoice.get(name) == value for name, value in WANTED.items())


def _take(organization: Organization, lago_id: str) -> bool:
    """Fetch one invoice and note its fees; returns whether there was any."""
    invoice = invoices.get(lago_id)
    found = _read(organization, invoice) if invoice is not None else []
    for fee in found:
        _note(fee)
    return bool(found)


def _read(organization: Organization, invoice: Json) -> list[PaidFee]:
    """Return the fees that an invoice proves, none of one that is not as it should be."""
    try:
        if not is_paid(invoice) or invoice["customer"]["external_id"] != organization.public_id:
            raise ValueError("it is no paid invoice of this customer")
        fees = [one for one in invoice["fees"] if one["item"]["type"] == "subscription"]
        found = [_fee(organization, invoice, one) for one in fees]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        logger.error(  # noqa: TRY400 - the sentence says all
            "the plan fee of %s in invoice %s does not count: %s",
            organization.public_id,
            invoice.get("number"),
            error,
        )
        return []
    return [
        one for one in found if one.row.amount_cents or one.cents
    ]  # a free plan's is noted without an invoice


def _fee(organization: Organization, invoice: Json, fee: Json) -> PaidFee:
    """Return one fee of an invoice; raises ValueError for what is not the organization's."""
    rows = LagoSubscription.objects.select_related("organization")
    row = rows.filter(organization=organization, lago_id=UUID(fee["lago_subscription_id"])).first()
    if row is None or row.external_id != fee["external_subscription_id"]:
        raise ValueError(f"its subscription {fee['external_subscription_id']} is not the organization's")
    if not row.currency == invoice["currency"] == fee["amount_currency"]:
        raise ValueError(f"it is in {invoice['currency']} instead of {row.currency}")
    start, end = _period(invoice, fee)
    return PaidFee(
        row=row,
        start=max(start, row.started_at),  # two changes of plan on one day are two fees
        end=end,
        cents=_cents(fee["amount_cents"]),
        reference=str(invoice["number"]),
        replaced=_replaced(row) if start <= row.started_at else Replaced(),
    )


def _period(invoice: Json, fee: Json) -> tuple[datetime, datetime]:
    """Return the time that a fee is for: its own dates, else those that the invoice gives its subscription."""
    starts, ends = fee.get("from_date"), fee.get("to_date")
    if not (starts and ends):
        periods = {one["lago_subscription_id"]: one for one in invoice["billing_periods"]}
        period = periods[fee["lago_subscription_id"]]
        starts, ends = period["subscription_from_datetime"], period["subscription_to_datetime"]
    return _instant(starts), _instant(ends)


def _replaced(row: LagoSubscription) -> Replaced:
    """Return what was given back of the plan that this subscription took the place of. Asks Lago where there was one."""
    began = row.started_at
    before = LagoSubscription.objects.filter(organization=row.organization_id, external_id=row.external_id)
    before = before.filter(ended_at__gt=began - _AT_ONCE, ended_at__lt=began + _AT_ONCE).exclude(pk=row.pk)
    last = before.first()
    plan = _plan(last.plan_code) if last is not None else None
    if last is None or plan is None:
        return Replaced()
    cents = sum(_credited(one, last) for one in credit_notes.of_customer(row.organization.public_id))
    if not cents:
        return Replaced()
    return Replaced(plan=plan, credited_cents=cents, full_cents=max(last.amount_cents, cents))


def _credited(note: Json, before: LagoSubscription) -> int:
    """Return what a credit note gives back of the fee of a subscription that was changed."""
    if note["reason"] != _CHANGE or note["credit_status"] == _VOIDED:
        return 0
    return sum(
        _cents(item["amount_cents"])
        for item in note["items"]
        if item["fee"]["lago_subscription_id"] == str(before.lago_id)
        and item["fee"]["item"]["type"] == "subscription"
    )


def _note(fee: PaidFee) -> None:
    """Tell `orgs`, which grants nothing twice; what cannot be told is named in the log."""
    subscription, plan = _subscription(fee.row), _plan(fee.row.plan_code)
    if subscription is None or plan is None:
        logger.error("the fee in invoice %s is of no plan or subscription of the portal", fee.reference)
        return
    try:
        with transactions.durable():
            subscriptions.fee_paid(
                subscription=subscription,
                plan=plan,
                period_start=fee.start,
                period_end=fee.end,
                amount_cents=fee.cents,
                full_amount_cents=max(fee.row.amount_cents, fee.cents),
                currency=fee.row.currency,
                reference=fee.reference,
                replaced_plan=fee.replaced.plan,
                credited_cents=fee.replaced.credited_cents,
                replaced_full_cents=fee.replaced.full_cents,
                by=SYSTEM,
            )
    except Conflict as error:
        logger.error("the fee in invoice %s is not noted: %s", fee.reference, error.message)  # noqa: TRY400 - the sentence says all


def _is_noted(row: LagoSubscription) -> bool:
    """Tell whether a fee of the present period is in the books, of this plan for this organization."""
    plan = _plan(row.plan_code)
    rows = PlanFee.objects.filter(subscription__organization=row.organization_id, plan=plan)
    return rows.filter(period_end__gt=row.period_start, period_start__lt=row.period_end).exists()


def _subscription(row: LagoSubscription) -> Subscription | None:
    """Return the portal's subscription that was live when Lago's began: one row of ours through all changes of plan.

    One that ended within its first second seems to have ended before; then it is the last one there was.
    """
    facts = Subscription.objects.filter(organization=row.organization_id).order_by("started_at", "pk")
    facts = facts.select_related("organization", "plan")
    return facts.filter(Q(ended_at=None) | Q(ended_at__gt=row.started_at)).first() or facts.last()


def _plan(code: str) -> Plan | None:
    try:
        return subscriptions.plan_named(code)
    except NotFound:
        return None


def _cents(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError(f"{given!r} is no amount in minor units")
    return given


def _instant(given: Any) -> datetime:
    at = parse_datetime(str(given))
    if at is None or at.tzinfo is None:
        raise ValueError(f"{given!r} is no time")
    return at

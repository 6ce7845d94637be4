"""How the API shows what is bought through Lago."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from drf_spectacular.utils import OpenApiParameter

from credits import amounts
from credits.api.answers import instant
from credits.api.grants import GrantShape
from credits.api.shapes import PoolShape
from kit.rest.fields import Fields
from kit.rest.schema import Shape
from lago_sync.models import LagoSubscription, Package, Purchase, Refund
from lago_sync.subscriptions import mirror, plans
from orgs.models import Subscription

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=False,
    description="1 to 128 printable ASCII characters; a purchase needs one (400 without), and the same key is the same "
    "purchase, for ever; a grant may carry one",
)
X_ORGANIZATION: Final = OpenApiParameter(
    "X-Organization",
    str,
    OpenApiParameter.HEADER,
    description="the organization; without it that of the key, or the caller's active one",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCreditsRequest(Shape):
    """Either a package or a number of credits; the price is the portal's. System admins may grant them instead."""

    package_code: Annotated[str | None, "as `/packages` lists them"] = None
    credits: Annotated[
        str | None, "from 100 where they are bought; must come to a whole minor unit of the currency"
    ] = None
    return_url: Annotated[str | None, "an address of this portal to come back to"] = None
    grant: Annotated[bool, "a system admin gives the credits as goodwill; nothing is bought"] = False
    reason: Annotated[str | None, "why they are granted; needed with `grant`"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedShape(Shape):
    id: str
    status: Annotated[
        str, "pending, awaiting_payment, declined, abandoned, completed, failed, refunded or disputed"
    ]
    credits: str
    amount_cents: Annotated[int, "in minor units of the currency"]
    currency: str
    payment_url: Annotated[
        str | None, "where it is paid; null until known, and where there is nothing to pay"
    ]
    invoice_number: Annotated[str | None, "null until known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCreditsAnswer(Shape):
    """What was ordered; with `grant`, the grant that waits for approval."""

    purchase: OrderedShape | None = None
    grant: GrantShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAnswer(Shape):
    grant: GrantShape


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundShape(Shape):
    """Credits of a purchase that were taken back; staff return the money at the payment provider."""

    id: str
    kind: Annotated[str, "refund, or dispute: the payment was lost in one"]
    credits: Annotated[str, "withdrawn + owed"]
    withdrawn: Annotated[str, "taken out of the pools and allocations that still had them"]
    owed: Annotated[str, "spent before"]
    amount_cents: Annotated[int, "their part of the price"]
    reference: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseShape(Shape):
    id: str
    status: Annotated[
        str, "pending, awaiting_payment, declined, abandoned, completed, failed, refunded or disputed"
    ]
    credits: str
    amount_cents: int
    currency: str
    payment_url: str | None
    invoice_number: str | None
    package_code: Annotated[str | None, "null for a number of the buyer's own"]
    ordered_by: Annotated[str, "public id of the user or key"]
    created_at: str
    completed_at: Annotated[str | None, "when the credits were granted"]
    is_automatic: Annotated[bool, "ordered by auto top-up"]
    given_up_at: Annotated[str | None, "since when its invoice is being voided, or was"]
    refunds: Annotated[list[RefundShape], "what was taken back, oldest first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(Shape):
    org_id: str
    plan_code: Annotated[
        str, "monthly as it stands or with `_monthly`; by the year with `_yearly` or `_annual`"
    ]
    billing_time: Annotated[
        str, "`anniversary`: periods count from the start; `calendar`: from the first of the month"
    ] = "anniversary"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(
                org_id=body.text("org_id"),
                plan_code=body.text("plan_code"),
                billing_time=body.text_or_none("billing_time") or "anniversary",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionShape(Shape):
    id: Annotated[str, "the organization's for life, through every change of plan"]
    org_id: str
    org_name: str
    plan_code: str
    plan_name: str
    amount_cents: Annotated[int | None, "of one interval; this and what is Lago's: null where Lago has none"]
    currency: str | None
    interval: Annotated[str | None, "weekly, monthly or yearly"]
    status: Annotated[str, "trialing, active, past_due, paused or canceled"]
    lago_id: str | None
    external_id: str | None
    started_at: str
    trial_ends_at: Annotated[str | None, "null for what is no trial"]
    current_period_start: str
    current_period_end: str
    next_plan_code: Annotated[str | None, "the plan after the present period, where another is planned"]
    downgrade_at: Annotated[str | None, "the day of that"]
    cancel_at: Annotated[str | None, "when it ends; null while it goes on"]
    included_credits: Annotated[int, "of a month, or of the trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeAnswer(Shape):
    subscription: SubscriptionShape
    credit_pool: PoolShape


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlanRequest(Shape):
    plan_code: Annotated[str, "spelled as for subscribing; a cheaper one takes effect at the period's end"]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(plan_code=body.text("plan_code"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChangeShape(Shape):
    """What is invoiced at `effective_at`, in minor units of the organization's currency."""

    old_amount_cents: Annotated[int, "the present plan's price of one interval; 0 without one"]
    new_amount_cents: int
    credit_cents: Annotated[int, "given back for the days that were paid and are not used"]
    fee_cents: Annotated[int, "of the new plan until its period ends"]
    due_cents: Annotated[int, "what is left to pay, earlier credit notes set off"]
    effective_at: str
    kind: Annotated[str, "subscribe, upgrade (now) or downgrade (at the period's end)"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlanAnswer(Shape):
    subscription: SubscriptionShape
    price_change: PriceChangeShape


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageShape(Shape):
    code: str
    name: str
    credits: str
    amount_cents: int
    currency: str


def ordered(row: Purchase) -> dict[str, Any]:
    """Return a purchase as ordering it answers."""
    is_payable = row.status in Purchase.OPEN and row.abandoning_since is None
    return {
        "id": str(row.pk),
        "status": row.status,
        "credits": amounts.text(row.credits),
        "amount_cents": row.amount_cents,
        "currency": row.currency,
        "payment_url": row.payment_url or None if is_payable else None,
        "invoice_number": row.invoice_number or None,
    }


def purchase(row: Purchase) -> dict[str, Any]:
    """Return a purchase as lists show it."""
    return ordered(row) | {
        "package_code": row.package.code if row.package else None,
        "ordered_by": row.made_by,
        "created_at": row.created_at.isoformat(),
        "completed_at": row.completed_at.isoformat() if row.completed_at else None,
        "is_automatic": row.is_automatic,
        "given_up_at": row.abandoning_since.isoformat() if row.abandoning_since else None,
        "refunds": [refund(one) for one in sorted(row.refunds.all(), key=lambda one: one.pk)],
    }


def refund(row: Refund) -> dict[str, Any]:
    """Return what was taken back."""
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "credits": amounts.text(row.credits),
        "withdrawn": amounts.text(row.withdrawn),
        "owed": amounts.text(row.owed),
        "amount_cents": row.amount_cents,
        "reference": row.reference,
        "created_at": row.created_at.isoformat(),
    }


def package(row: Package) -> dict[str, Any]:
    """Return what is offered."""
    return {
        "code": row.code,
        "name": row.name,
        "credits": amounts.text(row.credits),
        "amount_cents": row.amount_cents,
        "currency": row.currency,
    }


def subscription(fact: Subscription, at_lago: LagoSubscription | None) -> dict[str, Any]:
    """Return a subscription: plan, status and period as the portal counts them, price and ids as Lago does."""
    organization = fact.organization
    is_trial = fact.plan.code == mirror.TRIAL
    is_ending = is_trial or (at_lago is not None and mirror.is_canceled(at_lago))
    ends = instant(fact.current_period_end)
    return {
        "id": plans.external_id(organization),
        "org_id": organization.public_id,
        "org_name": organization.name,
        "plan_code": at_lago.plan_code if at_lago else fact.plan.code,
        "plan_name": at_lago.plan_name if at_lago else fact.plan.name,
        "amount_cents": at_lago.amount_cents if at_lago else None,
        "currency": at_lago.currency if at_lago else None,
        "interval": at_lago.interval if at_lago else None,
        "status": fact.status,
        "lago_id": str(at_lago.lago_id) if at_lago else None,
        "external_id": at_lago.external_id if at_lago else None,
        "started_at": instant(at_lago.started_at if at_lago else fact.started_at),
        "trial_ends_at": ends if is_trial else None,
        "current_period_start": instant(fact.current_period_start),
        "current_period_end": ends,
        "next_plan_code": (at_lago.next_plan_code or None) if at_lago else None,
        "downgrade_at": at_lago.downgrade_at.isoformat() if at_lago and at_lago.downgrade_at else None,
        "cancel_at": ends if is_ending else None,
        "included_credits": fact.plan.included_credits,
    }

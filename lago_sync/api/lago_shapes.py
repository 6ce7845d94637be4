"""How `/api/v1/lago` reads and answers: the names of the neosaas integration, the books of the portal."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

from kit.rest.fields import Fields
from kit.rest.schema import Shape
from lago_sync.api.shapes import OrderedShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoCustomerRequest(Shape):
    external_id: Annotated[str, "the organization's public id"]
    name: Annotated[
        str | None, "another name than the organization has; needs the right to change its settings"
    ] = None
    email: Annotated[str | None, "another billing address; likewise"] = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(
                external_id=body.text("external_id"),
                name=body.text_or_none("name"),
                email=body.text_or_none("email"),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoCustomerShape(Shape):
    """Lago's customer as it was seen last."""

    lago_id: str
    external_id: str
    name: str | None
    email: str | None
    currency: str | None
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoCustomerAnswer(Shape):
    customer: LagoCustomerShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoWalletRequest(Shape):
    """Buys credits: nothing is granted here, so `granted_credits` is refused."""

    external_customer_id: Annotated[str, "the organization's public id"]
    paid_credits: Annotated[str, 'the price in units of the currency, a decimal text: "100.00"']

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            if body.has("granted_credits"):
                body.wrong["granted_credits"] = "Credits are bought or granted by staff, not made here."
            return cls(
                external_customer_id=body.text("external_customer_id"),
                paid_credits=body.text("paid_credits"),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoWalletShape(Shape):
    lago_id: Annotated[str | None, "null before the first purchase"]
    total_balance: Annotated[str, "what the available credits are worth, in units of `currency`"]
    credits_balance: Annotated[
        str, "credits that the organization's pool has available; a hold decides, not this"
    ]
    currency: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoWalletAnswer(Shape):
    wallet: LagoWalletShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoTopUpAnswer(Shape):
    wallet: LagoWalletShape
    purchase: OrderedShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoEventRequest(Shape):
    external_customer_id: Annotated[str, "the organization's public id"]
    code: Annotated[str, "of the event; credits are told by charges alone"]
    properties: Annotated[dict[str, Any], "flat: texts, numbers, booleans"]
    transaction_id: Annotated[str | None, "the same is one event for ever; made where it is left out"] = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given, allowed=("external_customer_id", "code", "properties", "transaction_id")) as body:
            properties = given.get("properties") or {}
            if not isinstance(properties, dict):
                body.wrong["properties"] = "An object is expected."
            return cls(
                external_customer_id=body.text("external_customer_id"),
                code=body.text("code"),
                properties=properties if isinstance(properties, dict) else {},
                transaction_id=body.text_or_none("transaction_id"),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoEventShape(Shape):
    transaction_id: str
    external_customer_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoEventAnswer(Shape):
    event: LagoEventShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoMetricUsageShape(Shape):
    """What one metric comes to; `amount_cents` is 0, since credits were paid when they were bought."""

    units: Annotated[str, "decimal text"]
    events_count: int
    amount_cents: int
    amount_currency: str
    billable_metric: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoUsageShape(Shape):
    from_datetime: str
    to_datetime: str
    currency: str
    total_amount_cents: int
    total_amount: str
    charges_usage: list[LagoMetricUsageShape]
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoUsageAnswer(Shape):
    usage: LagoUsageShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoInvoiceShape(Shape):
    """Lago's invoice as it was seen last."""

    lago_id: str
    number: str
    invoice_type: str
    status: str
    payment_status: str
    issuing_date: str
    currency: str
    total_amount_cents: int
    total_amount: Annotated[str, "in units of the currency"]
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoInvoicesAnswer(Shape):
    invoices: list[LagoInvoiceShape]


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoSubscribeRequest(Shape):
    external_customer_id: Annotated[str, "the organization's public id"]
    plan_code: str
    billing_time: Annotated[str, "`anniversary` or `calendar`"] = "anniversary"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        with Fields(given) as body:
            return cls(
                external_customer_id=body.text("external_customer_id"),
                plan_code=body.text("plan_code"),
                billing_time=body.text_or_none("billing_time") or "anniversary",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoSubscriptionShape(Shape):
    lago_id: str
    external_id: str
    external_customer_id: str
    plan_code: str
    plan_amount_cents: Annotated[int, "of one interval, in minor units"]
    plan_amount_currency: str
    interval: str
    status: str
    billing_time: str
    started_at: str
    current_billing_period_started_at: str
    current_billing_period_ending_at: str
    next_plan_code: str | None
    downgrade_plan_date: str | None
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LagoSubscriptionAnswer(Shape):
    subscription: LagoSubscriptionShape


def shown(found: Mapping[str, Any], shape: type[Shape]) -> dict[str, Any]:
    """Return what the shape promises of an answer of the Python API, which may have more of Lago's fields."""
    return {field.name: found.get(field.name) for field in fields(shape)}

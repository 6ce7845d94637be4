"""How the usage API shows what the ledger did. Credits are strings; times are RFC 3339 in UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from rest_framework.response import Response

from credits import amounts
from credits.ledger.commands import Outcome, Payer, Quota, Settled
from credits.ledger.records import Usage
from credits.models import Hold, UsageRecord
from kit.errors import DomainError
from kit.rest import errors
from kit.rest.schema import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldShape(Shape):
    id: str
    status: Annotated[str, "active, captured, released or expired"]
    credits: str
    expires_at: datetime
    created_at: datetime
    transaction_id: str
    service: str
    provider: str
    model: str
    byok: bool
    price: Annotated[dict[str, Any], "how the estimate came about"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeShape(Shape):
    id: str
    credits: Annotated[str, "what the payer gave"]
    cost: Annotated[str, "credits + shortfall"]
    shortfall: Annotated[str, "owed by the organization"]
    late: bool
    unpriced: bool
    byok: bool
    after_the_fact: bool
    transaction_id: str
    hold_id: str | None
    service: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    price: Annotated[dict[str, Any], "how the cost came about"]
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerShape(Shape):
    kind: Annotated[str, "allocation or pool"]
    org_id: str
    remaining: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPeriodShape(Shape):
    limit: int
    used: int
    resets_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaShape(Shape):
    """The periods in which the plan has a limit; null where it has none."""

    day: QuotaPeriodShape | None = None
    month: QuotaPeriodShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAnswer(Shape):
    hold: HoldShape
    payer: Annotated[PayerShape | None, "null for a zero-credit request"]
    quota: QuotaShape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeAnswer(Shape):
    charge: ChargeShape
    payer: PayerShape | None
    quota: QuotaShape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalShape(Shape):
    id: str
    charge_id: str
    credits: Annotated[str, "what was given back"]
    shortfall: Annotated[str, "what is no longer owed"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalAnswer(Shape):
    reversal: ReversalShape
    payer: Annotated[
        PayerShape | None, "who paid the charge, with what it has left now; null for one that was free"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult(Shape):
    transaction_id: str | None
    status: Annotated[str, "charged, duplicate or refused"]
    charge: ChargeShape | None = None
    payer: Annotated[PayerShape | None, "of a charge that was not free"] = None
    error: Annotated[dict[str, Any] | None, "code, message, details"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer(Shape):
    results: Annotated[list[BatchResult], "in the order sent"]
    charged: int
    duplicates: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer(Shape):
    allowed: bool
    needed: str
    payer: PayerShape | None
    quota: QuotaShape | None
    error: Annotated[dict[str, Any] | None, "why it is not allowed: code, message, details"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateAnswer(Shape):
    credits: str
    price: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectAnswer(Shape):
    active: bool
    kind: str | None = None
    org_id: str | None = None
    user_id: str | None = None
    department_id: str | None = None
    scopes: tuple[str, ...] = ()
    rate_limit: int | None = None


_REMAINING: Final = "X-Credits-Remaining"


def respond(outcome: Outcome, *, created: int = 200) -> Response:
    """Return the answer to a settled command: `created`, or 200 for a repeat; raises the DomainError of a refusal."""
    if isinstance(outcome, DomainError):
        raise outcome
    response = Response(settled(outcome), status=200 if outcome.replayed else created)
    if outcome.replayed:
        response["Idempotent-Replayed"] = "true"
    return with_remaining(response, outcome.payer)


def with_remaining(response: Response, who: Payer | None) -> Response:
    """Add the header that says what the payer has left."""
    if who is not None:
        response[_REMAINING] = amounts.text(who.remaining)
    return response


def settled(outcome: Settled) -> dict[str, Any]:
    """Return what was done, who paid, and the quota."""
    answer: dict[str, Any] = {}
    if outcome.charge is not None:
        answer["charge"] = charge(outcome.charge)
    elif outcome.hold is not None:
        answer["hold"] = hold(outcome.hold)
    return answer | {"payer": payer(outcome.payer), "quota": quota(outcome.quota)}


def batch_result(transaction_id: str | None, outcome: Outcome) -> dict[str, Any]:
    """Return one line of a batch."""
    if isinstance(outcome, DomainError):
        refusal = error(outcome)
        if outcome.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            refusal |= {"message": errors.BROKEN, "details": {"request_id": errors.logged(outcome)}}
        return {"transaction_id": transaction_id, "status": "refused", "error": refusal}
    assert outcome.charge is not None  # noqa: S101 - a batch only charges
    status = "duplicate" if outcome.replayed else "charged"
    return {
        "transaction_id": transaction_id,
        "status": status,
        "charge": charge(outcome.charge),
        "payer": payer(outcome.payer),
    }


def hold(row: Hold) -> dict[str, Any]:
    """Return a hold."""
    return {
        "id": str(row.pk),
        "status": row.status,
        "credits": amounts.text(row.credits),
        "expires_at": instant(row.expires_at),
        "created_at": instant(row.created_at),
        "transaction_id": row.transaction_id,
        "service": row.service,
        "provider": row.provider,
        "model": row.model,
        "byok": row.byok,
        "price": row.price,
    }


def charge(row: Usage | UsageRecord) -> dict[str, Any]:
    """Return a charge."""
    return {
        "id": str(row.id),
        "credits": amounts.text(row.credits),
        "cost": amounts.text(row.cost),
        "shortfall": amounts.text(row.shortfall),
        "late": row.late,
        "unpriced": row.unpriced,
        "byok": row.byok,
        "after_the_fact": row.after_the_fact,
        "transaction_id": row.transaction_id,
        "hold_id": str(row.hold_id) if row.hold_id else None,
        "service": row.service,
        "provider": row.provider,
        "model": row.model,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cached_input_tokens": row.cached_input_tokens,
        "price": row.price,
        "occurred_at": instant(row.occurred_at),
    }


def reversal(row: Usage | UsageRecord) -> dict[str, Any]:
    """Return a reversal."""
    return {
        "id": str(row.id),
        "charge_id": str(row.corrects),
        "credits": amounts.text(row.credits),
        "shortfall": amounts.text(row.shortfall),
        "reason": row.reason,
    }


def payer(row: Payer | None) -> dict[str, Any] | None:
    """Return who pays; null where nobody had to."""
    if row is None:
        return None
    return {"kind": row.kind, "org_id": row.organization, "remaining": amounts.text(row.remaining)}


def quota(periods: dict[str, Quota] | None) -> dict[str, Any] | None:
    """Return the quota by period; null for a plan without one."""
    if periods is None:
        return None
    return {
        name: {"limit": one.limit, "used": one.used, "resets_at": instant(one.resets_at)}
        for name, one in periods.items()
    }


def error(refusal: DomainError) -> dict[str, Any]:
    """Return the inside of the one error shape."""
    return {"code": refusal.code, "message": refusal.message, "details": refusal.details}


def instant(at: datetime) -> str:
    """Return a time as RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")

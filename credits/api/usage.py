"""The hot path: what gateways call before and after each request (contract.md §4.2). One domain call a view."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits.api import answers, requests, spenders, ways_out
from credits.api.fields import Body
from credits.api.requests import UsageRequest
from credits.ledger import charging, combining
from credits.ledger.commands import (
    CaptureHold,
    Command,
    MakeCharge,
    Outcome,
    PlaceHold,
    ReleaseHold,
    Settled,
    Spend,
)
from credits.ledger.keys import IdempotencyConflict
from credits.ledger.standing import NotAMember
from kit.errors import DomainError, NotFound, ValidationError
from kit.rest.negotiation import OnlyJSON
from kit.rest.parsing import body_of
from kit.rest.schema import operation
from orgs.access import keys, permissions
from orgs.access.callers import SESSION, Caller
from orgs.models import AccessKey

_BATCH_BYTES: Final = 8 * 1024 * 1024
_PERSONS: Final = frozenset({SESSION, AccessKey.Kind.PERSONAL})
_REFUSALS: Final = (400, 402, 403, 404, 409, 413, 415, 422, 429, 503)


class UsageView(APIView):
    """A view of the hot path: keys come from this process's memory, so it must end in a read after the lock."""

    required_scopes = AccessKey.Scope.USAGE_WRITE
    content_negotiation_class = OnlyJSON

    def find_key(self, text: str) -> AccessKey | None:
        return keys.find_cached(text)


class EndingView(UsageView):
    """A view of the hot path that ends a hold: a key that was revoked since it placed it still may."""

    def find_key(self, text: str) -> AccessKey | None:
        return keys.find_cached(text) or keys.find_any(text)


class Holds(UsageView):
    @operation(
        summary="Reserve credits for a request",
        request=requests.HoldRequest,
        answers={201: answers.HoldAnswer, 200: answers.HoldAnswer},
        errors=_REFUSALS,
        curl='curl -X POST $URL/api/v1/usage/holds -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        '-d \'{"transaction_id": "req-1", "model": "gpt-4o", "input_tokens": 1200, "max_output_tokens": 400, "service": "llm"}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        asked = UsageRequest.parse(body_of(request), shape=requests.HoldRequest)
        return answers.respond(submit(caller, hold_command(request, caller, asked)), created=201)


class Capture(EndingView):
    @operation(
        summary="Take what the request really cost",
        request=requests.CaptureRequest,
        answers={200: answers.ChargeAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/usage/holds/$HOLD/capture -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"input_tokens": 1200, "output_tokens": 310}\'',
        tag="usage",
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        caller = permissions.caller_of(request)
        cost = requests.parse_capture(body_of(request))
        reach, organization_id = spenders.reach_of(caller)
        command = CaptureHold(
            hold_id=hold_id,
            spender=spenders.spender_of(caller, None),
            reach=reach,
            organization_id=organization_id,
            cost=cost,
        )
        return answers.respond(submit(caller, command))


class Release(EndingView):
    @operation(
        summary="Give back what is held",
        answers={200: answers.HoldAnswer},
        errors=(403, 404, 409, 503),
        curl='curl -X POST $URL/api/v1/usage/holds/$HOLD/release -H "Authorization: Bearer $KEY"',
        tag="usage",
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        caller = permissions.caller_of(request)
        reach, organization_id = spenders.reach_of(caller)
        command = ReleaseHold(
            hold_id=hold_id,
            spender=spenders.spender_of(caller, None),
            reach=reach,
            organization_id=organization_id,
        )
        return answers.respond(submit(caller, command))


class Charges(UsageView):
    @operation(
        summary="Charge a request: hold and capture in one",
        request=requests.ChargeRequest,
        answers={201: answers.ChargeAnswer, 200: answers.ChargeAnswer},
        errors=_REFUSALS,
        curl='curl -X POST $URL/api/v1/usage/charges -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        '-d \'{"transaction_id": "req-2", "credits": "0.5", "service": "llm"}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        asked = UsageRequest.parse(body_of(request), shape=requests.ChargeRequest)
        return answers.respond(submit(caller, charge_command(request, caller, asked)), created=201)


class ChargeBatch(UsageView):
    body_limit = _BATCH_BYTES

    @operation(
        summary="Charge up to 1,000 requests, each with its own outcome",
        request=requests.BatchRequest,
        answers={200: answers.BatchAnswer},
        errors=(400, 403, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/usage/charges/batch -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"charges": [{"transaction_id": "req-3", "credits": "0.5", "service": "llm"}]}\'',
        tag="usage",
    )
    def post(self, request: Request) -> Response:
        caller = permissions.caller_of(request)
        items = _items(body_of(request))
        parsed = [_parsed(request, caller, item) for item in items]
        commands = [one for one in parsed if not isinstance(one, DomainError)]
        outcomes = iter(charging.settle(commands))
        decided = [
            one if isinstance(one, DomainError) else hidden(caller, one, next(outcomes)) for one in parsed
        ]
        results = [answers.batch_result(_named(item), one) for item, one in zip(items, decided, strict=True)]
        counts = [result["status"] for result in results]
        response = Response(
            {
                "results": results,
                "charged": counts.count("charged"),
                "duplicates": counts.count("duplicate"),
                "refused": counts.count("refused"),
            }
        )
        paid = [one.payer for one in decided if isinstance(one, Settled) and one.payer is not None]
        return answers.with_remaining(response, paid[-1] if paid else None)


def submit(caller: Caller, command: Command) -> Outcome:
    """Settle a command with whatever else this process has waiting."""
    return hidden(caller, command, combining.submit(command))


def hold_command(request: Request, caller: Caller, asked: UsageRequest) -> PlaceHold:
    """Return the command of a hold request."""
    spenders.require_believed(caller, byok=asked.byok, after_the_fact=False)
    return PlaceHold(
        organization_id=spenders.organization_of(request, caller, asked.org_id, may_follow_active=True),
        spender=spenders.spender_of(caller, asked.user_id),
        transaction_id=asked.transaction_id,
        cost=asked.cost,
        service=asked.service,
        provider=asked.provider,
        byok=asked.byok,
        metadata=asked.metadata,
        ttl_seconds=asked.ttl_seconds,
    )


def charge_command(request: Request, caller: Caller, asked: UsageRequest) -> MakeCharge:
    """Return the command of a charge request."""
    spenders.require_believed(caller, byok=asked.byok, after_the_fact=asked.after_the_fact)
    _check_occurred(asked)
    return MakeCharge(
        organization_id=spenders.organization_of(request, caller, asked.org_id, may_follow_active=False),
        spender=spenders.spender_of(caller, asked.user_id),
        transaction_id=asked.transaction_id,
        cost=asked.cost,
        service=asked.service,
        provider=asked.provider,
        byok=asked.byok,
        metadata=asked.metadata,
        after_the_fact=asked.after_the_fact,
        occurred_at=asked.occurred_at,
    )


def _check_occurred(asked: UsageRequest) -> None:
    """Raise ValidationError for a time that goes with nothing; how long ago it may be is the ledger's to judge."""
    if asked.occurred_at is not None and not asked.after_the_fact:
        raise ValidationError(occurred_at="goes with after_the_fact")


def _items(data: Mapping[str, Any]) -> list[Any]:
    """Return the charges of a batch; raises ValidationError where the list itself is wrong."""
    body = Body(data, allowed=frozenset({"charges"}))
    items = data.get("charges")
    if not isinstance(items, list) or not 1 <= len(items) <= requests.MOST_CHARGES:
        body.wrong["charges"] = f"must be a list of 1 to {requests.MOST_CHARGES} charges"
    body.done()
    return items if isinstance(items, list) else []


def _parsed(request: Request, caller: Caller, item: object) -> MakeCharge | DomainError:
    """Return the command of one item, or why it is refused: one bad item refuses no other."""
    if not isinstance(item, dict):
        return ValidationError(charge="must be an object")
    try:
        return charge_command(request, caller, UsageRequest.parse(item, shape=requests.ChargeRequest))
    except DomainError as refusal:
        return refusal


def _named(item: object) -> str | None:
    named = item.get("transaction_id") if isinstance(item, dict) else None
    return named if isinstance(named, str) else None


def hidden(caller: Caller, command: Command, outcome: Outcome) -> Outcome:
    """Return the outcome, its refusal as the caller may know it."""
    return refusal_for(caller, command, outcome) if isinstance(outcome, DomainError) else outcome


def refusal_for(caller: Caller, command: Command, refusal: DomainError) -> DomainError:
    """Return «not found» for an organization or member that the caller may not know of; else the refusal, with a way out."""
    if isinstance(refusal, NotAMember) and caller.kind in _PERSONS:
        return NotFound("There is no such organization.")
    if isinstance(refusal, NotAMember) and caller.kind == AccessKey.Kind.ORGANIZATION:
        return NotFound("There is no such user.")
    if isinstance(refusal, IdempotencyConflict) and caller.kind in _PERSONS and isinstance(command, Spend):
        visible = permissions.visible_organizations(caller)
        if not visible.filter(pk=command.organization_id).exists():
            return NotFound("There is no such organization.")
    return ways_out.named(refusal, command)

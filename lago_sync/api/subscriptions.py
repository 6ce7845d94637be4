"""Subscriptions (contract.md §4.1): starting one, showing it, previewing and making a change of plan, ending it."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits.api.shapes import pool_for
from kit.errors import Conflict, NotFound, ValidationError
from kit.rest.parsing import body_of
from kit.rest.schema import operation
from lago_sync.api import shapes
from lago_sync.models import PlanChange
from lago_sync.subscriptions import changing, plans, prices
from orgs import subscriptions
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

_PATH: Final = "/api/v1/org-billing/subscriptions"
_KEY: Final = '-H "Authorization: Bearer $KEY"'


class Subscriptions(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Subscribe an organization to a plan",
        request=shapes.SubscribeRequest,
        answers={201: shapes.SubscribeAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        curl=f'curl -X POST $URL{_PATH} {_KEY} -H "Content-Type: application/json" '
        '-d \'{"org_id": "\'$NEW_ORG\'", "plan_code": "starter"}\'',
        tag="subscriptions",
    )
    def post(self, request: Request) -> Response:
        """Subscribe at Lago, then remember the answer under the key.

        A key is claimed in the transaction of its effect, and none may be open while Lago is asked. So the answer is
        looked for first and written last: in between, two requests with one key both ask, and Lago takes them for one.
        Of a request that dies before its answer is written, a repeat gets 409 `subscription_exists`.
        """
        asked = shapes.SubscribeRequest.read(body_of(request))
        organization = permissions.organization_of(request, None, asked.org_id)
        permissions.require(request, organization, Capability.BUY)
        known = idempotency.remembered(request)
        if known is not None:
            return known
        try:
            plans.subscribe(
                organization=organization,
                plan_code=asked.plan_code,
                billing_time=asked.billing_time,
                by=permissions.caller_of(request).actor,
                now=timezone.now(),
            )
        except plans.SubscriptionExists:
            twin = idempotency.remembered(request)  # with our key, and faster
            if twin is None:
                raise
            return twin
        return idempotency.once(request, lambda: (201, _started(request, organization)))


class SubscriptionDetail(APIView):
    required_scopes: ClassVar = {
        "GET": AccessKey.Scope.BILLING_READ,
        "DELETE": AccessKey.Scope.BILLING_WRITE,
    }

    @operation(
        summary="Show the subscription of an organization",
        answers={200: shapes.SubscriptionShape},
        errors=(400, 403, 404),
        curl=f"curl $URL{_PATH}/$ORG {_KEY}",
        tag="subscriptions",
    )
    def get(self, request: Request, org_id: str) -> Response:
        return Response(_shown(permissions.organization_of(request, org_id)))

    @operation(
        summary="Cancel the subscription at the end of its period",
        answers={200: shapes.SubscriptionShape},
        errors=(400, 403, 404, 409, 502, 503),
        curl=f"curl -X DELETE $URL{_PATH}/$LEAVING {_KEY}",
        tag="subscriptions",
    )
    def delete(self, request: Request, org_id: str) -> Response:
        """End it with its period, before a renewal is billed; it can be taken back until then."""
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        by, now = permissions.caller_of(request).actor, timezone.now()
        return _once(
            request,
            lambda: changing.cancel(organization=organization, by=by, now=now),
            lambda: _shown(organization),
        )


class ChangePlan(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Change the plan of an organization",
        request=shapes.ChangePlanRequest,
        answers={200: shapes.ChangePlanAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        curl=f'curl -X PUT $URL{_PATH}/$SUBSCRIBED/upgrade {_KEY} -H "Content-Type: application/json" '
        '-d \'{"plan_code": "professional"}\'',
        tag="subscriptions",
    )
    def put(self, request: Request, org_id: str) -> Response:
        """Change now to a plan that costs as much a year or more, and at the period's end to any other.

        502 says that the change is recorded and carried on by itself; the same request again finds what became of it.
        """
        asked = shapes.ChangePlanRequest.read(body_of(request))
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        by, now = permissions.caller_of(request).actor, timezone.now()
        made: list[PlanChange] = []
        return _once(
            request,
            lambda: made.append(
                changing.change_plan(organization=organization, plan_code=asked.plan_code, by=by, now=now)
            ),
            lambda: {"subscription": _shown(organization), "price_change": made[0].price_change},
        )


class PreviewPlan(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Preview what a change of plan costs",
        answers={200: shapes.PriceChangeShape},
        errors=(400, 403, 404, 409, 422, 502),
        parameters=(OpenApiParameter("plan_code", str, required=True, description="the plan to change to"),),
        curl=f'curl "$URL{_PATH}/$SUBSCRIBED/preview?plan_code=professional" {_KEY}',
        tag="subscriptions",
    )
    def get(self, request: Request, org_id: str) -> Response:
        """Return what would be invoiced, to the minor unit; without a subscription, what subscribing costs."""
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        plan_code = request.query_params.get("plan_code", "")
        if not plan_code:
            raise ValidationError(plan_code="This is needed.")
        price = prices.preview(organization=organization, plan_code=plan_code, now=timezone.now())
        return Response(price.shown())


class TakeBack(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Take back a planned downgrade or cancellation",
        answers={200: shapes.SubscriptionShape},
        errors=(400, 403, 404, 409, 502, 503),
        curl=f"curl -X DELETE $URL{_PATH}/$ENDING/pending {_KEY}",
        tag="subscriptions",
    )
    def delete(self, request: Request, org_id: str) -> Response:
        """Let the subscription go on as it is; 404 where nothing is planned."""
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        by, now = permissions.caller_of(request).actor, timezone.now()
        return _once(
            request,
            lambda: changing.take_back(organization=organization, by=by, now=now),
            lambda: _shown(organization),
        )


def _once(request: Request, act: Callable[[], object], answer: Callable[[], dict[str, Any]]) -> Response:
    """Act, then remember the answer under the key, as subscribing does; a faster twin's answer is given again."""
    known = idempotency.remembered(request)
    if known is not None:
        return known
    try:
        act()
    except Conflict:
        twin = idempotency.remembered(request)
        if twin is None:
            raise
        return twin
    return idempotency.once(request, lambda: (200, answer()))


def _started(request: Request, organization: Organization) -> dict[str, Any]:
    return {"subscription": _shown(organization), "credit_pool": pool_for(request, organization)}


def _shown(organization: Organization) -> dict[str, Any]:
    fact = subscriptions.live(organization=organization)
    if fact is None:
        raise NotFound("The organization has no subscription.")
    return shapes.subscription(fact, plans.live(organization=organization))

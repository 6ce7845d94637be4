"""Subscriptions (contract.md §4.1): starting one, and showing it."""

from typing import Any, Final, NoReturn

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits.api.shapes import pool_for
from kit.errors import NotFound
from kit.rest.parsing import body_of
from kit.rest.schema import operation
from lago_sync.api import shapes
from lago_sync.subscriptions import plans
from orgs import subscriptions
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

_PATH: Final = "/api/v1/org-billing/subscriptions"
_KEY: Final = '-H "Authorization: Bearer $KEY"'


class _NotRemembered(Exception):
    """The Idempotency-Key has no answer yet; undoes its claim."""


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
        known = _remembered(request)
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
            twin = _remembered(request)  # with our key, and faster
            if twin is None:
                raise
            return twin
        return idempotency.once(request, lambda: (201, _started(request, organization)))


class SubscriptionDetail(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Show the subscription of an organization",
        answers={200: shapes.SubscriptionShape},
        errors=(400, 403, 404),
        curl=f"curl $URL{_PATH}/$ORG {_KEY}",
        tag="subscriptions",
    )
    def get(self, request: Request, org_id: str) -> Response:
        return Response(_shown(permissions.organization_of(request, org_id)))


def _remembered(request: Request) -> Response | None:
    """Return the answer to an earlier request with this key, None without one."""
    if "Idempotency-Key" not in request.headers:
        return None
    try:
        return idempotency.once(request, _give_back)
    except _NotRemembered:
        return None


def _give_back() -> NoReturn:
    raise _NotRemembered


def _started(request: Request, organization: Organization) -> dict[str, Any]:
    return {"subscription": _shown(organization), "credit_pool": pool_for(request, organization)}


def _shown(organization: Organization) -> dict[str, Any]:
    fact = subscriptions.live(organization=organization)
    if fact is None:
        raise NotFound("The organization has no subscription.")
    return shapes.subscription(fact, plans.live(organization=organization))

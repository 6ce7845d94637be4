"""Buying credits (contract.md §4.1): ordering them, what became of it, and what is offered."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import grants
from kit import transactions
from kit.errors import InvalidRequest, NotFound, PermissionDenied
from kit.rest import lists
from kit.rest.fields import Fields
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from lago_sync import tasks
from lago_sync.api import shapes
from lago_sync.purchases import abandoning, orders, packages
from lago_sync.purchases.orders import Order
from orgs import organizations
from orgs.access import capabilities, idempotency, permissions
from orgs.access.callers import SESSION, Caller
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

_CREDITS: Final = "/api/v1/org-billing/credits/$ORG"
_KEY: Final = '-H "Authorization: Bearer $KEY"'


class AddCredits(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Buy credits: a package, or a number of them",
        request=shapes.AddCreditsRequest,
        answers={201: shapes.GrantAnswer, 202: shapes.AddCreditsAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        parameters=(shapes.IDEMPOTENCY_KEY,),
        curl=f'curl -X POST $URL{_CREDITS}/add {_KEY} -H "Content-Type: application/json" '
        '-H "Idempotency-Key: order-1" -d \'{"package_code": "credits-5000"}\'',
        tag="purchases",
    )
    def post(self, request: Request, org_id: str) -> Response:
        body = body_of(request)
        if body.get("grant") not in (None, False):
            return _grant(request, permissions.organization_of(request, org_id), body)
        return _buy(request, permissions.organization_for(request, org_id, Capability.BUY), _order(body))


class Purchases(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="List purchases of credits",
        answers={200: list_of(shapes.PurchaseShape)},
        errors=(400, 403, 404, 422),
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl $URL{_CREDITS}/purchases {_KEY}",
        tag="purchases",
    )
    def get(self, request: Request, org_id: str) -> Response:
        rows = orders.of_organization(
            organization=permissions.organization_for(request, org_id, Capability.BUY)
        )
        return Response(lists.paged(request, rows.prefetch_related("refunds"), shapes.purchase))


class PurchaseDetail(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="Show a purchase of credits",
        answers={200: shapes.PurchaseShape},
        errors=(400, 403, 404),
        curl=f"curl $URL{_CREDITS}/purchases/$PURCHASE {_KEY}",
        tag="purchases",
    )
    def get(self, request: Request, org_id: str, purchase_id: UUID) -> Response:
        found = orders.find(
            organization=permissions.organization_for(request, org_id, Capability.BUY),
            purchase_id=purchase_id,
        )
        if found is None:
            raise NotFound("There is no such purchase.")
        return Response(shapes.purchase(found))


class AbandonPurchase(APIView):
    required_scopes = AccessKey.Scope.BILLING_WRITE

    @operation(
        summary="Give an order up that is not paid",
        answers={202: shapes.PurchaseShape},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl=f"curl -X POST $URL{_CREDITS}/purchases/$PURCHASE/abandon {_KEY}",
        tag="purchases",
    )
    def post(self, request: Request, org_id: str, purchase_id: UUID) -> Response:
        found = orders.find(
            organization=permissions.organization_for(request, org_id, Capability.BUY),
            purchase_id=purchase_id,
        )
        if found is None:
            raise NotFound("There is no such purchase.")
        by = permissions.caller_of(request).actor

        def give_up() -> tuple[int, dict[str, Any]]:
            given_up = abandoning.give_up(purchase=found, by=by, now=timezone.now())
            transaction.on_commit(lambda: tasks.enqueue_advance(found.pk))
            return 202, shapes.purchase(given_up)

        return idempotency.once(request, give_up)


class Packages(APIView):
    @operation(
        summary="List the packages that the organization can buy, in its currency",
        answers={200: list_of(shapes.PackageShape)},
        errors=(400, 403, 404, 422),
        parameters=(shapes.X_ORGANIZATION, *lists.PAGE_PARAMETERS),
        curl=f'curl $URL/api/v1/org-billing/packages {_KEY} -H "X-Organization: $ORG"',
        tag="purchases",
    )
    def get(self, request: Request) -> Response:
        page = lists.page_of(request)
        offered = packages.offered(currency=_whose(request).currency)
        shown = [shapes.package(one) for one in offered[page.offset : page.offset + page.limit]]
        return Response(lists.answer(shown, page=page, total=len(offered)))


def _whose(request: Request) -> Organization:
    """Return the organization that is named or bound to the key, else the one that a person's requests are for."""
    caller = permissions.caller_of(request)
    is_named = "X-Organization" in request.headers or caller.organization_id is not None
    if caller.user is None or is_named:
        return permissions.organization_of(request)
    return organizations.active_for(user=caller.user)


def _buy(request: Request, organization: Organization, order: Order) -> Response:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise InvalidRequest("A purchase needs an Idempotency-Key.")
    with transactions.durable():
        purchase, is_new = orders.place(
            organization=organization,
            order=order,
            idempotency_key=key,
            by=permissions.caller_of(request).actor,
            now=timezone.now(),
        )
        transaction.on_commit(lambda: tasks.enqueue_advance(purchase.pk))
    return Response(
        {"purchase": shapes.ordered(purchase)},
        status=202,
        headers=None if is_new else {"Idempotent-Replayed": "true"},
    )


def _grant(request: Request, organization: Organization, given: Mapping[str, Any]) -> Response:
    """Grant credits for nothing, or propose it; raises PermissionDenied (403) for who is no system admin."""
    caller = permissions.caller_of(request)
    if not _is_system_admin(caller):
        raise PermissionDenied("Only system admins grant credits.")
    with Fields(given) as body:
        body.flag("grant")
        credits, reason = _amount(body), body.line("reason", longest=500).strip()
        if not credits:
            body.wrong.setdefault("credits", "A number above 0 is needed.")
        if not reason:
            body.wrong.setdefault("reason", "This is needed.")

    def give() -> tuple[int, dict[str, Any]]:
        status, grant = grants.give(
            organization=organization, credits=credits or amounts.ZERO, reason=reason, by=caller.actor
        )
        return status, {"grant": grant}

    return idempotency.once(request, give)


def _is_system_admin(caller: Caller) -> bool:
    """Tell whether a system admin calls, in a browser, or a platform key; no other key lends that power out."""
    if caller.kind == SESSION and caller.user is not None:
        return capabilities.is_system_admin(caller.user)
    return caller.kind == AccessKey.Kind.PLATFORM


def _order(given: Mapping[str, Any]) -> Order:
    with Fields(given) as body:
        body.flag("grant")
        package_code = body.line("package_code", longest=64) or None
        return_url = body.line("return_url", longest=500)
        credits = _amount(body)
    return Order(package_code=package_code, credits=credits, return_url=return_url)


def _amount(body: Fields) -> Decimal | None:
    if not body.has("credits"):
        return None
    try:
        return amounts.parse(body.given["credits"])
    except ValueError as error:
        body.wrong["credits"] = str(error)
        return None

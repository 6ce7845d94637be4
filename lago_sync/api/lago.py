"""`/api/v1/lago` (contract.md §4.3): the paths of the neosaas integration over the portal's own verbs.

An organization's public id is Lago's id of the customer. Nothing here makes credits: a wallet is topped up by a purchase,
which grants once Lago was paid. `/api/lago` answers the same (`billing_portal.api`).
"""

from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.reports import figures
from kit import transactions
from kit.errors import InvalidRequest, NotFound, ValidationError
from kit.identifiers import uuid7
from kit.rest.parsing import body_of
from kit.rest.schema import operation
from lago_sync import functions, money, tasks
from lago_sync.api import lago_shapes as shapes
from lago_sync.api.shapes import IDEMPOTENCY_KEY, ordered
from lago_sync.models import LagoCustomer, LagoSubscription
from lago_sync.purchases import orders
from lago_sync.purchases.orders import Order
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

_READ, _WRITE = AccessKey.Scope.BILLING_READ, AccessKey.Scope.BILLING_WRITE
_PATH: Final = "/api/v1/lago"
_KEY: Final = '-H "Authorization: Bearer $KEY"'
_JSON: Final = '-H "Content-Type: application/json"'
_OURS: Final = "sub_"
_CUSTOMER: Final = OpenApiParameter(
    "external_customer_id", str, required=True, description="public id of the organization"
)


class LagoCustomers(APIView):
    required_scopes = {"GET": _READ, "POST": _WRITE}

    @operation(
        summary="Show the Lago customer of an organization",
        answers={200: shapes.LagoCustomerAnswer},
        errors=(400, 403, 404),
        parameters=(
            OpenApiParameter("external_id", str, required=True, description="public id of the organization"),
        ),
        curl=f'curl "$URL{_PATH}/customers?external_id=$SUBSCRIBED" {_KEY}',
        tag="lago",
    )
    def get(self, request: Request) -> Response:
        found = functions.get_customer(
            permissions.organization_for(request, _asked(request, "external_id"), Capability.BUY).public_id
        )
        if found is None:
            raise NotFound("The organization is not at Lago yet.")
        return Response({"customer": shapes.shown(found, shapes.LagoCustomerShape)})

    @operation(
        summary="Make the Lago customer of an organization, or change it",
        request=shapes.LagoCustomerRequest,
        answers={200: shapes.LagoCustomerAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        curl=f"curl -X POST $URL{_PATH}/customers {_KEY} {_JSON} -d '{{\"external_id\": \"'$ORG'\"}}'",
        tag="lago",
    )
    def post(self, request: Request) -> Response:
        asked = shapes.LagoCustomerRequest.read(body_of(request))
        organization = permissions.organization_for(request, asked.external_id, Capability.BUY)
        name, email = asked.name or organization.name, asked.email or organization.billing_email
        if (name, email) != (organization.name, organization.billing_email):
            permissions.require(request, organization, Capability.ADMINISTER)
        made = functions.create_org_customer(organization.public_id, name, email)
        return Response({"customer": shapes.shown(made, shapes.LagoCustomerShape)})


class LagoWallets(APIView):
    required_scopes = {"GET": _READ, "POST": _WRITE, "PATCH": _WRITE}

    @operation(
        summary="Show what an organization has available as a wallet",
        answers={200: shapes.LagoWalletAnswer},
        errors=(400, 403, 404),
        parameters=(_CUSTOMER,),
        curl=f'curl "$URL{_PATH}/wallets?external_customer_id=$ORG" {_KEY}',
        tag="lago",
    )
    def get(self, request: Request) -> Response:
        organization = permissions.organization_for(
            request, _asked(request, "external_customer_id"), Capability.BUY
        )
        return Response({"wallet": _wallet(organization)})

    @operation(
        summary="Buy credits for a wallet",
        request=shapes.LagoWalletRequest,
        answers={202: shapes.LagoTopUpAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        parameters=(IDEMPOTENCY_KEY,),
        curl=f'curl -X POST $URL{_PATH}/wallets {_KEY} {_JSON} -H "Idempotency-Key: wallet-1" '
        '-d \'{"external_customer_id": "\'$ORG\'", "paid_credits": "100.00"}\'',
        tag="lago",
    )
    def post(self, request: Request) -> Response:
        return _bought(request)

    @operation(
        summary="Top a wallet up by buying credits",
        request=shapes.LagoWalletRequest,
        answers={202: shapes.LagoTopUpAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        parameters=(IDEMPOTENCY_KEY,),
        curl=f'curl -X PATCH $URL{_PATH}/wallets {_KEY} {_JSON} -H "Idempotency-Key: wallet-2" '
        '-d \'{"external_customer_id": "\'$ORG\'", "paid_credits": "50.00"}\'',
        tag="lago",
    )
    def patch(self, request: Request) -> Response:
        return _bought(request)


class LagoUsage(APIView):
    required_scopes = {"GET": _READ, "POST": AccessKey.Scope.USAGE_WRITE}

    @operation(
        summary="Show the usage of a subscription's present period",
        answers={200: shapes.LagoUsageAnswer},
        errors=(400, 403, 404),
        parameters=(
            OpenApiParameter(
                "external_subscription_id", str, required=True, description="as `/subscriptions` shows it"
            ),
        ),
        curl=f'curl "$URL{_PATH}/usage?external_subscription_id=sub_$SUBSCRIBED" {_KEY}',
        tag="lago",
    )
    def get(self, request: Request) -> Response:
        public_id = _owner_of(_asked(request, "external_subscription_id"))
        organization = permissions.organization_of(request, public_id)
        permissions.require(request, organization, Capability.SEE_FIGURES)
        usage = functions.get_current_usage(organization.public_id)
        if usage is None:
            raise NotFound("The organization has no subscription.")
        charges = [one | {"units": f"{one['units']:f}"} for one in usage["charges_usage"]]
        return Response({"usage": shapes.shown(usage | {"charges_usage": charges}, shapes.LagoUsageShape)})

    @operation(
        summary="Record an event of an organization's usage",
        request=shapes.LagoEventRequest,
        answers={202: shapes.LagoEventAnswer},
        errors=(400, 403, 404, 413, 415, 422, 503),
        curl=f"curl -X POST $URL{_PATH}/usage {_KEY} {_JSON} "
        '-d \'{"external_customer_id": "\'$ORG\'", "code": "api_call", "properties": {"endpoint": "/v1/chat"}}\'',
        tag="lago",
    )
    def post(self, request: Request) -> Response:
        asked = shapes.LagoEventRequest.read(body_of(request))
        organization = permissions.organization_of(request, None, asked.external_customer_id or None)
        transaction_id = asked.transaction_id or f"call_{uuid7().hex}"
        user = permissions.caller_of(request).user
        own = (
            {"user_id": user.public_id} if user is not None else {}
        )  # who is somebody speaks for nobody else
        with transactions.durable():
            functions.record_usage(organization.public_id, asked.code, transaction_id, asked.properties | own)
        event = {
            "transaction_id": transaction_id,
            "external_customer_id": organization.public_id,
            "code": asked.code,
        }
        return Response({"event": event}, status=202)


class LagoInvoices(APIView):
    required_scopes = _READ

    @operation(
        summary="List the newest invoices of a Lago customer",
        answers={200: shapes.LagoInvoicesAnswer},
        errors=(400, 403, 404, 422),
        parameters=(_CUSTOMER, OpenApiParameter("limit", int, description="1 to 100, 10 without it")),
        curl=f'curl "$URL{_PATH}/invoices?external_customer_id=$SUBSCRIBED&limit=5" {_KEY}',
        tag="lago",
    )
    def get(self, request: Request) -> Response:
        organization = permissions.organization_for(
            request, _asked(request, "external_customer_id"), Capability.BUY
        )
        found = functions.get_invoices(organization.public_id, _limit(request))
        return Response({"invoices": [shapes.shown(one, shapes.LagoInvoiceShape) for one in found]})


class LagoSubscriptions(APIView):
    required_scopes = {"GET": _READ, "POST": _WRITE}

    @operation(
        summary="Show the Lago subscription of a customer",
        answers={200: shapes.LagoSubscriptionAnswer},
        errors=(400, 403, 404),
        parameters=(_CUSTOMER,),
        curl=f'curl "$URL{_PATH}/subscriptions?external_customer_id=$SUBSCRIBED" {_KEY}',
        tag="lago",
    )
    def get(self, request: Request) -> Response:
        organization = permissions.organization_of(request, _asked(request, "external_customer_id"))
        found = functions.get_subscription(organization.public_id)
        if found is None:
            raise NotFound("The organization has no subscription.")
        return Response({"subscription": shapes.shown(found, shapes.LagoSubscriptionShape)})

    @operation(
        summary="Start the Lago subscription of a customer",
        request=shapes.LagoSubscribeRequest,
        answers={201: shapes.LagoSubscriptionAnswer},
        errors=(400, 403, 404, 409, 413, 415, 422, 502, 503),
        curl=f"curl -X POST $URL{_PATH}/subscriptions {_KEY} {_JSON} "
        '-d \'{"external_customer_id": "\'$NEW_ORG\'", "plan_code": "starter"}\'',
        tag="lago",
    )
    def post(self, request: Request) -> Response:
        asked = shapes.LagoSubscribeRequest.read(body_of(request))
        organization = permissions.organization_for(request, asked.external_customer_id, Capability.BUY)
        user = permissions.caller_of(request).user
        started = functions.create_subscription(
            organization.public_id,
            asked.plan_code,
            billing_time=asked.billing_time,
            user_id=user.public_id if user is not None else None,
        )
        return Response({"subscription": shapes.shown(started, shapes.LagoSubscriptionShape)}, status=201)


def _asked(request: Request, name: str) -> str:
    """Return a parameter that is needed: a list of everybody's is never the answer to one that is left out."""
    found = request.query_params.get(name, "")
    if not found:
        raise InvalidRequest(f"{name} is needed.")
    return found


def _owner_of(external_id: str) -> str:
    """Return the public id of the organization whose subscription an id at Lago is."""
    row = LagoSubscription.objects.filter(
        external_id=permissions.public_id(external_id, "subscription")
    ).first()
    return row.organization.public_id if row is not None else external_id.removeprefix(_OURS)


def _wallet(organization: Organization) -> dict[str, Any]:
    """Return the organization's pool in the shape of a wallet: what is left, which Lago's wallet does not know."""
    customer = LagoCustomer.objects.filter(organization=organization).first()
    available = figures.own_pool(organization=organization)
    return {
        "lago_id": str(customer.wallet_id) if customer is not None and customer.wallet_id else None,
        "total_balance": money.major_text(amounts.value_cents(available), settings.PRICE_CURRENCY),
        "credits_balance": amounts.text(available),
        "currency": settings.PRICE_CURRENCY,
        "status": "active",
    }


def _bought(request: Request) -> Response:
    """Order credits for a price; they are granted once Lago was paid."""
    asked = shapes.LagoWalletRequest.read(body_of(request))
    organization = permissions.organization_for(request, asked.external_customer_id, Capability.BUY)
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise InvalidRequest("A purchase needs an Idempotency-Key.")
    cents = money.cents(asked.paid_credits, organization.currency)
    if cents is None:
        raise ValidationError(
            paid_credits=f"An amount of {organization.currency} is expected, as a decimal text."
        )
    with transactions.durable():
        purchase, is_new = orders.place(
            organization=organization,
            order=Order(package_code=None, credits=None, amount_cents=cents),
            idempotency_key=key,
            by=permissions.caller_of(request).actor,
            now=timezone.now(),
        )
        transaction.on_commit(lambda: tasks.enqueue_advance(purchase.pk))
    return Response(
        {"wallet": _wallet(organization), "purchase": ordered(purchase)},
        status=202,
        headers=None if is_new else {"Idempotent-Replayed": "true"},
    )


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", "10")
    if not (given.isascii() and given.isdecimal() and len(given) <= 3):
        raise ValidationError(limit="A whole number from 1 to 100 is expected.")
    return int(given)

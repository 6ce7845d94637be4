"""Stored cards and accounts over the API: what the payment provider keeps for an organization, mirrored with "as of"."""

from dataclasses import dataclass
from typing import Annotated, Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits.api.answers import instant
from kit.rest.schema import Shape, operation
from lago_sync.customers import methods
from lago_sync.models import PaymentMethod
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMethodShape(Shape):
    id: str
    kind: Annotated[str, "what it is called at the payment provider: card, sepa_debit, stripe, …"]
    brand: str | None
    last4: str | None
    expires: Annotated[str | None, "month: 2028-04"]
    is_default: Annotated[bool, "this one is charged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMethodsAnswer(Shape):
    """All that is stored, the one that is charged first."""

    data: list[PaymentMethodShape]
    has_provider: Annotated[bool, "false: there is no payment provider, and staff mark purchases as paid"]
    as_of: Annotated[str | None, "when Lago was last asked; null if never"]


class PaymentMethods(APIView):
    required_scopes = AccessKey.Scope.BILLING_READ

    @operation(
        summary="List stored payment methods",
        answers={200: PaymentMethodsAnswer},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/billing/payment-methods/$ORG -H "Authorization: Bearer $KEY"',
        tag="purchases",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        looked_at = methods.as_of(organization=organization)
        return Response(
            {
                "data": [_shown(one) for one in methods.of_organization(organization=organization)],
                "has_provider": bool(settings.LAGO_PAYMENT_PROVIDER),
                "as_of": instant(looked_at) if looked_at else None,
            }
        )


def _shown(row: PaymentMethod) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "brand": row.brand or None,
        "last4": row.last4 or None,
        "expires": row.expires or None,
        "is_default": row.is_default,
    }

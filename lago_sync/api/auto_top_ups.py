"""Auto top-up over the API (contract.md §4.1): what is bought by itself, and how far this month has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api.answers import instant
from kit.rest.fields import Fields
from kit.rest.parsing import body_of
from kit.rest.schema import Shape, operation
from lago_sync.customers import methods
from lago_sync.models import AutoTopUp
from lago_sync.purchases import auto_orders, auto_top_ups
from lago_sync.purchases.auto_top_ups import Terms
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Organization

_MOST_CENTS: Final = 10**14


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoTopUpRequest(Shape):
    """All of it each time; either a package or a number of credits."""

    is_on: bool
    threshold: Annotated[str, "buys when the organization's pool has fewer credits available"]
    package_code: Annotated[str | None, "as `/packages` lists them"] = None
    credits: Annotated[str | None, "from 100; must come to a whole minor unit of the currency"] = None
    day_cap_cents: Annotated[int, "most that is ordered in a day of the organization, in minor units"]
    month_cap_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoTopUpShape(Shape):
    """The figures are null until something was set."""

    is_on: bool
    threshold: str | None
    package_code: str | None
    credits: str | None
    day_cap_cents: int | None
    month_cap_cents: int | None
    currency: str
    has_payment_method: Annotated[
        bool, "a stored card or account can be charged; without one nothing is bought"
    ]
    ordered_today_cents: int
    ordered_month_cents: int
    open_purchase_id: Annotated[str | None, "its order that is not paid yet; until then it orders nothing"]
    stopped_at: Annotated[
        str | None, "when a payment that failed stopped it; turning it on again clears this"
    ]
    stopped_because: str | None


class AutoTopUps(APIView):
    required_scopes = {"GET": AccessKey.Scope.BILLING_READ, "PUT": AccessKey.Scope.BILLING_WRITE}

    @operation(
        summary="Show auto top-up",
        answers={200: AutoTopUpShape},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/auto-top-up -H "Authorization: Bearer $KEY"',
        tag="purchases",
    )
    def get(self, request: Request, org_id: str) -> Response:
        return Response(_shown(permissions.organization_for(request, org_id, Capability.BUY)))

    @operation(
        summary="Set auto top-up",
        request=AutoTopUpRequest,
        answers={200: AutoTopUpShape},
        errors=(400, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X PUT $URL/api/v1/org-billing/credits/$ORG/auto-top-up -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"is_on": false, "threshold": "500", '
        '"package_code": "credits-5000", "day_cap_cents": 4500, "month_cap_cents": 20000}\'',
        tag="purchases",
    )
    def put(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_for(request, org_id, Capability.BUY)
        terms, by = _terms(body_of(request)), permissions.caller_of(request).actor

        def configure() -> tuple[int, dict[str, Any]]:
            auto_top_ups.configure(organization=organization, terms=terms, by=by, now=timezone.now())
            return 200, _shown(organization)

        return idempotency.once(request, configure)


def _terms(given: Mapping[str, Any]) -> Terms:
    with Fields(given) as body:
        terms = Terms(
            is_on=body.flag("is_on"),
            threshold=_amount(body, "threshold") or amounts.ZERO,
            package_code=body.line("package_code", longest=64) or None,
            credits=_amount(body, "credits"),
            day_cap_cents=body.whole("day_cap_cents", least=1, most=_MOST_CENTS) or 0,
            month_cap_cents=body.whole("month_cap_cents", least=1, most=_MOST_CENTS) or 0,
        )
        for name in ("is_on", "threshold", "day_cap_cents", "month_cap_cents"):
            if not body.has(name):
                body.wrong[name] = "This is needed."
    return terms


def _amount(body: Fields, name: str) -> Decimal | None:
    if not body.has(name):
        return None
    try:
        return amounts.parse(body.given[name])
    except ValueError as error:
        body.wrong[name] = str(error)
        return None


def _shown(organization: Organization) -> dict[str, Any]:
    row = auto_top_ups.of_organization(organization=organization)
    spent = auto_orders.spent(organization=organization, now=timezone.now())
    waiting = auto_orders.open_purchase(organization=organization)
    return _terms_of(row) | {
        "currency": organization.currency,
        "has_payment_method": methods.has_default(organization=organization),
        "ordered_today_cents": spent.today_cents,
        "ordered_month_cents": spent.month_cents,
        "open_purchase_id": str(waiting.pk) if waiting else None,
        "stopped_at": instant(row.stopped_at) if row and row.stopped_at else None,
        "stopped_because": (row.stopped_because or None) if row else None,
    }


def _terms_of(row: AutoTopUp | None) -> dict[str, Any]:
    if row is None:
        empty = ("threshold", "package_code", "credits", "day_cap_cents", "month_cap_cents")
        return {"is_on": False} | dict.fromkeys(empty)
    return {
        "is_on": row.is_on,
        "threshold": amounts.text(row.threshold),
        "package_code": row.package.code if row.package else None,
        "credits": amounts.text(row.credits) if row.credits is not None else None,
        "day_cap_cents": row.day_cap_cents,
        "month_cap_cents": row.month_cap_cents,
    }

"""Usage records and ledger entries by cursor, and the price table (contract.md §4.1, §4.3)."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import answers, filters
from credits.models import LedgerEntry, Price, UsageRecord
from credits.reports import movements
from kit.errors import ValidationError
from kit.rest import lists
from kit.rest.schema import Shape, cursor_list_of, list_of, operation
from orgs.access import permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordShape(answers.ChargeShape):
    kind: Annotated[str, "charge, reversal, settlement or forgiveness"]
    user_id: str | None
    payer: Annotated[str | None, "allocation or pool"]
    corrects: Annotated[str | None, "the record that this one corrects"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShape(Shape):
    id: str
    kind: Annotated[str, "grant, transfer, allocate, deallocate, reset, expire or withdraw"]
    amount: Annotated[str, "above zero, from the source to the target"]
    source: Annotated[dict[str, str | None] | None, "null: from outside"]
    target: Annotated[dict[str, str | None] | None, "null: out of the organization"]
    reason: str
    made_by: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceShape(Shape):
    kind: Annotated[str, "tokens, images or units"]
    name: Annotated[str, "a model or the beginning of its name, a unit, or * for whatever has no other"]
    own: Annotated[bool, "the organization's own, which goes before everybody's"]
    provider: str
    size: str
    quality: str
    input_price: Annotated[str, "per token, in `currency`"]
    output_price: str
    cached_input_price: str | None
    each_price: Annotated[str, "per image or unit"]
    currency: str


class Records(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="List usage records with how their price came about",
        answers={200: cursor_list_of(RecordShape)},
        errors=(400, 403, 404, 422),
        parameters=(*lists.CURSOR_PARAMETERS, *filters.PARAMETERS),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/records -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        wanted = filters.filters_of(request, organization)
        rows = movements.record_rows(organization=organization, filters=wanted, before=_before(request))
        if filters.DATES & request.query_params.keys():
            rows = rows.filter(day__range=filters.dates_of(request, organization))
        limit = lists.limit_of(request)
        return Response(
            lists.cursor_answer(
                list(rows[: limit + 1]), limit=limit, key=lambda row: str(row.pk), show=_record
            )
        )


class Ledger(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="List ledger entries: every movement that is not a charge",
        answers={200: cursor_list_of(EntryShape)},
        errors=(400, 403, 404, 422),
        parameters=lists.CURSOR_PARAMETERS,
        curl='curl $URL/api/v1/org-billing/credits/$ORG/ledger -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.BUY)
        rows = movements.entry_rows(organization=organization, before=_before(request))
        limit = lists.limit_of(request)
        return Response(
            lists.cursor_answer(
                list(rows[: limit + 1]), limit=limit, key=lambda row: str(row.pk), show=_entry
            )
        )


class Models(APIView):
    required_scopes = None

    @operation(
        summary="List the price table: an organization's own prices, which go first, and everybody's",
        answers={200: list_of(PriceShape)},
        errors=(400, 404, 422),
        parameters=(
            *lists.PAGE_PARAMETERS,
            OpenApiParameter(
                "org_id", str, description="whose own prices to list, for keys that are not bound to one"
            ),
        ),
        curl='curl $URL/api/v1/models -H "Authorization: Bearer $KEY"',
        tag="prices",
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        whose = Q(organization=None)
        if (organization_id := _whose_prices(request)) is not None:
            whose |= Q(organization=organization_id)
        rows = Price.objects.filter(whose, valid_from__lte=now).exclude(valid_until__lte=now)
        return Response(lists.paged(request, rows.order_by("kind", "name", "pk"), _price))


def _whose_prices(request: Request) -> int | None:
    """Return the organization whose own prices the caller sees: the one its key is bound to, or one that it names."""
    named = lists.text(request, "org_id", longest=64) or request.headers.get("X-Organization", "")
    if named:
        return permissions.organization_of(request, named).pk
    return permissions.caller_of(request).organization_id


def _before(request: Request) -> UUID | None:
    cursor = lists.cursor_of(request, str)
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError:
        raise ValidationError(cursor="This is no cursor of this list.") from None


def _record(row: UsageRecord) -> dict[str, Any]:
    payer = "allocation" if row.allocation_id is not None else "pool" if row.pool_id is not None else None
    return answers.charge(row) | {
        "kind": row.kind,
        "user_id": row.user.public_id if row.user is not None else None,
        "payer": payer,
        "corrects": str(row.corrects) if row.corrects is not None else None,
        "reason": row.reason,
    }


def _entry(row: LedgerEntry) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "amount": amounts.text(row.amount),
        "source": _end(row.source_pool, row.source_allocation),
        "target": _end(row.target_pool, row.target_allocation),
        "reason": row.reason,
        "made_by": row.made_by,
        "created_at": answers.instant(row.created_at),
    }


def _end(pool: Any, allocation: Any) -> dict[str, str | None] | None:
    if allocation is not None:
        return {"kind": "allocation", "user_id": allocation.user.public_id}
    if pool is None:
        return None
    department = pool.department
    return {"kind": "pool", "department_id": department.public_id if department is not None else None}


def _price(row: Price) -> dict[str, Any]:
    cached = row.cached_input_price
    return {
        "kind": row.kind,
        "name": row.name,
        "own": row.organization_id is not None,
        "provider": row.provider,
        "size": row.size,
        "quality": row.quality,
        "input_price": amounts.text(row.input_price),
        "output_price": amounts.text(row.output_price),
        "cached_input_price": None if cached is None else amounts.text(cached),
        "each_price": amounts.text(row.each_price),
        "currency": settings.PRICE_CURRENCY,
    }

"""The usage report (contract.md §4.1): use by time, member, department, service, provider or model, also as CSV."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import filters
from credits.reports import exports, usage
from credits.reports.usage import GROUPINGS, UsageReport
from kit.rest import lists
from kit.rest.schema import Shape, operation
from orgs.access import permissions
from orgs.models import AccessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageGroup(Shape):
    key: Annotated[str, "a date, a public id or a name; empty is «none»"]
    label: str
    credits: str
    requests: int
    tokens: int
    share: Annotated[str, "percent of the total's credits"]
    previous_credits: Annotated[str, "of as many days just before this group's"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageShape(Shape):
    total_credits: str
    total_requests: int
    total_tokens: int
    previous_credits: Annotated[str, "of as many days before"]
    start_date: date
    end_date: date
    breakdown: list[UsageGroup]


_USAGE_PARAMETERS: Final = (
    *filters.PARAMETERS,
    OpenApiParameter("group_by", str, enum=list(GROUPINGS)),
    OpenApiParameter("format", str, enum=["json", "csv"]),
)


class Usage(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="Report usage by time, member, department, service, provider or model",
        answers={200: UsageShape},
        errors=(400, 403, 404, 422),
        parameters=_USAGE_PARAMETERS,
        curl='curl "$URL/api/v1/org-billing/credits/$ORG/usage?days=30&group_by=model" -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response | HttpResponse:
        organization = permissions.organization_of(request, org_id)
        since, until = filters.dates_of(request, organization)
        report = usage.breakdown(
            organization=organization,
            since=since,
            until=until,
            group_by=lists.choice(request, "group_by", of=GROUPINGS, default="day"),
            filters=filters.filters_of(request, organization),
        )
        if lists.choice(request, "format", of=("json", "csv"), default="json") == "csv":
            return exports.usage(report)
        return Response(_shown(report, since, until))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - DRF's signature
        """Leave `?format=` to the view: DRF would answer 404 for a format that no renderer has."""
        return self.get_renderers()[0], "application/json"


def _shown(report: UsageReport, since: date, until: date) -> dict[str, Any]:
    return {
        "total_credits": amounts.text(report.total_credits),
        "total_requests": report.total_requests,
        "total_tokens": report.total_tokens,
        "previous_credits": amounts.text(report.previous_credits),
        "start_date": since.isoformat(),
        "end_date": until.isoformat(),
        "breakdown": [
            {
                "key": row.key,
                "label": row.label,
                "credits": amounts.text(row.credits),
                "requests": row.requests,
                "tokens": row.tokens,
                "share": str(row.share),
                "previous_credits": amounts.text(row.previous_credits),
            }
            for row in report.rows
        ],
    }

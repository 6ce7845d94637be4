"""`/orgs`: the caller's organizations."""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs import organizations
from orgs.access import idempotency, permissions
from orgs.access.callers import Caller
from orgs.access.capabilities import Capability
from orgs.api import bodies, shapes
from orgs.models import Membership, Organization, Subscription

_SCOPES = {"GET": "org:read", "POST": "org:write", "PATCH": "org:write", "DELETE": "org:write"}
_HEADERS = '-H "Authorization: Bearer $KEY"'


class Organizations(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="List my organizations",
        answers={200: list_of(shapes.Organization)},
        errors=[403, 422],
        parameters=lists.PAGE_PARAMETERS,
        curl=f"curl {_HEADERS} $URL/api/v1/orgs",
        tag="orgs",
    )
    def get(self, request: Request) -> Response:
        caller, page = permissions.caller_of(request), lists.page_of(request)
        rows = permissions.visible_organizations(caller).order_by("pk")
        found = list(rows[page.offset : page.offset + page.limit])
        return Response(lists.answer(_lines(caller, found), page=page, total=rows.count()))

    @operation(
        summary="Make an organization",
        request=bodies.NewOrganization,
        answers={201: shapes.Organization},
        errors=[400, 403, 409, 415, 422],
        curl=f"""curl {_HEADERS} -H 'Content-Type: application/json' -d '{{"name": "Acme"}}' $URL/api/v1/orgs""",
        tag="orgs",
    )
    def post(self, request: Request) -> Response:
        user, body = permissions.user_of(request), bodies.NewOrganization.read(body_of(request))
        caller = permissions.caller_of(request)

        def run() -> tuple[int, Any]:
            made = organizations.create(name=body.name, owner=user, by=caller.actor, time_zone=body.time_zone)
            return 201, _lines(caller, [made])[0]

        return idempotency.once(request, run)


class OneOrganization(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Show an organization",
        answers={200: shapes.OrganizationDetail},
        errors=[400, 403, 404],
        curl=f"curl {_HEADERS} $URL/api/v1/orgs/$ORG",
        tag="orgs",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        return Response(detail(permissions.caller_of(request), organization))

    @operation(
        summary="Change name, time zone, shared spending, what the unpriced costs, and billing details",
        request=bodies.OrganizationChanges,
        answers={200: shapes.OrganizationDetail},
        errors=[400, 403, 404, 409, 415, 422],
        curl=f"""curl -X PATCH {_HEADERS} -H 'Content-Type: application/json' -d '{{"time_zone": "Europe/Berlin"}}' $URL/api/v1/orgs/$ORG""",
        tag="orgs",
    )
    def patch(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ADMINISTER)
        caller, changes = permissions.caller_of(request), bodies.OrganizationChanges.read(body_of(request))

        def run() -> tuple[int, Any]:
            changed = organizations.update(organization=organization, changes=changes, by=caller.actor)
            return 200, detail(caller, changed)

        return idempotency.once(request, run)

    @operation(
        summary="Archive an organization: nobody spends there any more, its books stay",
        answers={204: None},
        errors=[400, 403, 404, 409],
        curl=f"curl -X DELETE {_HEADERS} $URL/api/v1/orgs/$ORG",
        tag="orgs",
    )
    def delete(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        permissions.require(request, organization, Capability.ARCHIVE)
        caller = permissions.caller_of(request)

        def run() -> tuple[int, Any]:
            organizations.archive(organization=organization, by=caller.actor)
            return 204, None

        return idempotency.once(request, run)


class Switch(APIView):
    required_scopes = _SCOPES

    @operation(
        summary="Make this the organization that my next request is for",
        answers={200: shapes.Organization},
        errors=[400, 403, 404, 409],
        curl=f"curl -X POST {_HEADERS} $URL/api/v1/orgs/$ORG/switch",
        tag="orgs",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization, user = permissions.organization_of(request, org_id), permissions.user_of(request)
        caller = permissions.caller_of(request)

        def run() -> tuple[int, Any]:
            organizations.switch(user=user, organization=organization, by=caller.actor)
            return 200, _lines(caller, [organization])[0]

        return idempotency.once(request, run)


def detail(caller: Caller, organization: Organization) -> dict[str, Any]:
    """Return an organization with what its members may see, and billing details for who may buy."""
    may_buy = permissions.allows(caller, organization, Capability.BUY)
    billing = ("billing_email", "legal_name", "tax_number", "billing_address")
    settings = ("status", "time_zone", "currency", "shared_spending", "unpriced")
    return {
        **_lines(caller, [organization])[0],
        **{name: getattr(organization, name) for name in settings},
        "unpriced_credits": f"{organization.unpriced_credits.normalize():f}",
        **{name: getattr(organization, name) if may_buy else None for name in billing},
    }


def _lines(caller: Caller, found: Sequence[Organization]) -> list[dict[str, Any]]:
    """Return the rows of the list; two queries whatever their number."""
    mine = Membership.objects.live().filter(user=caller.user) if caller.user else Membership.objects.none()
    roles = dict(mine.filter(organization__in=found).values_list("organization", "role"))
    live = Subscription.objects.filter(organization__in=found, ended_at=None)
    plans = dict(live.values_list("organization", "plan__code"))
    default = caller.user.default_organization_id if caller.user else None
    active = organizations.active_for(user=caller.user).pk if caller.user else None
    return [
        {
            "id": one.public_id,
            "slug": one.slug,
            "name": one.name,
            "kind": one.kind,
            "role": roles.get(one.pk),
            "plan_code": plans.get(one.pk),
            "is_default": one.pk == default,
            "is_active": one.pk == active,
            "created_at": one.created_at,
        }
        for one in found
    ]

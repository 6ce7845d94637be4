"""The pool and its allocations (contract.md §4.1): who has what, and sharing it out."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import shapes
from credits.api.fields import Body
from credits.models import Allocation, CreditPool
from credits.reports import figures
from credits.sharing import allocations
from credits.sharing.allocations import Mode, Share
from kit.errors import NotFound, ValidationError
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs.access import idempotency, permissions
from orgs.access.capabilities import Capability
from orgs.models import AccessKey, Department, Organization, User

MOST_SHARES = 1000
_SHARE = frozenset({"user_id", "credits", "mode", "notes", "reset_period"})


class Pool(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="Show an organization's credits",
        answers={200: shapes.PoolShape},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/credits/$ORG -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        return Response(shapes.pool_for(request, organization))


class Allocate(APIView):
    required_scopes = AccessKey.Scope.CREDITS_WRITE

    @operation(
        summary="Give credits to a member, or to many at once (all or none)",
        request=shapes.AllocateRequest,
        answers={200: shapes.AllocateAnswer, 201: shapes.AllocateAnswer},
        errors=(400, 402, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X POST $URL/api/v1/org-billing/credits/$ORG/allocate -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"user_id": "\'$USER\'", "credits": "1000"}\'',
        tag="credits",
    )
    def post(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        body = body_of(request)
        items, is_bulk = _items(body)
        shares = [_share(organization, item) for item in items]
        _require_allocator(request, organization, [share.user for share in shares])
        by = permissions.caller_of(request).actor

        def assign() -> tuple[int, dict[str, Any]]:
            users = [share.user for share in shares]
            known = Allocation.objects.filter(organization=organization, user__in=users).count()
            made = allocations.assign_all(organization=organization, shares=shares, by=by)
            shown = [shapes.allocation(figures.allocation(row)) for row in made]
            answer = {"allocations": shown} if is_bulk else {"allocation": shown[0]}
            return 200 if known == len(shares) else 201, {
                **answer,
                "pool": shapes.pool_for(request, organization),
            }

        return idempotency.once(request, assign)


class Allocations(APIView):
    required_scopes = AccessKey.Scope.CREDITS_READ

    @operation(
        summary="List allocations",
        answers={200: list_of(shapes.AllocationShape)},
        errors=(400, 403, 404, 422),
        parameters=(*lists.PAGE_PARAMETERS, *shapes.ALLOCATION_FILTERS),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/allocations -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        rows = figures.allocation_rows(organization=organization, search=lists.text(request, "search"))
        rows = shapes.filter_allocations(request, organization, rows)
        return Response(lists.paged(request, rows, lambda row: shapes.allocation(figures.allocation(row))))


class AllocationDetail(APIView):
    required_scopes = {
        "GET": AccessKey.Scope.CREDITS_READ,
        "PATCH": AccessKey.Scope.CREDITS_WRITE,
        "DELETE": AccessKey.Scope.CREDITS_WRITE,
    }

    @operation(
        summary="Show a member's allocation",
        answers={200: shapes.AllocationShape},
        errors=(400, 403, 404),
        curl='curl $URL/api/v1/org-billing/credits/$ORG/allocations/$USER -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def get(self, request: Request, org_id: str, user_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        if _user(organization, user_id) != permissions.caller_of(request).user:
            shapes.require_seeing(request, organization, _user(organization, user_id))
        return Response(shapes.allocation(figures.allocation(_allocation(organization, user_id))))

    @operation(
        summary="Change an allocation, or let its member spend from the pool",
        request=shapes.AllocationChanges,
        answers={200: shapes.AllocateAnswer},
        errors=(400, 402, 403, 404, 409, 413, 415, 422, 503),
        curl='curl -X PATCH $URL/api/v1/org-billing/credits/$ORG/allocations/$USER -H "Authorization: Bearer $KEY" '
        '-H "Content-Type: application/json" -d \'{"limited": false}\'',
        tag="credits",
    )
    def patch(self, request: Request, org_id: str, user_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        user = _user(organization, user_id)
        _require_allocator(request, organization, [user])
        credits, mode, notes, opens = _changes(body_of(request))
        by = permissions.caller_of(request).actor

        def change() -> tuple[int, dict[str, Any]]:
            if opens:
                row = allocations.revoke(organization=organization, user=user, by=by, limited=False)
            else:
                share = Share(user=user, credits=credits, mode=mode, notes=notes)
                row = allocations.assign(organization=organization, share=share, by=by)
            return 200, _both(request, organization, row)

        return idempotency.once(request, change)

    @operation(
        summary="Revoke an allocation: all that is unspent returns to its pool",
        answers={200: shapes.AllocateAnswer},
        errors=(400, 403, 404, 409, 503),
        curl='curl -X DELETE $URL/api/v1/org-billing/credits/$ORG/allocations/$USER -H "Authorization: Bearer $KEY"',
        tag="credits",
    )
    def delete(self, request: Request, org_id: str, user_id: str) -> Response:
        organization = permissions.organization_of(request, org_id)
        user = _user(organization, user_id)
        _require_allocator(request, organization, [user])
        by = permissions.caller_of(request).actor
        return idempotency.once(
            request,
            lambda: (
                200,
                _both(request, organization, allocations.revoke(organization=organization, user=user, by=by)),
            ),
        )


def _both(request: Request, organization: Organization, row: Allocation) -> dict[str, Any]:
    shown = shapes.allocation(figures.allocation(row))
    return {"allocation": shown, "pool": shapes.pool_for(request, organization)}


def _items(body: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """Return what to allocate, and whether it came as the bulk form."""
    if "allocations" not in body:
        return [body], False
    items = body["allocations"]
    if len(body) != 1 or not isinstance(items, list) or not 1 <= len(items) <= MOST_SHARES:
        raise ValidationError(allocations=f"must be a list of 1 to {MOST_SHARES}, and nothing beside it")
    return items, True


def _share(organization: Organization, item: object) -> Share:
    if not isinstance(item, dict):
        raise ValidationError(allocations="must be objects")
    body = Body(item, allowed=_SHARE)
    user_id, notes = body.line("user_id", longest=64), body.line("notes", longest=500)
    credits = body.amount("credits")
    mode = body.line("mode", longest=8) or Mode.SET
    if not user_id:
        body.wrong.setdefault("user_id", "is needed")
    if credits is None:
        body.wrong.setdefault("credits", "is needed")
    if mode not in list(Mode):
        body.wrong["mode"] = "must be set or add"
    if body.line("reset_period", longest=16) not in ("", "never"):
        body.wrong["reset_period"] = "must be never"
    body.done()
    return Share(
        user=_user(organization, user_id), credits=credits or amounts.ZERO, mode=Mode(mode), notes=notes
    )


def _changes(given: Mapping[str, Any]) -> tuple[Any, Mode, str, bool]:
    """Return the amount, mode and notes of a change, or that the member shall spend from the pool."""
    if "limited" in given:
        if given != {"limited": False}:
            raise ValidationError(limited="must be false, and nothing beside it")
        return amounts.ZERO, Mode.SET, "", True
    body = Body(given, allowed=_SHARE - {"user_id"})
    credits, mode = body.amount("credits"), body.line("mode", longest=8) or Mode.SET
    if credits is None:
        body.wrong.setdefault("credits", "is needed")
    if mode not in list(Mode):
        body.wrong["mode"] = "must be set or add"
    notes = body.line("notes", longest=500)
    body.done()
    return credits, Mode(mode), notes, False


def _require_allocator(request: Request, organization: Organization, users: list[User]) -> None:
    """Raise PermissionDenied unless the caller may allocate to all of them; a manager may in their department's pool."""
    caller = permissions.caller_of(request)
    if permissions.allows(caller, organization, Capability.ALLOCATE):
        return
    for user in users:
        department = (
            Department.objects.live().filter(memberships__user=user, organization=organization).first()
        )
        if department is not None and not _shares_out(department, user):
            department = None
        permissions.require(request, organization, Capability.ALLOCATE, department=department)


def _shares_out(department: Department, user: User) -> bool:
    """Tell whether a member's credits come from the department's own pool: it is funded, and no other pool gave them."""
    if not CreditPool.objects.filter(department=department).exists():
        return False
    given = Allocation.objects.filter(organization=department.organization, user=user, closed_at__isnull=True)
    return not given.exclude(pool__department=department).exists()


def _user(organization: Organization, user_id: str) -> User:
    public_id = permissions.public_id(user_id, "member")
    user = User.objects.filter(public_id=public_id, memberships__organization=organization).first()
    if user is None:
        raise NotFound("There is no such member.")
    return user


def _allocation(organization: Organization, user_id: str) -> Allocation:
    rows = figures.allocation_rows(organization=organization)
    row = rows.filter(user__public_id=permissions.public_id(user_id, "member")).first()
    if row is None:
        raise NotFound("This member has no allocation.")
    return row

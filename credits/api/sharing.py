"""The pool and its allocations (contract.md §4.1): who has what, and sharing it out."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits import amounts
from credits.api import reaching, shapes
from credits.api.fields import Body
from credits.models import Allocation
from credits.reports import figures
from credits.sharing import allocations, resets
from credits.sharing.allocations import Mode, Share
from credits.sharing.terms import KEEP
from kit.errors import NotFound, ValidationError
from kit.rest import lists
from kit.rest.parsing import body_of
from kit.rest.schema import list_of, operation
from orgs.access import idempotency, permissions
from orgs.audit.events import Actor
from orgs.models import AccessKey, Organization, User

MOST_SHARES = 1000
_TERMS = frozenset({"credits", "mode", "notes", "reset_period", "expires_at"})
_SHARE = _TERMS | {"user_id"}


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
        resets.refresh(organization)
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
        reaching.require(request, organization, [share.user for share in shares])
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
        resets.refresh(organization)
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
        resets.refresh(organization)
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
        reaching.require(request, organization, [user])
        given, by = _changes(body_of(request)), permissions.caller_of(request).actor

        def change() -> tuple[int, dict[str, Any]]:
            if given is None:
                row = allocations.revoke(organization=organization, user=user, by=by, limited=False)
            else:
                row = _changed(organization, user, given, by=by)
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
        reaching.require(request, organization, [user])
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
    user_id = body.line("user_id", longest=64)
    if not user_id:
        body.wrong.setdefault("user_id", "is needed")
    given = _given(body, needs_credits=True)
    return Share(user=_user(organization, user_id), **given)


def _given(body: Body, *, needs_credits: bool) -> dict[str, Any]:
    """Return what a share is made of beside its member; without an amount, adding nothing leaves it as it is."""
    credits, mode = body.amount("credits"), body.line("mode", longest=8) or Mode.SET
    if mode not in list(Mode):
        body.wrong["mode"] = "must be set or add"
    changes_else = body.has("notes") or body.has("reset_period") or body.was_given("expires_at")
    if credits is None and (needs_credits or body.has("mode") or not changes_else):
        body.wrong.setdefault("credits", "is needed")
    period = body.line("reset_period", longest=16)
    if period and period not in Allocation.ResetPeriod.values:
        body.wrong["reset_period"] = f"must be one of {', '.join(Allocation.ResetPeriod.values)}"
    notes, expires_at = body.line("notes", longest=500), body.instant("expires_at")
    body.done()
    return {
        "credits": amounts.ZERO if credits is None else credits,
        "mode": Mode.ADD if credits is None else Mode(mode),
        "notes": notes,
        "reset_period": period or None,
        "expires_at": expires_at if body.was_given("expires_at") else KEEP,
    }


def _changed(organization: Organization, user: User, given: dict[str, Any], *, by: Actor) -> Allocation:
    """Change what a member has; only terms change nothing for who has no open allocation."""
    share = Share(user=user, **given)
    if share.mode == Mode.ADD and not share.credits:
        open_ones = Allocation.objects.filter(organization=organization, user=user, closed_at=None)
        if not open_ones.exists():
            raise NotFound("This member has no open allocation.")
    return allocations.assign(organization=organization, share=share, by=by)


def _changes(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what to change of a share, None to let the member spend from the pool."""
    if "limited" in given:
        if given != {"limited": False}:
            raise ValidationError(limited="must be false, and nothing beside it")
        return None
    return _given(Body(given, allowed=_TERMS), needs_credits=False)


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

"""Guards of views: only with an active subscription, only below a number of recorded calls.

For Django's views (functions and classes, sync and async) and for those of Django REST framework. Both answer from our
own rows and ask Lago nothing; where these cannot be read the answer is 503, never a pass. A refusal has the API's shape
(contract.md §4), for a browser it is a page.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial, wraps
from typing import Any, Final, TypeVar, cast
from zoneinfo import ZoneInfo

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.generic import View
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.ledger.standing import PAYMENT_GRACE, OrganizationSuspended
from credits.limits import calendar
from credits.limits.quotas import QuotaExceeded
from kit.errors import DomainError, PermissionDenied, TryAgain
from kit.rest import errors
from lago_sync import callers
from lago_sync.outbox import counting
from orgs import subscriptions
from orgs.models import Organization, Subscription

AnyView = TypeVar("AnyView", bound=Callable[..., Any])
_Check = Callable[[Organization, datetime], None]

_Status = Subscription.Status
_ENDS: Final = (_Status.TRIALING, _Status.CANCELED)
"""States that end with the period, whether the mirror has heard of it or not."""


class NoActiveSubscription(DomainError):
    """The organization has no plan now, or its invoice is overdue for too long."""

    code = "no_active_subscription"
    status = 403


def require_active_subscription(view: AnyView) -> AnyView:
    """Let only requests of an organization with an active subscription reach the view; others get 403.

    Trialing, active, canceled until the period's end, and past due within the seven days of grace are active; a paused
    plan or a suspended organization is 403 `organization_suspended`. Whose a request is: see `callers.of`.
    """
    return _guarded(view, _require_active)


def require_usage_below(limit: int, *, event_code: str = "") -> Callable[[AnyView], AnyView]:
    """Let only requests reach the view while fewer than `limit` calls were recorded in the billing period; else 429.

    Calls are the events of `record_usage`, `record_api_call` and `TrackUsage`, of one code where `event_code` says
    which, counted as they are recorded, delivered or not. Credits are not: holds, quotas and budgets limit those. Without
    a subscription the calendar month of the organization counts. Two requests at once may both see the last free place.
    """
    check = partial(_require_below, limit=limit, code=settings.LAGO_EVENT_CODES.get(event_code, event_code))
    return lambda view: _guarded(view, check)


def _require_active(organization: Organization, now: datetime) -> None:
    fact = subscriptions.live(organization=organization)
    if organization.status == Organization.Status.SUSPENDED:
        raise OrganizationSuspended("The organization is suspended.")
    if fact is None or (fact.status in _ENDS and fact.current_period_end <= now):
        raise NoActiveSubscription("This needs a plan, and the organization has none now.")
    if fact.status == _Status.PAUSED:
        raise OrganizationSuspended("The organization's plan is paused.")
    if fact.past_due_since is not None and now - fact.past_due_since > PAYMENT_GRACE:
        raise NoActiveSubscription("The plan's invoice is overdue; paying it restores the plan.")


def _require_below(organization: Organization, now: datetime, *, limit: int, code: str) -> None:
    starts, ends = _period(organization, now)
    used = counting.recorded(organization=organization.public_id, since=starts, at_most=limit, code=code)
    if used >= limit:
        raise QuotaExceeded(
            f"All {limit:,} calls of this period are used.",
            limit={
                "kind": "quota",
                "scope": "period",
                "needed": "1",
                "remaining": "0",
                "resets_at": ends.isoformat(),
            },
            retry_after=max(1, int((ends - now).total_seconds())),
        )


def _period(organization: Organization, now: datetime) -> tuple[datetime, datetime]:
    """Return the billing period of now; a renewal that nobody told us of yet began where the last one ended."""
    fact = subscriptions.live(organization=organization)
    if fact is None:
        zone = organization.time_zone
        first = calendar.first_day(now.astimezone(ZoneInfo(zone)).date(), "month")
        return calendar.midnight(first, zone), calendar.ends_at(first, "month", zone)
    starts, ends = fact.current_period_start, fact.current_period_end
    return (starts, ends) if now < ends else (ends, now + (ends - starts))


def _guarded(view: AnyView, check: _Check) -> AnyView:
    """Return the view behind a check, whatever kind of view it is."""
    if isinstance(view, type):
        return cast(AnyView, _guard_class(view, check))
    of_framework = getattr(view, "cls", None)
    if isinstance(of_framework, type) and issubclass(of_framework, APIView):  # as_view() or @api_view
        guarded = _guard_class(type(of_framework.__name__, (of_framework,), {}), check)
        return cast(AnyView, guarded.as_view(**getattr(view, "initkwargs", {})))
    return cast(AnyView, _guard_function(view, check))


def _guard_class(view: type[Any], check: _Check) -> type[Any]:
    if issubclass(view, APIView):  # it knows its caller only after its own beginning
        begin = view.initial

        def initial(self: APIView, request: Request, *args: Any, **kwargs: Any) -> None:
            begin(self, request, *args, **kwargs)
            _pass(request._request, kwargs, check)  # noqa: SLF001 - DRF has no other way to Django's request

        view.initial = initial  # type: ignore[method-assign]
    elif issubclass(view, View):
        view.dispatch = _guard_function(view.dispatch, check, is_async=bool(view.view_is_async))  # type: ignore[method-assign]
    else:
        raise TypeError(f"{view!r} is no view")
    return view


def _guard_function(
    view: Callable[..., Any], check: _Check, *, is_async: bool | None = None
) -> Callable[..., Any]:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        refusal = _refusal(_request(args), kwargs, check)
        return view(*args, **kwargs) if refusal is None else refusal

    @wraps(view)
    async def guarded_async(*args: Any, **kwargs: Any) -> Any:
        refusal = await sync_to_async(_refusal, thread_sensitive=True)(_request(args), kwargs, check)
        return await view(*args, **kwargs) if refusal is None else refusal

    return guarded_async if (iscoroutinefunction(view) if is_async is None else is_async) else guarded


def _request(args: tuple[Any, ...]) -> HttpRequest | Request:
    """Return the request: a view's first argument, a method's second."""
    return next(one for one in args[:2] if isinstance(one, HttpRequest | Request))


def _refusal(request: HttpRequest | Request, named: Mapping[str, Any], check: _Check) -> HttpResponse | None:
    """Return the answer that refuses, None to go on. Inside a view of the framework the refusal is raised to it."""
    if isinstance(request, Request):
        _pass(request._request, named, check)  # noqa: SLF001
        return None
    try:
        _pass(request, named, check)
    except DomainError as error:
        return _answer(request, error)
    return None


def _pass(request: HttpRequest, named: Mapping[str, Any], check: _Check) -> None:
    """Raise the DomainError that refuses the request; TryAgain (503) where our rows cannot be read."""
    try:
        organization = callers.of(request, named).organization
        if organization is None:
            raise PermissionDenied("This needs an organization; sign in, or send a key.")
        check(organization, timezone.now())
    except (DatabaseError, InterfaceError) as error:
        raise TryAgain(
            "Nobody can tell now what the organization may use; send the same request again."
        ) from error


def _answer(request: HttpRequest, error: DomainError) -> HttpResponse:
    if "text/html" in request.headers.get("Accept", ""):
        found = render(
            request, "refused.html", {"status": error.status, "sentence": error.message}, status=error.status
        )
    else:
        found = JsonResponse(errors.body(error.code, error.message, **error.details), status=error.status)
    wait = error.details.get("retry_after", getattr(error, "retry_after_seconds", None))
    if wait is not None:
        found["Retry-After"] = str(wait)
    return found

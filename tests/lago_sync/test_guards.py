"""Views behind a subscription or a number of calls: Django's and the framework's, sync and async; never a pass unseen."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.views import APIView

import lago_sync
from lago_sync import require_active_subscription, require_usage_below
from lago_sync.outbox import counting
from orgs import organizations, subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Subscription
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db


def kinds(guard):  # noqa: C901 - ten small views
    """Return one view of each kind behind the guard, each answering "in"."""

    @guard
    def function(request, **_):
        return HttpResponse("in")

    @guard
    async def coroutine(request, **_):
        return HttpResponse("in")

    @guard
    class Sync(View):
        def get(self, request, **_):
            return HttpResponse("in")

    @guard
    class Async(View):
        async def get(self, request, **_):
            return HttpResponse("in")

    @method_decorator(guard, name="dispatch")
    class Decorated(View):
        def get(self, request, **_):
            return HttpResponse("in")

    @guard
    class Api(APIView):
        def get(self, request, **_):
            return Response("in")

    class OneMethod(APIView):
        @guard
        def get(self, request, **_):
            return Response("in")

    @guard
    @api_view(["GET"])
    def outside(request, **_):
        return Response("in")

    @api_view(["GET"])
    @guard
    def inside(request, **_):
        return Response("in")

    class Open(APIView):
        def get(self, request, **_):
            return Response("in")

    return {
        "function": function,
        "coroutine": coroutine,
        "class": Sync.as_view(),
        "async class": Async.as_view(),
        "dispatch": Decorated.as_view(),
        "api": Api.as_view(),
        "api method": OneMethod.as_view(),
        "api_view outside": outside,
        "api_view inside": inside,
        "as_view": guard(Open.as_view()),
    }


def ask(view, user=None, *, key="", accept="application/json", **named):
    """Return the answer of a view to a request of this user, or of a key."""
    headers = {"accept": accept} | ({"authorization": f"Bearer {key}"} if key else {})
    request = RequestFactory().get("/x", headers=headers)
    request.user = user or AnonymousUser()
    request._dont_enforce_csrf_checks = True
    answer = async_to_sync(view)(request, **named) if iscoroutinefunction(view) else view(request, **named)
    return answer.render() if hasattr(answer, "render") else answer


def error(answer) -> dict[str, Any]:
    return json.loads(answer.content)["error"]


def statuses(guard, user, **named) -> set[int]:
    return {ask(view, user, **named).status_code for view in kinds(guard).values()}


@pytest.fixture
def team():
    return make.team(unlimited=False)


@pytest.fixture
def owner(team):
    return team.memberships.get().user


def called(team, count: int, code: str = "api_call") -> None:
    for number in range(count):
        lago_sync.record_usage(team.public_id, code, f"{code}-{number}")


def change(**values) -> None:
    Subscription.objects.update(**values)


def test_only_an_active_subscription_gets_in(team, owner):
    assert statuses(require_active_subscription, owner) == {403}
    answer = ask(kinds(require_active_subscription)["function"], owner)
    assert error(answer)["code"] == "no_active_subscription"
    make.subscribe(team, "starter")
    assert statuses(require_active_subscription, owner) == {200}

    now = timezone.now()
    over = {"current_period_start": now - timedelta(days=9), "current_period_end": now - timedelta(days=1)}
    view = kinds(require_active_subscription)["api"]
    for values, status in (
        ({"status": "trialing"}, 200), ({"status": "canceled"}, 200), ({"status": "paused"}, 403),
        ({"status": "past_due", "past_due_since": now - timedelta(days=6)}, 200),
        ({"status": "past_due", "past_due_since": now - timedelta(days=8)}, 403),
        ({"status": "active", "past_due_since": None, **over}, 200),  # its renewal was not heard of yet
        ({"status": "trialing", **over}, 403), ({"status": "canceled", **over}, 403),
    ):  # fmt: skip
        change(**values)
        assert ask(view, owner).status_code == status, values
    change(status="active")
    with transaction.atomic():
        organizations.suspend(organization=team, reason="r", by=SYSTEM)
    assert error(ask(view, owner))["code"] == "organization_suspended"


def test_calls_up_to_the_limit_get_in_and_no_use_yet_does_too(team, owner):
    make.subscribe(team, "starter")
    guard = require_usage_below(3)
    assert statuses(guard, owner) == {200}
    called(team, 2)
    assert statuses(guard, owner) == {200}
    called(team, 3)
    assert statuses(guard, owner) == {429}
    answer = ask(kinds(guard)["function"], owner)
    said = error(answer)
    assert (said["code"], said["details"]["limit"]["kind"]) == ("quota_exceeded", "quota")
    assert int(answer["Retry-After"]) > 1
    assert ask(kinds(guard)["api"], owner)["Retry-After"]
    assert statuses(require_usage_below(4), owner) == {200}
    assert statuses(require_usage_below(1, event_code="image_call"), owner) == {200}
    make.grant(team, 10)
    make.charged(team, None, 9)
    assert statuses(require_usage_below(4), owner) == {200}  # credits have limits of their own


def test_calls_count_in_the_period_of_now(team, owner):
    called(team, 3)
    view = require_usage_below(3)(lambda request: HttpResponse("in"))
    assert ask(view, owner).status_code == 429  # without a plan the calendar month counts
    make.subscribe(team, "starter")
    now = timezone.now()
    change(current_period_start=now + timedelta(seconds=1), current_period_end=now + timedelta(days=30))
    assert ask(view, owner).status_code == 200
    change(current_period_start=datetime(2026, 1, 1, tzinfo=UTC), current_period_end=now + timedelta(days=1))
    assert ask(view, owner).status_code == 429
    change(current_period_start=now - timedelta(days=30), current_period_end=now - timedelta(days=1))
    assert ask(view, owner).status_code == 429  # a renewal that nobody told us of


def test_where_the_rows_cannot_be_read_nobody_gets_in(team, owner, monkeypatch):
    make.subscribe(team, "starter")

    def gone(*_, **__):
        raise OperationalError("the connection is closed")

    with monkeypatch.context() as patch:
        patch.setattr(subscriptions, "live", gone)
        assert statuses(require_active_subscription, owner) == {503}
        answer = ask(kinds(require_active_subscription)["function"], owner)
        assert (error(answer)["code"], answer["Retry-After"]) == ("try_again", "1")
    with monkeypatch.context() as patch:
        patch.setattr(counting, "recorded", gone)
        assert statuses(require_usage_below(10_000), owner) == {503}


def test_a_request_of_nobody_or_for_a_strangers_organization_gets_nowhere(team, owner):
    make.subscribe(team, "starter")
    stranger = orgs.team("Other").memberships.get().user
    for name, view in kinds(require_active_subscription).items():
        assert ask(view).status_code == (401 if "api" in name or name == "as_view" else 403), name
        assert ask(view, stranger, org_id=team.public_id).status_code == 404, name
        assert ask(view, stranger).status_code == 403, name
        assert ask(view, owner, org_id=team.public_id).status_code == 200, name
        assert ask(view, owner, slug=team.slug).status_code == 200, name
    assert ask(kinds(require_active_subscription)["api"], org_id="org_\x00", user=owner).status_code == 404


def test_a_key_brings_its_organization(team):
    key = orgs.organization_key(team).text
    view = kinds(require_active_subscription)["api"]
    assert error(ask(view, key=key))["code"] == "no_active_subscription"
    make.subscribe(team, "starter")
    assert ask(view, key=key).status_code == 200


def test_a_browser_is_shown_a_page(team, owner):
    answer = ask(kinds(require_active_subscription)["function"], owner, accept="text/html,*/*")
    assert answer.status_code == 403
    assert b"has none now" in answer.content
    assert answer["Content-Type"].startswith("text/html")

"""`TrackUsage`: an answered request with an organization is one call at Lago, whatever its headers say."""

import logging
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.response import Response
from rest_framework.views import APIView

from lago_sync import TrackUsage
from lago_sync.models import OutboxEvent
from lago_sync.outbox import writing
from tests.factories import credits as make
from tests.factories import orgs

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make.team()


@pytest.fixture
def owner(team):
    return team.memberships.get().user


def send(user=None, *, status=200, said=None, path="/v1/chat", kwargs=None, view=None, **headers):
    """Send a request through the middleware to a view that answers with these headers."""
    request = RequestFactory().post(
        path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    request.user = user or AnonymousUser()
    request._dont_enforce_csrf_checks = True
    request.resolver_match = SimpleNamespace(kwargs=kwargs or {}, args=(), route="v1/<str:org_id>/chat")
    answer = TrackUsage(view or (lambda _: HttpResponse("answer", status=status, headers=said or {})))(
        request
    )
    assert answer.status_code == status
    return answer


def recorded() -> list[dict[str, str]]:
    return [row.payload["properties"] | {"code": row.code} for row in OutboxEvent.objects.order_by("pk")]


def test_records_who_called_what_with_how_many_tokens_of_which_model(owner):
    send(owner, said={"X-Tokens-Used": "1500", "X-Model-Used": "gpt-4o"})
    send(owner, status=302, kwargs={"token": "secret"}, path="/v1/secret/chat")
    assert recorded() == [
        {"code": "api_call", "endpoint": "/v1/chat", "user_id": owner.public_id, "tokens": "1500", "model": "gpt-4o"},
        {"code": "api_call", "endpoint": "/v1/<str:org_id>/chat", "user_id": owner.public_id, "tokens": "0"},
    ]  # fmt: skip
    assert {row.organization for row in OutboxEvent.objects.all()} == {
        owner.memberships.get().organization.public_id
    }


def test_records_no_error_no_request_of_nobody_and_none_for_a_strangers_organization(team, owner):
    for status in (400, 404, 429, 500):
        send(owner, status=status)
    send()
    stranger = orgs.team("Other").memberships.get().user
    send(stranger, X_Organization=team.public_id)
    send(stranger, kwargs={"org_id": team.public_id})
    assert recorded() == []


def test_a_request_sent_again_is_one_call_and_another_callers_is_another(team, owner):
    for _ in range(3):
        send(owner, Idempotency_Key="k")
    send(owner, X_Request_ID="r")
    send(owner, X_Request_ID="r")
    assert len(recorded()) == 2
    send(owner, Idempotency_Key="another")
    send(owner, Idempotency_Key="k", path="/v1/other")
    send(orgs.member(team).user, Idempotency_Key="k")
    send(owner)
    send(owner)
    assert len(recorded()) == 7


def test_a_bad_header_counts_no_tokens_and_is_named_in_the_log(owner, caplog):
    bad = ["many", "-1", "1.5", "\u0663".encode().decode("latin-1"), "9" * 400, "0x10", "1e3"]
    with caplog.at_level(logging.WARNING, logger="lago_sync.middleware"):
        for one in bad:
            send(owner, said={"X-Tokens-Used": one})
    assert [one["tokens"] for one in recorded()] == ["0"] * len(bad)
    assert caplog.text.count("no number of tokens") == len(bad)


def test_an_answer_is_given_though_it_cannot_be_recorded(owner, caplog, monkeypatch):
    def gone(*_, **__):
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(writing, "add_event", gone)
    send(owner)
    assert recorded() == []
    assert "is not recorded" in caplog.text


def test_knows_the_caller_of_an_api_view_by_its_key(team):
    class Api(APIView):
        def post(self, request):
            return Response("answer")

    key = orgs.organization_key(team).text
    send(view=Api.as_view(), Authorization=f"Bearer {key}")
    assert [row.organization for row in OutboxEvent.objects.all()] == [team.public_id]


def test_serves_async_views_too(owner):
    async def view(_):
        return HttpResponse("answer", headers={"X-Tokens-Used": "7"})

    request = RequestFactory().get("/v1/chat")
    request.user = owner
    assert async_to_sync(TrackUsage(view))(request).status_code == 200
    assert [one["tokens"] for one in recorded()] == ["7"]

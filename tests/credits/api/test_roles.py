"""Who gets which answer from every endpoint of `credits`: one table, and every address of the app stands in it."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import get_resolver

from credits.models import Allocation, Hold, UsageRecord
from orgs.models import AccessKey
from tests.factories import credits as make
from tests.factories.api import Http, Scene, done, error_of, refused, undone

pytestmark = pytest.mark.django_db

CALLERS = ("", "outsider", "member", "manager", "billing_admin", "admin", "owner", "system_admin")
"""In a browser; "" is nobody."""
KEYS = ("membership", "personal", "organization", "platform")

CREDITS = "org-billing/credits/{org}"
SPEND = {"transaction_id": "t", "credits": "1", "org_id": "{org}"}
SHARE = {"user_id": "{user}", "credits": "90"}
CAP = {"credits": "500", "period": "day", "is_hard": True}
OWN = {"user_id": "{engineer}", "credits": "90"}
ACCEPTED = {"departments": [{"department_id": "{department}", "credits": "90"}]}


@dataclass(frozen=True)
class Endpoint:
    """A call, its status for each of CALLERS, for each of KEYS with the scope, and the scope that a key needs."""

    method: str
    path: str
    people: tuple[int, ...]
    keys: tuple[int, ...]
    scope: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (" (own)" if self.body is OWN else "")


ENDPOINTS = [
    #                     nobody, outsider, member, manager, billing, admin, owner, system admin | membership, personal, organization, platform
    Endpoint("GET", "usage/holds?org_id={org}", (401, 404, *[200] * 6), (200,) * 4, "usage:write"),
    Endpoint("POST", "usage/holds", (401, 404, *[201] * 5, 404), (201,) * 4, "usage:write", SPEND),
    Endpoint("GET", "usage/holds/{hold}", (401, 404, 200, 404, *[200] * 4), (200, 200, 200, 200), "usage:write"),
    Endpoint("POST", "usage/holds/{hold}/capture", (401, 404, 403, *[404] * 5), (403, 403, 200, 200), "usage:write", {"credits": "1"}),
    Endpoint("POST", "usage/holds/{hold}/release", (401, 404, 403, *[404] * 5), (403, 403, 200, 200), "usage:write"),
    Endpoint("POST", "usage/charges", (401, 404, *[201] * 5, 404), (201,) * 4, "usage:write", SPEND),
    Endpoint("POST", "usage/charges/batch", (401, *[200] * 7), (200,) * 4, "usage:write", {"charges": [SPEND]}),
    Endpoint("POST", "usage/charges/{charge}/reverse", (401, 404, 403, 403, *[201] * 4), (403, 403, 201, 201), "", {"reason": "r"}),
    Endpoint("POST", "usage/check", (401, 404, *[200] * 5, 404), (200,) * 4, "usage:write", SPEND),
    Endpoint("POST", "usage/estimate", (401, 404, *[200] * 5, 404), (200,) * 4, "usage:write", SPEND),
    Endpoint("POST", "usage/keys/introspect", (401, *[403] * 7), (403, 403, 403, 200), "usage:write", {"key": "cpk_x"}),
    Endpoint("GET", CREDITS, (401, 404, *[200] * 6), (200,) * 4, "credits:read"),
    Endpoint("POST", f"{CREDITS}/allocate", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write", SHARE),
    Endpoint("POST", f"{CREDITS}/allocate", (401, 404, 403, 200, *[200] * 4), (403, 403, 200, 200), "credits:write", OWN),
    Endpoint("GET", f"{CREDITS}/allocations", (401, 404, *[200] * 6), (200,) * 4, "credits:read"),
    Endpoint("GET", f"{CREDITS}/allocations/{{user}}", (401, 404, 200, 403, *[200] * 4), (200,) * 4, "credits:read"),
    Endpoint("PATCH", f"{CREDITS}/allocations/{{user}}", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write", {"limited": False}),
    Endpoint("DELETE", f"{CREDITS}/allocations/{{user}}", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write"),
    Endpoint("GET", f"{CREDITS}/requests", (401, 404, *[200] * 6), (200,) * 4, "credits:read"),
    Endpoint("POST", f"{CREDITS}/requests", (401, 404, *[201] * 5, 403), (201, 201, 403, 403), "credits:write", {"credits": "1", "reason": "r"}),
    Endpoint("POST", f"{CREDITS}/requests/{{request}}/approve", (401, 404, 404, 404, *[200] * 4), (404, 404, 200, 200), "credits:write", {}),
    Endpoint("POST", f"{CREDITS}/requests/{{request}}/decline", (401, 404, 404, 404, *[200] * 4), (404, 404, 200, 200), "credits:write", {}),
    Endpoint("POST", f"{CREDITS}/requests/{{request}}/withdraw", (401, 404, 404, 404, *[403] * 4), (404, 404, 403, 403), "credits:write"),
    Endpoint("GET", f"{CREDITS}/budgets", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:read"),
    Endpoint("POST", f"{CREDITS}/budgets", (401, 404, 403, 403, *[201] * 4), (403, 403, 201, 201), "credits:write", CAP),
    Endpoint("GET", f"{CREDITS}/budgets/{{budget}}", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:read"),
    Endpoint("PUT", f"{CREDITS}/budgets/{{budget}}", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write", {"credits": "9", "is_hard": True}),
    Endpoint("DELETE", f"{CREDITS}/budgets/{{budget}}", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write"),
    Endpoint("POST", f"{CREDITS}/departments/{{department}}/transfer", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write", {"credits": "1"}),
    Endpoint("GET", f"{CREDITS}/proposals", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:read"),
    Endpoint("POST", f"{CREDITS}/proposals/apply", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:write", ACCEPTED),
    Endpoint("GET", f"{CREDITS}/usage", (401, 404, *[200] * 6), (200,) * 4, "credits:read"),
    Endpoint("GET", f"{CREDITS}/records", (401, 404, *[200] * 6), (200,) * 4, "credits:read"),
    Endpoint("GET", f"{CREDITS}/ledger", (401, 404, 403, 403, *[200] * 4), (403, 403, 200, 200), "credits:read"),
    Endpoint("GET", "models", (401, *[200] * 7), (200,) * 4, ""),
]  # fmt: skip


@pytest.fixture
def ids(scene: Scene) -> dict[str, str]:
    member = scene.people["member"]
    by = make.spender(member, made_by="key_other")
    hold, charge = make.held(scene.org, member, 5, by=by), make.charged(scene.org, member, 5, by=by)
    return {
        "org": scene.org.public_id, "user": member.public_id, "engineer": scene.id_of("engineer"),
        "hold": str(hold), "charge": str(charge), "request": str(make.ask(scene.org, scene.people["colleague"]).pk),
        "budget": str(make.budget(scene.org, 900).public_id), "department": scene.department.public_id,
    }  # fmt: skip


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, ids) for inner in value]
    return value.format(**ids) if isinstance(value, str) else value


def call(client: Http, endpoint: Endpoint, ids: dict[str, str], number: int) -> Any:
    body = filled(endpoint.body, ids)
    if isinstance(body, dict) and "transaction_id" in body:
        body["transaction_id"] = f"t{number}"
    header = {"X_Organization": ids["org"]} if endpoint.path.startswith("usage/keys") else {}
    return client.send(endpoint.method, f"/{endpoint.path.format(**ids)}", body, **header)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_answers_by_who_asks(scene, ids, endpoint):
    found: list[int] = []
    clients = [scene.http(who) for who in CALLERS] + [scene.key(kind) for kind in KEYS]
    for number, client in enumerate(clients):
        with undone():  # so that each finds what the first one found
            answer = call(client, endpoint, ids, number)
        found.append(answer.status_code)
        if answer.status_code >= 400:
            error_of(answer)
    named = dict(zip((*CALLERS, *KEYS), found, strict=True))
    assert named == dict(zip((*CALLERS, *KEYS), (*endpoint.people, *endpoint.keys), strict=True))


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.scope], ids=str)
def test_a_key_without_the_scope_is_refused_before_anything_else(scene, ids, endpoint):
    others = [one for one in AccessKey.Scope.values if one != endpoint.scope]
    for number, kind in enumerate(KEYS):
        answer = call(scene.key(kind, *others), endpoint, ids, number)
        assert refused(answer, 403, "permission_denied") == {"scope": endpoint.scope}
        with_it = call(scene.key(kind, endpoint.scope), endpoint, ids, number).json()
        assert "scope" not in ((with_it.get("error") or {}).get("details") or {})


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_nobody_is_told_so_before_the_body_is_read(ids, endpoint):
    for client in (Http(), Http(key="cpk_wrong")):
        answer = client.raw(endpoint.method, f"/{endpoint.path.format(**ids)}", b"{not json")
        assert refused(answer, 401, "unauthorized") == {}


def test_has_no_address_that_the_table_misses():
    operations = set()
    for pattern in get_resolver("credits.api.urls").url_patterns:
        view = pattern.callback.view_class
        shape = "/".join("{}" if part.startswith("<") else part for part in str(pattern.pattern).split("/"))
        methods = ("get", "post", "put", "patch", "delete")
        operations |= {(method.upper(), shape) for method in methods if hasattr(view, method)}
    told = {
        (
            one.method,
            "/".join(
                "{}" if part.startswith("{") else part for part in one.path.partition("?")[0].split("/")
            ),
        )
        for one in ENDPOINTS
    }
    assert operations == told


def test_every_other_method_is_405_in_the_one_shape(scene, ids):
    allowed: dict[str, set[str]] = {}
    for one in ENDPOINTS:
        allowed.setdefault(one.path.partition("?")[0], set()).add(one.method)
    client = scene.key("platform")
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            answer = client.send(method, f"/{path.format(**ids)}", {})
            refused(answer, 405, "method_not_allowed")
            assert methods <= set(answer["Allow"].replace(" ", "").split(","))


class TestWhatAMemberSees:
    @pytest.fixture(autouse=True)
    def _usage(self, scene):
        make.charged(scene.org, scene.people["member"], 3, by=make.spender(scene.people["member"]))
        make.charged(scene.org, scene.people["colleague"], 7, by=make.spender(scene.people["colleague"]))
        make.charged(scene.org, scene.people["engineer"], 11, by=make.spender(scene.people["engineer"]))

    @pytest.fixture(params=["session", "membership", "personal"])
    def member(self, request, scene):
        return scene.http("member") if request.param == "session" else scene.key(request.param)

    def test_of_the_pool_is_what_is_available_and_the_own_part(self, scene, member):
        body = done(member.ask(scene.credits))
        assert set(body) == {"org_id", "available", "quota", "allocation"}
        assert body["allocation"] == {
            "payer": "allocation", "allocated": "100", "used": "3", "held": "0", "remaining": "97",
            "runway_days": None, "runway_state": "not_known_yet",
        }  # fmt: skip

    def test_of_usage_is_the_own(self, scene, member):
        assert done(member.ask(f"{scene.credits}/usage"))["total_credits"] == "3"
        groups = done(member.ask(f"{scene.credits}/usage?group_by=user"))["breakdown"]
        assert [one["key"] for one in groups] == [scene.id_of("member")]
        refused(member.ask(f"{scene.credits}/usage?user_id={scene.id_of('colleague')}"), 403)
        assert (
            done(member.ask(f"{scene.credits}/usage?department_id={scene.department.public_id}"))[
                "total_credits"
            ]
            == "0"
        )

    def test_of_records_and_allocations_is_the_own(self, scene, member):
        assert [one["user_id"] for one in done(member.ask(f"{scene.credits}/records"))["data"]] == [
            scene.id_of("member")
        ]
        assert [one["user_id"] for one in done(member.ask(f"{scene.credits}/allocations"))["data"]] == [
            scene.id_of("member")
        ]
        assert done(member.ask(f"{scene.credits}/allocations?search=e"))["pagination"]["total"] <= 1

    def test_a_manager_sees_and_shares_out_the_own_department_s_alone(self, scene):
        manager = scene.http("manager")
        body = done(manager.ask(scene.credits))
        assert "granted" not in body
        assert [one["id"] for one in body["departments"]] == [scene.department.public_id]
        assert body["departments"][0]["used"] == "11"
        assert done(manager.ask(f"{scene.credits}/usage"))["total_credits"] == "11"
        assert {one["user_id"] for one in done(manager.ask(f"{scene.credits}/allocations"))["data"]} == {
            scene.id_of("engineer")
        }
        answer = manager.post(
            f"{scene.credits}/allocate", {"user_id": scene.id_of("engineer"), "credits": "81"}
        )
        assert "granted" not in done(answer)["pool"], "a manager learns the organization's figures"
        details = refused(
            manager.post(f"{scene.credits}/allocate", {"user_id": scene.id_of("engineer"), "credits": "500"}),
            402,
        )
        assert details["limit"]["scope"] == scene.department.public_id

    def test_nobody_outside_learns_which_members_there_are(self, scene):
        for path in (
            f"{scene.credits}/allocations/{scene.id_of('member')}",
            f"{scene.credits}/usage?user_id={scene.id_of('member')}",
        ):
            refused(scene.http("outsider").ask(path), 404, "not_found")


def test_no_sequential_id_leaves_the_system(scene, ids):
    """Every id in an answer is a public id or a UUID, and no primary key of ours stands in any of them."""
    client = scene.key("platform")
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            text = call(client, endpoint, ids, 0).content.decode()
            for name in ("pk", "organization_id", "pool_id", "allocation_id", "key_id", "membership_id"):
                assert f'"{name}"' not in text, endpoint
    assert Hold.objects.count() == Allocation.objects.filter(held__gt=0).count()
    assert UsageRecord.objects.count() == 1

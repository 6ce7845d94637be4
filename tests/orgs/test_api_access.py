"""Who gets which answer from every endpoint of `orgs`: one table, and every address of the app stands in it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import get_resolver

from orgs.models import Membership
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

NEW_KEY = {"name": "CI", "kind": "organization", "scopes": ["usage:write"]}
CALLERS = ("anonymous", "outsider", "member", "manager", "billing_admin", "admin", "owner", "system_admin")


@dataclass(frozen=True)
class Endpoint:
    """A call, and its status for each of CALLERS in order."""

    method: str
    path: str
    statuses: tuple[int, ...]
    body: dict[str, Any] | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ENDPOINTS = [
    #                                            anonymous, outsider, member, manager, billing, admin, owner, system admin
    Endpoint("GET", "me", (401, 200, 200, 200, 200, 200, 200, 200)),
    Endpoint("PATCH", "me", (401, 404, 200, 200, 200, 200, 200, 404), {"default_org_id": "{org}"}),
    Endpoint("GET", "me/keys", (401, 200, 200, 200, 200, 200, 200, 200)),
    Endpoint("POST", "me/keys", (401, *[201] * 7), {"name": "mine", "scopes": ["org:read"]}),
    Endpoint("DELETE", "me/keys/{personal_key}", (401, 404, 204, 404, 404, 404, 404, 404)),
    Endpoint("GET", "orgs", (401, *[200] * 7)),
    Endpoint("POST", "orgs", (401, *[201] * 7), {"name": "New"}),
    Endpoint("GET", "orgs/{org}", (401, 404, *[200] * 6)),
    Endpoint("PATCH", "orgs/{org}", (401, 404, 403, 403, 403, 200, 200, 200), {"name": "Renamed"}),
    Endpoint("DELETE", "orgs/{org}", (401, 404, 403, 403, 403, 403, 204, 204)),
    Endpoint("POST", "orgs/{org}/switch", (401, 404, 200, 200, 200, 200, 200, 404)),
    Endpoint("GET", "orgs/{org}/members", (401, 404, *[200] * 6)),
    Endpoint(
        "PATCH", "orgs/{org}/members/{user}", (401, 404, 403, 403, 403, 200, 200, 200), {"role": "admin"}
    ),
    Endpoint("DELETE", "orgs/{org}/members/{user}", (401, 404, 204, 403, 403, 204, 204, 204)),
    Endpoint("GET", "orgs/{org}/departments", (401, 404, *[200] * 6)),
    Endpoint("POST", "orgs/{org}/departments", (401, 404, 403, 403, 403, 201, 201, 201), {"name": "Sales"}),
    Endpoint(
        "PATCH", "orgs/{org}/departments/{dep}", (401, 404, 403, 403, 403, 200, 200, 200), {"name": "R&D"}
    ),
    Endpoint("DELETE", "orgs/{org}/departments/{dep}", (401, 404, 403, 403, 403, 204, 204, 204)),
    Endpoint("GET", "orgs/{org}/keys", (401, 404, *[200] * 6)),
    Endpoint("POST", "orgs/{org}/keys", (401, 404, 403, 403, 403, 201, 201, 201), NEW_KEY),
    Endpoint("DELETE", "orgs/{org}/keys/{key}", (401, 404, 404, 404, 404, 204, 204, 204)),
    Endpoint("GET", "orgs/{org}/audit", (401, 404, 403, 403, 403, 200, 200, 200)),
]
CASES = [(one, caller, one.statuses[index]) for one in ENDPOINTS for index, caller in enumerate(CALLERS)]


@pytest.fixture
def world():
    """A team with one of each role, a department with a manager, and an outsider with a team of their own."""
    team = make.team()
    people = {role: make.member(team, role).user for role in ("member", "billing_admin", "admin")}
    manager = make.member(team)
    people |= {"manager": manager.user, "outsider": make.team("Globex").memberships.get().user}
    people |= {
        "owner": Membership.objects.get(organization=team, role="owner").user,
        "system_admin": make.system_admin(),
    }
    ids = {
        "org": team.public_id,
        "user": people["member"].public_id,
        "dep": make.department(team, manager=manager).public_id,
        "key": make.organization_key(team).key.public_id,
        "personal_key": make.personal_key(people["member"]).key.public_id,
    }
    return people, ids


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    return value.format(**ids) if isinstance(value, str) else value


@pytest.mark.parametrize(("endpoint", "caller", "status"), CASES, ids=str)
def test_answers_by_who_asks(world, api, endpoint, caller, status):
    people, ids = world
    client = api(user=people.get(caller))
    answer = client.send(
        endpoint.method, f"/api/v1/{endpoint.path.format(**ids)}", filled(endpoint.body, ids)
    )
    assert answer.status_code == status, answer.content
    if status >= 400:
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"code", "message", "details"}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_asks_who_it_is_before_it_reads_the_body(world, api, endpoint):
    _, ids = world
    answer = api(key="cpk_wrong").generic(
        endpoint.method,
        f"/api/v1/{endpoint.path.format(**ids)}",
        b"{not json",
        content_type="application/json",
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_refuses_a_key_without_the_scope(world, api, endpoint):
    people, ids = world
    key = make.personal_key(people["owner"], "usage:write").text
    answer = api(key=key).send(
        endpoint.method, f"/api/v1/{endpoint.path.format(**ids)}", filled(endpoint.body, ids)
    )
    assert answer.status_code == (200 if str(endpoint) == "GET me" else 403)


def test_has_no_address_that_the_table_misses():
    patterns: list[Any] = get_resolver("orgs.api.urls").url_patterns
    operations = set()
    for pattern in patterns:
        view = pattern.callback.view_class
        shape = "/".join("{}" if part.startswith("<") else part for part in str(pattern.pattern).split("/"))
        operations |= {
            (method.upper(), shape)
            for method in ("get", "post", "put", "patch", "delete")
            if hasattr(view, method)
        }
    told = {
        (one.method, "/".join("{}" if part.startswith("{") else part for part in one.path.split("/")))
        for one in ENDPOINTS
    }
    assert operations == told


@pytest.mark.parametrize("bad", ["%00", "org_%ff", "1", "org_' OR 1=1--", "x" * 300, "%F0%9F%92%B8"])
@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if "{" in one.path], ids=str)
def test_answers_404_for_an_id_that_is_none(world, api, endpoint, bad):
    people, ids = world
    for name in ids:
        if f"{{{name}}}" in endpoint.path:
            path = endpoint.path.format(**{**ids, name: bad})
            answer = api(user=people["owner"]).send(
                endpoint.method, f"/api/v1/{path}", filled(endpoint.body, ids)
            )
            assert answer.status_code == 404, answer.content


class TestNamesOfOrganizations:
    def test_header_and_path_that_differ_are_400(self, world, api):
        people, ids = world
        answer = api(user=people["owner"]).send(
            "GET", f"/api/v1/orgs/{ids['org']}", X_Organization="org_other"
        )
        assert answer.status_code == 400

    def test_a_key_of_one_organization_reaches_no_other_of_its_member(self, world, api):
        people, ids = world
        elsewhere = make.team("Elsewhere", owner=people["owner"])
        key = make.membership_key(elsewhere.memberships.get()).text
        assert api(key=key).send("GET", f"/api/v1/orgs/{ids['org']}").status_code == 404
        assert api(key=key).send("GET", f"/api/v1/orgs/{elsewhere.public_id}").status_code == 200

    def test_a_system_admin_s_personal_key_lends_no_power_out(self, world, api):
        people, ids = world
        key = make.personal_key(people["system_admin"]).text
        assert api(key=key).send("GET", f"/api/v1/orgs/{ids['org']}").status_code == 404

    def test_a_platform_key_reaches_all(self, world, api):
        _, ids = world
        client = api(key=make.platform_key().text)
        assert client.send("GET", f"/api/v1/orgs/{ids['org']}").status_code == 200
        assert client.send("GET", "/api/v1/orgs").json()["pagination"]["total"] == 2
        assert client.send("POST", "/api/v1/orgs", {"name": "x"}).status_code == 403


class TestSessions:
    def test_need_the_csrf_token_to_change_something(self, world):
        from django.test import Client

        people, _ = world
        client = Client(enforce_csrf_checks=True)
        client.force_login(people["owner"])
        answer = client.post("/api/v1/orgs", {"name": "x"}, content_type="application/json")
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "permission_denied"
        assert client.get("/api/v1/orgs").status_code == 200

    def test_end_with_the_user(self, world, api):
        people, _ = world
        client = api(user=people["owner"])
        type(people["owner"]).objects.filter(pk=people["owner"].pk).update(is_active=False)
        assert client.send("GET", "/api/v1/me").status_code == 401

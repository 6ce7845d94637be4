"""What `/orgs` and what hangs on it answer: exact fields, figures, refusals by field, pages."""

from typing import Any

import pytest
from django.db import transaction

from orgs import organizations, signals, subscriptions
from orgs.audit import events
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Membership, User
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

LINE = {"id", "slug", "name", "kind", "role", "plan_code", "is_default", "is_active", "created_at"}


@pytest.fixture
def team():
    return make.team()


@pytest.fixture
def owner(team):
    return Membership.objects.get(organization=team, role="owner").user


@pytest.fixture
def client(api, owner):
    return api(user=owner)


class TestOrganizations:
    def test_list_mine_with_role_plan_and_choice(self, client, team, owner):
        from datetime import UTC, datetime

        client_team = make.team("Client")
        make.member(client_team, "billing_admin", who=owner)
        with transaction.atomic():
            organizations.set_default(user=owner, organization=client_team, by=SYSTEM)
            period: dict[str, Any] = {
                "period_start": datetime(2027, 1, 1, tzinfo=UTC),
                "period_end": datetime(2027, 2, 1, tzinfo=UTC),
            }
            subscriptions.set_plan(organization=team, plan_code="starter", by=SYSTEM, **period)
        first, second = client.get("/api/v1/orgs").json()["data"]
        assert set(first) == LINE
        assert (first["id"], first["role"], first["plan_code"]) == (team.public_id, "owner", "starter")
        assert (second["role"], second["plan_code"], second["is_default"], second["is_active"]) == (
            "billing_admin", None, True, True,
        )  # fmt: skip

    def test_cost_as_many_queries_for_twenty_as_for_two(self, client, owner, django_assert_max_num_queries):
        for number in range(20):
            make.team(f"Team {number}", owner=owner)
        with django_assert_max_num_queries(8):
            assert client.get("/api/v1/orgs").json()["pagination"]["total"] == 21

    def test_pages_hang_together(self, client, owner):
        for number in range(4):
            make.team(f"Team {number}", owner=owner)
        seen = []
        for offset in (0, 2, 4):
            page = client.get(f"/api/v1/orgs?limit=2&offset={offset}").json()
            seen += [one["id"] for one in page["data"]]
        assert len(set(seen)) == 5
        assert page["pagination"] == {"total": 5, "limit": 2, "offset": 4, "has_more": False}

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=1e1",
            "limit=٣",
            "offset=-1",
            "offset=99999999999999999999",
            "limit=",
            "limit=%00",
        ],
    )
    def test_refuse_a_page_that_is_none(self, client, query):
        answer = client.get(f"/api/v1/orgs?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_error")

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"name"}),
            ({"name": None}, {"name"}),
            ({"name": ""}, {"name"}),
            ({"name": 7}, {"name"}),
            ({"name": "x" * 121}, {"name"}),
            ({"name": ["x"]}, {"name"}),
            ({"name": "x", "time_zone": "Nowhere"}, {"time_zone"}),
            ({"name": "x", "time_zone": {}}, {"time_zone"}),
            ({"name": "x", "credits": "1000000"}, {"credits"}),
            ({"name": "x", "id": "org_mine", "status": "active"}, {"id", "status"}),
        ],
    )
    def test_refuse_by_field(self, client, body, fields):
        answer = client.send("POST", "/api/v1/orgs", body)
        assert answer.status_code == 422
        assert set(answer.json()["error"]["details"]) == fields

    def test_have_no_address_with_a_slash(self, client):
        assert client.get("/api/v1/orgs/").status_code == 404

    @pytest.mark.parametrize("method", ["put", "delete"])
    def test_have_no_other_methods(self, client, method):
        answer = getattr(client, method)("/api/v1/orgs")
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")

    def test_take_json_alone(self, client):
        answer = client.post("/api/v1/orgs", {"name": "Acme"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


class TestOneOrganization:
    def test_shows_billing_details_to_who_may_buy(self, api, client, team):
        body = {"billing_email": "bills@acme.example", "tax_number": "DE1"}
        assert client.send("PATCH", f"/api/v1/orgs/{team.public_id}", body).json()["tax_number"] == "DE1"
        member = make.member(team).user
        shown = api(user=member).get(f"/api/v1/orgs/{team.public_id}").json()
        assert (shown["billing_email"], shown["tax_number"]) == (None, None)

    @pytest.mark.parametrize(
        "field", ["id", "slug", "kind", "status", "currency", "created_at", "owner", "balance"]
    )
    def test_changes_nothing_but_what_may_be(self, client, team, field):
        answer = client.send("PATCH", f"/api/v1/orgs/{team.public_id}", {"name": "Fine", field: "x"})
        assert answer.status_code == 422
        assert set(answer.json()["error"]["details"]) == {field}
        team.refresh_from_db()
        assert team.name == "Acme"

    def test_says_who_did_it_from_where(self, client, team, owner):
        client.send("PATCH", f"/api/v1/orgs/{team.public_id}", {"name": "New"})
        event = AuditEvent.objects.filter(organization=team.public_id).latest("sequence")
        assert (event.actor_kind, event.actor, event.address) == ("user", owner.public_id, "127.0.0.1")

    def test_marks_a_system_admin(self, api, team):
        api(user=make.system_admin()).send("PATCH", f"/api/v1/orgs/{team.public_id}", {"name": "New"})
        assert (
            AuditEvent.objects.filter(organization=team.public_id).latest("sequence").actor_kind
            == "system_admin"
        )

    def test_names_the_key_that_did_it(self, api, team):
        issued = make.organization_key(team)
        api(key=issued.text).send("PATCH", f"/api/v1/orgs/{team.public_id}", {"name": "New"})
        event = AuditEvent.objects.filter(organization=team.public_id).latest("sequence")
        assert (event.actor_kind, event.actor) == ("key", issued.key.public_id)

    def test_is_switched_to(self, api, team, owner, client):
        other = make.team("Other", owner=owner)
        assert client.send("POST", f"/api/v1/orgs/{other.public_id}/switch").json()["is_active"] is True
        assert client.get("/api/v1/me").json()["active_org_id"] == other.public_id
        assert User.objects.get(pk=owner.pk).active_organization == other

    def test_is_archived_by_its_owner_and_then_found_by_nobody(self, api, client, team):
        admin = make.member(team, "admin").user
        assert api(user=admin).delete(f"/api/v1/orgs/{team.public_id}").status_code == 403
        assert client.delete(f"/api/v1/orgs/{team.public_id}").status_code == 204
        assert client.get(f"/api/v1/orgs/{team.public_id}").status_code == 404
        assert AuditEvent.objects.filter(organization=team.public_id, action="organization.archived").exists()

    def test_of_one_person_is_not_archived(self, api):
        somebody = make.user()
        with transaction.atomic():
            own = organizations.personal_for(user=somebody)
        assert api(user=somebody).delete(f"/api/v1/orgs/{own.public_id}").status_code == 409


class TestMembers:
    def test_show_as_much_as_the_caller_may_see(self, api, client, team):
        manager, plain = make.member(team), make.member(team)
        department = make.department(team, manager=manager)
        mine = make.member(team, department=department)
        path = f"/api/v1/orgs/{team.public_id}/members"

        def seen(client):
            return {one["user_id"] for one in client.get(path).json()["data"]}

        assert len(seen(client)) == 4
        assert seen(api(user=manager.user)) == {manager.user.public_id, mine.user.public_id}
        assert seen(api(user=plain.user)) == {plain.user.public_id}
        assert len(seen(api(key=make.organization_key(team).text))) == 4

    def test_show_these_fields(self, client, team, owner):
        (line,) = client.get(f"/api/v1/orgs/{team.public_id}/members").json()["data"]
        assert set(line) == {"user_id", "email", "name", "role", "department", "joined_at", "last_active_at"}
        assert line["last_active_at"] is not None

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"role": "king"}, 422),
            ({"role": None}, 422),
            ({"role": "owner", "is_staff": True}, 422),
            ({"department_id": "dep_none"}, 404),
            ({"department_id": "\x00"}, 400),
            ({"department_id": 7}, 422),
        ],
    )
    def test_refuse(self, client, team, body, status):
        member = make.member(team)
        path = f"/api/v1/orgs/{team.public_id}/members/{member.user.public_id}"
        assert client.send("PATCH", path, body).status_code == status

    def test_move_and_rise_in_one_call(self, client, team):
        member, department = make.member(team), make.department(team)
        path = f"/api/v1/orgs/{team.public_id}/members/{member.user.public_id}"
        shown = client.send(
            "PATCH", path, {"role": "billing_admin", "department_id": department.public_id}
        ).json()
        assert (shown["role"], shown["department"]["id"]) == ("billing_admin", department.public_id)
        assert client.send("PATCH", path, {"department_id": None}).json()["department"] is None

    def test_rise_no_higher_than_who_lifts_them(self, api, team):
        admin, member = make.member(team, "admin"), make.member(team)
        path = f"/api/v1/orgs/{team.public_id}/members/{member.user.public_id}"
        assert api(user=admin.user).send("PATCH", path, {"role": "owner"}).status_code == 403
        assert (
            api(key=make.organization_key(team).text).send("PATCH", path, {"role": "owner"}).status_code
            == 403
        )
        mine = f"/api/v1/orgs/{team.public_id}/members/{admin.user.public_id}"
        assert api(user=admin.user).send("PATCH", mine, {"role": "owner"}).status_code == 403

    def test_keep_the_last_owner(self, client, team, owner):
        path = f"/api/v1/orgs/{team.public_id}/members/{owner.public_id}"
        assert client.send("DELETE", path).json()["error"]["code"] == "conflict"

    def test_of_another_organization_are_not_here(self, client, team):
        stranger = make.member(make.team("Other"))
        path = f"/api/v1/orgs/{team.public_id}/members/{stranger.user.public_id}"
        assert client.send("PATCH", path, {"role": "member"}).status_code == 404
        assert client.send("DELETE", path).status_code == 404


class TestDepartments:
    def test_show_figures_only_to_who_may_see_them(self, api, client, team):
        manager, plain = make.member(team), make.member(team)
        own = make.department(team, "Own", manager=manager)
        make.department(team, "Other")

        def describe(sender, organization, departments, **rest):
            return {one.pk: {"pool": {"available": "5"}, "used_30_days": "1"} for one in departments}

        signals.departments_described.connect(describe)
        try:
            path = f"/api/v1/orgs/{team.public_id}/departments"
            pools = [
                {one["name"]: one["pool"] is not None for one in caller.get(path).json()["data"]}
                for caller in (client, api(user=manager.user), api(user=plain.user))
            ]
        finally:
            signals.departments_described.disconnect(describe)
        assert pools == [
            {"Own": True, "Other": True},
            {"Own": True, "Other": False},
            {"Own": False, "Other": False},
        ]
        assert own.managers.get() == manager

    def test_are_made_with_managers_and_given_others(self, client, team):
        first, second = make.member(team), make.member(team)
        path = f"/api/v1/orgs/{team.public_id}/departments"
        made = client.send("POST", path, {"name": "R&D", "managers": [first.user.public_id]}).json()
        assert set(made) == {"id", "name", "managers", "members", "pool", "used_30_days", "budget"}
        assert [one["user_id"] for one in made["managers"]] == [first.user.public_id]
        changed = client.send("PATCH", f"{path}/{made['id']}", {"managers": [second.user.public_id]}).json()
        assert [one["user_id"] for one in changed["managers"]] == [second.user.public_id]

    def test_leave_nothing_when_a_manager_is_no_member(self, client, team):
        path = f"/api/v1/orgs/{team.public_id}/departments"
        assert client.send("POST", path, {"name": "R&D", "managers": ["usr_none"]}).status_code == 404
        assert client.get(path).json()["data"] == []

    def test_refuse_a_name_that_is_taken(self, client, team):
        make.department(team, "Sales")
        answer = client.send("POST", f"/api/v1/orgs/{team.public_id}/departments", {"name": "sales"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_exists")


class TestKeys:
    @pytest.fixture
    def path(self, team):
        return f"/api/v1/orgs/{team.public_id}/keys"

    def test_are_shown_once_and_work(self, api, client, path):
        issued = client.send("POST", path, {"name": "CI", "scopes": ["org:read"]}).json()
        assert api(key=issued["key"]).get("/api/v1/me").json()["key"]["id"] == issued["id"]
        listed = client.get(path)
        assert "key" not in listed.json()["data"][0]
        assert issued["key"] not in listed.content.decode()
        assert client.send("DELETE", f"{path}/{issued['id']}").status_code == 204
        assert api(key=issued["key"]).get("/api/v1/me").status_code == 401

    def test_of_others_are_seen_by_who_administers_alone(self, api, client, team, path):
        member = make.member(team)
        issued = make.membership_key(member)
        make.membership_key(Membership.objects.get(organization=team, role="owner"))
        assert client.get(path).json()["pagination"]["total"] == 2
        assert [one["id"] for one in api(user=member.user).get(path).json()["data"]] == [issued.key.public_id]

    def test_are_issued_for_service_members_by_who_administers_and_for_no_person(
        self, api, client, team, path
    ):
        from orgs import memberships

        with transaction.atomic():
            agent = memberships.add_service_member(organization=team, name="Agent", by=SYSTEM).user.public_id
        person = make.member(team)
        body = {"name": "k", "scopes": ["usage:write"], "user_id": agent}
        assert client.send("POST", path, body).json()["user_id"] == agent
        assert api(user=person.user).send("POST", path, body).status_code == 403
        assert client.send("POST", path, body | {"user_id": person.user.public_id}).status_code == 403

    def test_give_no_scope_that_the_issuing_key_lacks(self, api, team, path):
        narrow = make.membership_key(make.member(team), "org:write")
        answer = api(key=narrow.text).send("POST", path, {"name": "wide", "scopes": ["billing:write"]})
        assert (answer.status_code, set(answer.json()["error"]["details"])) == (422, {"scopes"})

    def test_of_one_organization_issue_none_that_is_personal(self, api, team):
        bound = make.membership_key(make.member(team))
        answer = api(key=bound.text).send("POST", "/api/v1/me/keys", {"name": "k", "scopes": ["org:read"]})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"kind": "platform"}, "kind"),
            ({"kind": "personal"}, "kind"),
            ({"kind": "root"}, "kind"),
            ({"scopes": []}, "scopes"),
            ({"scopes": "org:read"}, "scopes"),
            ({"scopes": ["root"]}, "scopes"),
            ({"scopes": [1]}, "scopes"),
            ({"expires_at": "tomorrow"}, "expires_at"),
            ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
            ({"expires_at": "2027-13-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"allowed_addresses": ["localhost"]}, "allowed_addresses"),
            ({"kind": "organization", "user_id": "usr_x"}, "user_id"),
            ({"digest": "00"}, "digest"),
        ],
    )
    def test_are_refused_by_field(self, client, path, change, field):
        answer = client.send("POST", path, {"name": "k", "scopes": ["org:read"]} | change)
        assert answer.status_code == 422, answer.content
        assert set(answer.json()["error"]["details"]) == {field}


class TestAudit:
    def test_pages_go_on_while_events_are_added(self, client, team):
        def record(number):
            with transaction.atomic():
                events.record(organization=team.public_id, by=SYSTEM, action="tested", target=str(number))

        for number in range(4):
            record(number)
        path = f"/api/v1/orgs/{team.public_id}/audit?limit=2"
        first = client.get(path).json()
        record(99)
        second = client.get(f"{path}&cursor={first['pagination']['next_cursor']}").json()
        third = client.get(f"{path}&cursor={second['pagination']['next_cursor']}").json()
        assert [one["sequence"] for page in (first, second, third) for one in page["data"]] == [5, 4, 3, 2, 1]
        assert third["pagination"] == {"next_cursor": None, "limit": 2}

    def test_is_searched(self, client, team, owner):
        client.send("PATCH", f"/api/v1/orgs/{team.public_id}", {"name": "New"})
        path = f"/api/v1/orgs/{team.public_id}/audit"
        assert len(client.get(f"{path}?action=organization.updated").json()["data"]) == 1
        assert client.get(f"{path}?actor=usr_nobody").json()["data"] == []

    @pytest.mark.parametrize(
        "query",
        [
            "cursor=x",
            "cursor=%00",
            "cursor=IjEi",
            "cursor=dHJ1ZQ",
            "cursor=LTE",
            "cursor=" + "A" * 600,
            "action=%00",
            "action=" + "x" * 201,
            "cursor=" + "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
        ],
    )
    def test_refuses_made_up_cursors_and_texts(self, client, team, query):
        assert client.get(f"/api/v1/orgs/{team.public_id}/audit?{query}").status_code == 422


class TestMe:
    def test_of_a_person_alone_is_their_personal_organization(self, api):
        user = make.user()
        client = api(user=user)
        shown = client.get("/api/v1/me").json()
        assert shown["active_org_id"].startswith("org_")
        assert client.get("/api/v1/orgs").json()["data"][0]["kind"] == "personal"

    def test_of_a_key_that_is_nobody_s(self, api, team):
        shown = api(key=make.organization_key(team).text).get("/api/v1/me").json()
        assert (shown["id"], shown["key"]["kind"], shown["key_org_id"]) == (
            None,
            "organization",
            team.public_id,
        )

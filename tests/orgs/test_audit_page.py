"""The audit page and its API: who may read it, what is found, how it reads, and the file with all of it."""

import csv
import io
import json
import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orgs import departments, evidence, memberships, organizations
from orgs.audit import events, trail
from orgs.audit.events import SYSTEM, Actor
from orgs.audit.models import AuditEvent
from orgs.models import Membership
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
Role = Membership.Role


@pytest.fixture
def owner():
    return make.user("Olive Owner")


@pytest.fixture
def team(owner):
    """A team whose clock is 5:45 ahead, with some acts of its owner."""
    team = make.team("Acme", owner=owner)
    by = Actor(kind="user", public_id=owner.public_id, address="192.0.2.7")
    max_ = make.member(team, who=make.user("Max Manager"))
    department = make.department(team, "Engineering")
    with transaction.atomic():
        organizations.update(organization=team, changes={"time_zone": "Asia/Kathmandu"}, by=by)
        departments.add_manager(department=department, membership=max_, by=by)
        memberships.move(membership=max_, department=department, by=by)
        memberships.change_role(membership=max_, role=Role.ADMIN, by=by, acting_as=Role.OWNER)
        events.record(
            organization=team.public_id,
            by=SYSTEM,
            action="spending.refused",
            target=max_.user.public_id,
            after={"count": 3, "reason": "=1+1"},
        )
    team.refresh_from_db()
    return team


@pytest.fixture
def client(owner):
    client = Client()
    client.force_login(owner)
    return client


def page_of(team, query=""):
    return f"/orgs/{team.slug}/audit/{query}"


def text_of(answer):
    page = answer.content.decode()
    main = page[page.index("<tbody") : page.index("</tbody>")] if "<tbody" in page else page
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", main))


def rows_of(answer):
    return len(re.findall(r'<tr id="event-', answer.content.decode()))


def file_of(answer):
    content = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(content)))


class TestWho:
    @pytest.mark.parametrize(("role", "status"), [("admin", 200), ("billing_admin", 403), ("member", 403)])
    def test_owners_and_admins_read_it(self, team, role, status):
        client = Client()
        client.force_login(make.member(team, role).user)
        assert client.get(page_of(team)).status_code == status
        assert client.get(page_of(team, "?format=csv")).status_code == status

    def test_strangers_do_not_know_of_it(self, team):
        stranger, other = Client(), make.team("Other")
        stranger.force_login(other.memberships.get().user)
        assert stranger.get(page_of(team)).status_code == 404

    def test_nothing_of_another_organization_is_in_it(self, team, client):
        other = make.team("Other")
        assert other.public_id not in client.get(page_of(team)).content.decode()
        names = {row["sequence"] for row in file_of(client.get(page_of(team, "?format=csv")))}
        assert len(names) == AuditEvent.objects.filter(organization=team.public_id).count()


class TestReading:
    def test_names_stand_beside_ids_and_what_changed_beside_what_was(self, team, client, owner):
        text = text_of(client.get(page_of(team)))
        assert f"Olive Owner {owner.public_id} 192.0.2.7" in text
        assert "time zone UTC → became Asia/Kathmandu" in text
        assert "department none → became Engineering" in text
        assert "role member → became admin" in text
        assert "Department manager added" in text
        assert "manager Max Manager" in text
        assert "The portal" in text
        assert "department Engineering → became Engineering" not in text  # what stayed is left out

    def test_a_page_costs_as_many_queries_however_many_events(self, team, client):
        client.get(page_of(team))
        with CaptureQueriesContext(
            connection,
        ) as few:
            client.get(page_of(team))
        with transaction.atomic():
            for _ in range(30):
                events.record(
                    organization=team.public_id, by=SYSTEM, action="tested", target=make.user().public_id
                )
        with CaptureQueriesContext(connection) as many:
            client.get(page_of(team))
        assert len(many) == len(few)

    def test_pages_go_on_to_the_first_event(self, team, client):
        with transaction.atomic():
            for _ in range(60):
                events.record(organization=team.public_id, by=SYSTEM, action="tested")
        first = client.get(page_of(team))
        assert rows_of(first) == 50
        [older] = re.findall(r'href="(\?before=\d+)#events"', first.content.decode())
        second = client.get(page_of(team, older))
        assert rows_of(second) == AuditEvent.objects.filter(organization=team.public_id).count() - 50
        assert 'id="event-1"' in second.content.decode()
        for odd in ("x", "-1", "9" * 40, "²"):
            assert client.get(page_of(team, f"?before={odd}")).status_code == 200


class TestFinding:
    def found(self, client, team, query):
        answer = client.get(page_of(team, f"?{query}"))
        assert answer.status_code == 200
        return rows_of(answer)

    def test_by_action_by_who_and_by_whom(self, team, client, owner):
        who = Membership.objects.get(organization=team, role="admin").user.public_id
        assert self.found(client, team, "action=member.moved") == 1
        assert self.found(client, team, f"actor={owner.public_id}") == 4
        assert self.found(client, team, f"target={who}&action=member.role_changed") == 1
        assert self.found(client, team, "actor=portal&action=spending.refused") == 1
        assert "Only what was done to" in client.get(page_of(team, f"?target={who}")).content.decode()

    def test_by_a_name_which_no_event_has_in_it(self, team, client):
        assert (
            self.found(client, team, "q=max+man") == 4
        )  # joined, moved, promoted, refused; as a manager below
        assert self.found(client, team, "q=KATHMANDU") == 1
        assert self.found(client, team, "q=192.0.2.7") == 4
        assert self.found(client, team, "q=nothing+of+this+kind") == 0

    def test_by_days_of_the_organization(self, team, client):
        zone = ZoneInfo("Asia/Kathmandu")
        today = datetime.now(zone).date().isoformat()
        everything = AuditEvent.objects.filter(organization=team.public_id).count()
        assert self.found(client, team, f"start={today}&end={today}") == everything
        assert self.found(client, team, "end=2020-01-01") == 0
        first, last = evidence.days(since=date(2026, 3, 1), until=date(2026, 3, 1), organization=team)
        assert first.astimezone(ZoneInfo("UTC")).isoformat() == "2026-02-28T18:15:00+00:00"
        assert (last - first).days == 1

    def test_says_what_is_wrong_with_days(self, team, client):
        for query in ("start=yesterday", "start=2026-02-02&end=2026-01-01"):
            answer = client.get(page_of(team, f"?{query}"))
            assert answer.status_code == 422
            assert "These days cannot be shown" in answer.content.decode()

    def test_offers_the_actions_that_there_are(self, team):
        chain = team.public_id
        named = set(AuditEvent.objects.filter(organization=chain).values_list("action", flat=True))
        assert trail.actions(chain=chain) == sorted(named)
        assert trail.actions(chain="org_nobody") == []

    def test_each_filter_has_an_index(self):
        """Among many rows and with the planner's figures of them: on a few, all indexes cost the same."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO audit_auditevent
                (organization, sequence, at, actor_kind, actor, address, action, target, before, after, previous_hash, hash)
                SELECT 'org_many', n, now(), 'user', 'a' || n % 50, '', 'b' || n % 50, 'c' || n % 50, '{}', '{}', '', ''
                FROM generate_series(1, 3000) n
                """
            )
            cursor.execute("ANALYZE audit_auditevent")
        for name in ("action", "actor", "target"):
            search = trail.Search(**{name: "x"})
            plan = trail.events(chain="org_many", search=search)[:50].explain()
            assert f"audit_event_by_{name}" in plan, plan


class TestFile:
    def test_has_all_that_matches_as_it_is_in_the_log_and_no_formula(self, team, client, monkeypatch):
        monkeypatch.setattr(trail, "_READ_TOGETHER", 2)
        rows = file_of(client.get(page_of(team, "?format=csv")))
        events_ = list(AuditEvent.objects.filter(organization=team.public_id).order_by("-sequence"))
        assert [row["hash"] for row in rows] == [event.hash for event in events_]
        assert [json.loads(row["after"]) for row in rows] == [event.after for event in events_]
        assert rows[0]["target_name"] == "Max Manager"
        with transaction.atomic():
            events.record(
                organization=team.public_id, by=SYSTEM, action="tested", target="=cmd|' /C calc'!A0"
            )
        found = file_of(client.get(page_of(team, "?format=csv&action=tested")))
        assert [row["target"] for row in found] == ["'=cmd|' /C calc'!A0"]


class TestApi:
    @pytest.fixture
    def path(self, team):
        return f"/api/v1/orgs/{team.public_id}/audit"

    def test_narrows_by_days_and_text_and_names_people(self, team, client, path):
        data = client.get(f"{path}?search=max+man&action=member.moved").json()["data"]
        assert [(one["actor_name"], one["target_name"]) for one in data] == [("Olive Owner", "Max Manager")]
        assert client.get(f"{path}?end_date=2020-01-01").json()["data"] == []
        today = datetime.now(ZoneInfo("Asia/Kathmandu")).date()
        assert len(client.get(f"{path}?start_date={today}").json()["data"]) > 4

    def test_hands_out_a_file(self, team, client, path):
        answer = client.get(f"{path}?format=csv&action=member.moved")
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert [row["action"] for row in file_of(answer)] == ["member.moved"]

    @pytest.mark.parametrize(
        "query",
        [
            "start_date=x",
            "end_date=1999-01-01",
            "start_date=2026-02-02&end_date=2026-01-01",
            "format=xml",
            "search=%00",
        ],
    )
    def test_refuses_what_cannot_be(self, client, path, query):
        assert client.get(f"{path}?{query}").status_code == 422

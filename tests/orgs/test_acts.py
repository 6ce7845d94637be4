"""Every act that changes access or settings is in the audit log, and docs/audit.md names all that there are."""

import ast
import re
from pathlib import Path

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client

from orgs import departments, memberships, organizations
from orgs.audit.events import SYSTEM, Actor
from orgs.audit.models import PLATFORM, AuditEvent
from tests.factories import orgs as make

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z0-9]+)*")
WRITERS = frozenset({"record", "Act", "_record", "_audit", "_change", "_choose"})


def acts_in_code() -> set[str]:
    """Return the names of acts that are written anywhere, read from the source."""
    found = set()
    for app in ("orgs", "credits", "lago_sync", "billing_portal"):
        for path in (ROOT / app).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                name = getattr(
                    getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", "")
                )
                if isinstance(call, ast.Call) and name in WRITERS:
                    given = [*call.args, *(one.value for one in call.keywords if one.arg == "action")]
                    found |= {
                        text.value
                        for one in given
                        for text in ast.walk(one)
                        if isinstance(text, ast.Constant)
                        and isinstance(text.value, str)
                        and NAME.fullmatch(text.value)
                    }
    return found


def test_the_list_of_acts_has_all_that_are_in_the_code():
    listed = set(re.findall(r"`([a-z_]+\.[a-z0-9_]+)`", (ROOT / "docs/audit.md").read_text()))
    written = acts_in_code()
    assert len(written) > 50
    assert written <= listed


@pytest.mark.django_db
def test_each_act_of_orgs_is_an_event_of_the_organization_by_who_did_it():
    owner = make.user("Olive Owner")
    team, second = make.team(owner=owner), make.team("Second", owner=owner)
    by = Actor(kind="user", public_id=owner.public_id, address="192.0.2.1")
    with transaction.atomic():
        department = departments.create(organization=team, name="Sales", by=by)
        departments.rename(department=department, name="Selling", by=by)
        member = memberships.add(organization=team, user=make.user(), by=by, acting_as="owner")
        departments.add_manager(department=department, membership=member, by=by)
        departments.remove_manager(department=department, membership=member, by=by)
        memberships.move(membership=member, department=department, by=by)
        memberships.change_role(membership=member, role="admin", by=by, acting_as="owner")
        memberships.remove(membership=member, by=by, acting_as="owner")
        departments.archive(department=department, by=by)
        organizations.update(organization=team, changes={"legal_name": "Acme Ltd"}, by=by)
        organizations.switch(user=owner, organization=team, by=by)
        organizations.set_default(user=owner, organization=team, by=by)
        organizations.archive(organization=team, by=by)
    rows = AuditEvent.objects.filter(organization=team.public_id).order_by("sequence")
    assert [event.action for event in rows] == [
        "organization.created",
        "department.created",
        "department.renamed",
        "member.added",
        "department.manager_added",
        "department.manager_removed",
        "member.moved",
        "member.role_changed",
        "member.removed",
        "department.archived",
        "organization.updated",
        "organization.switched",
        "organization.default_chosen",
        "organization.archived",
    ]
    assert {(event.actor, event.address) for event in rows[1:]} == {(owner.public_id, "192.0.2.1")}
    assert AuditEvent.objects.filter(organization=second.public_id).count() == 1


@pytest.mark.django_db
class TestLeaving:
    def test_a_leaver_loses_keys_and_departments_and_the_event_names_them(self):
        team = make.team()
        member = make.member(team)
        department = make.department(team, manager=member)
        key = make.membership_key(member).key
        with transaction.atomic():
            memberships.remove(membership=member, by=SYSTEM, acting_as="owner")
        event = AuditEvent.objects.get(action="member.removed")
        assert event.before["keys"] == [key.public_id]
        assert event.before["managed"] == [department.public_id]
        key.refresh_from_db()
        assert key.revoked_at is not None

    def test_an_archived_department_names_who_was_in_it_and_who_managed_it(self):
        team = make.team()
        manager = make.member(team)
        department = make.department(team, manager=manager)
        inside = make.member(team, department=department)
        with transaction.atomic():
            departments.archive(department=department, by=SYSTEM)
        event = AuditEvent.objects.get(action="department.archived")
        assert event.before["managers"] == [manager.user.public_id]
        assert event.before["members"] == [inside.user.public_id]


@pytest.mark.django_db
class TestSignIn:
    @pytest.fixture
    def person(self):
        return make.user("Ann", email="ann@example.com")

    @pytest.fixture
    def client(self, person):
        client = Client(REMOTE_ADDR="192.0.2.9")
        client.force_login(person)
        return client

    def told(self, person):
        rows = AuditEvent.objects.filter(organization=PLATFORM, target=person.public_id)
        return [event.action for event in rows.exclude(action="user.created").order_by("pk")]

    def test_a_changed_password(self, client, person):
        fields = {"oldpassword": "pass", "password1": "new-horse-2027", "password2": "new-horse-2027"}
        assert client.post("/accounts/password/change/", fields).status_code == 302
        event = AuditEvent.objects.get(action="user.password_changed")
        assert (event.actor, event.address) == (person.public_id, "192.0.2.9")
        assert "horse" not in str(event.after)

    def test_an_added_address_and_its_confirmation(self, client, person):
        client.post("/accounts/email/", {"email": "ann@work.example", "action_add": ""})
        [link] = re.findall(r"/accounts/confirm-email/\S+", mail.outbox[-1].body)
        client.post(link)
        assert self.told(person)[0] == "user.email_added"
        assert "user.email_confirmed" in self.told(person)
        added = AuditEvent.objects.get(action="user.email_added")
        assert added.after == {"email": "ann@work.example"}

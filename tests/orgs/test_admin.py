"""Django's admin for `orgs`: staff act through the verbs, each act is audited, evidence is read only."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from kit.admin import EstimatingPaginator, StaffAdmin
from orgs import subscriptions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import AccessKey, Department, Membership, Organization, Plan, Subscription, User
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label in {"orgs", "audit"}]


@pytest.fixture
def staff():
    return make.system_admin()


@pytest.fixture
def client(staff):
    client = Client()
    client.force_login(staff)
    return client


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def act(client: Client, model: type[Model], action: str, *rows: Model, **given: str) -> Any:
    body = {"action": action, "_selected_action": [row.pk for row in rows], **given}
    return client.post(url(model, "changelist"), body, follow=True)


def last() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


@pytest.fixture
def world():
    membership = make.member(make.team())
    make.department(membership.organization, manager=membership)
    make.membership_key(membership)
    return membership


class TestPages:
    def test_there_is_one_for_every_model_but_answers_and_heads(self):
        from django.apps import apps

        ours = {*apps.get_app_config("orgs").get_models(), *apps.get_app_config("audit").get_models()}
        missing = {model.__name__ for model in ours - set(OURS)}
        assert {name for name in missing if "_" not in name} == {
            "IdempotentAnswer",
            "AuditHead",
            "DepartmentManager",
        }

    @pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
    def test_lists_search_and_show(self, client, world, model):
        assert client.get(url(model, "changelist")).status_code == 200
        assert client.get(url(model, "changelist"), {"q": "acme%'\x00\\"}).status_code == 200
        row = model.objects.first()
        if row is not None:
            assert client.get(url(model, "change", row.pk)).status_code == 200

    @pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
    def test_are_closed_to_who_is_no_system_admin(self, world, model):
        client = Client()
        client.force_login(world.user)
        assert client.get(url(model, "changelist")).status_code == 302

    @pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
    def test_delete_nothing(self, client, world, model):
        row = model.objects.first()
        if row is not None:
            assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in client.get(url(model, "changelist")).content.decode()

    @pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
    def test_lists_cost_as_many_queries_for_many_rows_as_for_one(self, client, world, model):
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                client.get(url(model, "changelist"))
            return len(captured)

        few = queries()
        for _ in range(3):
            other = make.member(make.team())
            make.department(other.organization, manager=other)
            make.membership_key(other)
        assert queries() <= few

    def test_sign_in_happens_on_the_portal_s_own_page(self):
        answer = Client().get("/admin/login/")
        assert answer.status_code == 302
        assert "/accounts/login/" in answer["Location"]


class TestSearch:
    @pytest.mark.parametrize(
        ("model", "term"),
        [
            (Organization, "acme"),
            (Organization, "Acm"),
            (User, "OLIVE"),
            (User, "olive"),
            (Membership, "acme"),
            (Department, "acme"),
            (AccessKey, "acme"),
        ],
    )
    def test_finds(self, client, world, model, term):
        rows = client.get(url(model, "changelist"), {"q": term}).context["cl"].result_list
        assert len(rows) >= 1
        assert not client.get(url(model, "changelist"), {"q": "zzz"}).context["cl"].result_list

    @pytest.mark.parametrize(
        "model", [one for one in OURS if isinstance(admin.site._registry[one], StaffAdmin)]
    )
    def test_reads_an_index(self, world, model):
        """With scanning made dear, PostgreSQL needs no scan of the searched table: each lookup has an index."""
        page = admin.site._registry[model]
        for lookup in page.search_fields:
            rows = model.objects.filter(**{lookup: "acme"}).order_by()
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
            assert "Seq Scan" not in rows.explain(), lookup


SETTINGS = {
    "name": "Acme",
    "time_zone": "UTC",
    "shared_spending": "without_allocation",
    "unpriced": "refuse",
    "unpriced_credits": "0",
    "billing_email": "",
}


class TestActs:
    def test_make_an_organization_with_its_owner(self, client, staff):
        owner = make.user()
        body = {"name": "Globex", "owner_email": str(owner.email).upper(), "time_zone": "Europe/Berlin"}
        assert client.post(url(Organization, "add"), body).status_code == 302
        made = Organization.objects.get(name="Globex")
        assert Membership.objects.get(organization=made).user == owner
        assert (last().actor_kind, last().actor, last().action) == (
            "system_admin",
            staff.public_id,
            "organization.created",
        )

    def test_show_a_refusal_and_change_nothing(self, client, world):
        organization = world.organization
        body = SETTINGS | {"time_zone": "Mars/Olympus", "shared_spending": "never"}
        answer = client.post(url(Organization, "change", organization.pk), body, follow=True)
        assert "IANA" in answer.content.decode()
        organization.refresh_from_db()
        assert (organization.time_zone, organization.shared_spending) == ("UTC", "without_allocation")

    def test_change_settings(self, client, world):
        body = SETTINGS | {"shared_spending": "never"}
        client.post(url(Organization, "change", world.organization.pk), body)
        assert (last().action, last().after) == ("organization.updated", {"shared_spending": "never"})

    def test_choose_what_the_unpriced_costs(self, client, world):
        body = SETTINGS | {"unpriced": "flat", "unpriced_credits": "2.5"}
        client.post(url(Organization, "change", world.organization.pk), body)
        assert (last().action, last().after) == (
            "organization.updated",
            {"unpriced": "flat", "unpriced_credits": "2.5"},
        )

    def test_refuse_a_flat_charge_of_nothing_at_its_field(self, client, world):
        body = SETTINGS | {"unpriced": "flat"}
        answer = client.post(url(Organization, "change", world.organization.pk), body)
        assert "more than 0" in answer.context["adminform"].form.errors["unpriced_credits"][0]
        world.organization.refresh_from_db()
        assert world.organization.unpriced == "refuse"

    def test_suspend_resume_archive(self, client, world):
        for action, status in [("suspend", "suspended"), ("resume", "active"), ("archive", "archived")]:
            act(client, Organization, action, world.organization)
            world.organization.refresh_from_db()
            assert world.organization.status == status

    def test_add_move_promote_and_remove_a_member(self, client, world):
        team, user = world.organization, make.user()
        body = {"organization": team.pk, "user": user.pk, "role": "member", "department": ""}
        client.post(url(Membership, "add"), body)
        member = Membership.objects.get(user=user)
        department = Department.objects.get(organization=team)
        client.post(url(Membership, "change", member.pk), {"role": "admin", "department": department.pk})
        member.refresh_from_db()
        assert (member.role, member.department, last().action) == ("admin", department, "member.role_changed")
        act(client, Membership, "remove", member)
        member.refresh_from_db()
        assert member.ended_at is not None

    def test_keep_the_last_owner(self, client, world):
        owner = Membership.objects.get(organization=world.organization, role="owner")
        answer = act(client, Membership, "remove", owner)
        assert "only owner" in answer.content.decode()
        assert Membership.objects.live().filter(pk=owner.pk).exists()

    def test_make_rename_and_archive_a_department_and_choose_managers(self, client, world):
        team = world.organization
        client.post(url(Department, "add"), {"organization": team.pk, "name": "Sales"})
        department = Department.objects.get(name="Sales")
        inline = {
            "management-TOTAL_FORMS": 1,
            "management-INITIAL_FORMS": 0,
            "management-0-membership": world.pk,
        }
        client.post(url(Department, "change", department.pk), {"name": "Selling", **inline})
        assert (Department.objects.get(pk=department.pk).name, department.managers.get()) == (
            "Selling",
            world,
        )
        assert last().action == "department.manager_added"
        management = department.management.get()
        inline = {
            "management-TOTAL_FORMS": 1,
            "management-INITIAL_FORMS": 1,
            "management-0-id": management.pk,
            "management-0-department": department.pk,
            "management-0-membership": world.pk,
            "management-0-DELETE": "on",
        }
        client.post(url(Department, "change", department.pk), {"name": "Selling", **inline})
        assert last().action == "department.manager_removed"
        act(client, Department, "archive", department)
        assert not Department.objects.live().filter(pk=department.pk).exists()

    def test_subscribe_and_end(self, client, world):
        body = {
            "organization": world.organization.pk,
            "plan": Plan.objects.get(code="enterprise").pk,
            "current_period_start_0": "2027-01-01",
            "current_period_start_1": "00:00:00",
            "current_period_end_0": "2027-02-01",
            "current_period_end_1": "00:00:00",
        }
        client.post(url(Subscription, "add"), body)
        made = Subscription.objects.get(organization=world.organization)
        assert (made.plan.code, last().action) == ("enterprise", "subscription.created")
        for action, status in [("mark_past_due", "past_due"), ("restore", "active"), ("end", "terminated")]:
            act(client, Subscription, action, made)
            made.refresh_from_db()
            assert made.status == status
        assert client.post(url(Subscription, "change", made.pk), body).status_code == 403
        assert subscriptions.live(organization=world.organization) is None

    def test_pause_a_subscription_only_with_a_reason(self, client, world):
        with transaction.atomic():
            made = subscriptions.set_plan(
                organization=world.organization,
                plan_code="starter",
                period_start=datetime(2027, 1, 1, tzinfo=UTC),
                period_end=datetime(2027, 2, 1, tzinfo=UTC),
                by=SYSTEM,
            )
        found = []
        for action, given in [("pause", {}), ("pause", {"reason": "a dispute"}), ("resume", {})]:
            act(client, Subscription, action, made, **given)
            made.refresh_from_db()
            found.append((made.status, last().action, last().after.get("reason")))
        assert found == [
            ("active", "subscription.created", None),
            ("paused", "subscription.paused", "a dispute"),
            ("active", "subscription.resumed", None),
        ]

    def test_change_a_plan(self, client):
        plan = Plan.objects.get(code="starter")
        body = {
            "name": plan.name,
            "daily_calls": 600,
            "monthly_calls": 10_000,
            "seats": 5,
            "markup_percent": 30,
            "included_credits": 2000,
        }
        client.post(url(Plan, "change", plan.pk), body)
        assert (last().organization, last().before, last().after) == (
            "platform",
            {"daily_calls": 500},
            {"daily_calls": 600},
        )

    def test_revoke_a_key_and_show_no_digest(self, client, world):
        issued = make.membership_key(world)
        page = client.get(url(AccessKey, "change", issued.key.pk)).content.decode()
        assert "digest" not in page.lower()
        assert keys.find(issued.text) is not None
        act(client, AccessKey, "revoke", issued.key)
        assert (keys.find(issued.text), last().action) == (None, "key.revoked")

    def test_make_a_user_who_sets_their_own_password(self, client):
        client.post(url(User, "add"), {"email": "New@Example.com", "name": "New Person"})
        made = User.objects.get(email="new@example.com")
        assert not made.has_usable_password()
        assert (last().organization, last().action) == ("platform", "user.created")

    def test_lock_a_user_out_and_audit_it(self, client, world):
        client.post(url(User, "change", world.user.pk), {"name": world.user.name})
        world.user.refresh_from_db()
        assert not world.user.is_active
        assert (last().action, last().after) == ("user.updated", {"is_active": False})

    def test_keep_a_system_admin(self, client, staff):
        answer = client.post(
            url(User, "change", staff.pk), {"name": staff.name, "is_active": "on"}, follow=True
        )
        assert "only system admin" in answer.content.decode()
        staff.refresh_from_db()
        assert staff.is_staff

    def test_evidence_has_no_form(self, client, world):
        event = AuditEvent.objects.latest("pk")
        assert client.get(url(AuditEvent, "add")).status_code == 403
        assert client.post(url(AuditEvent, "change", event.pk), {"action": "x"}).status_code == 403


class TestEstimatingPaginator:
    def test_counts_small_and_filtered_tables(self, world):
        assert (
            EstimatingPaginator(Organization.objects.order_by("pk"), 10).count == Organization.objects.count()
        )
        assert EstimatingPaginator(Organization.objects.filter(slug="acme").order_by("pk"), 10).count == 1
        assert EstimatingPaginator([1, 2, 3], 10).count == 3

    def test_believes_the_estimate_for_a_large_table(self, world):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE pg_class SET reltuples = 5000000 WHERE relname = 'orgs_organization'")
        assert EstimatingPaginator(Organization.objects.order_by("pk"), 10).count == 5_000_000
        assert EstimatingPaginator(Organization.objects.filter(kind="team").order_by("pk"), 10).count == 1

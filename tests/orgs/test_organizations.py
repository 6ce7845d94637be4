"""Organizations: making, changing, closing, and whose money the next request is."""

import pytest
from django.db import IntegrityError, connection, transaction

from kit.errors import AlreadyExists, Conflict, NotFound, ValidationError
from orgs import memberships, organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Membership, Organization
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

DUPLICATE_MEMBERS = """
    INSERT INTO orgs_membership (organization_id, user_id, role, joined_at)
    SELECT organization_id, user_id, 'member', now() FROM orgs_membership"""


def last_action(organization: Organization) -> str:
    return AuditEvent.objects.filter(organization=organization.public_id).latest("sequence").action


class TestCreate:
    def test_makes_whoever_asks_the_owner_and_says_so_in_the_audit_log(self):
        owner = make.user()
        team = make.team("Acme Corp", owner=owner)
        assert team.slug == "acme-corp"
        assert Membership.objects.get(organization=team).role == "owner"
        assert last_action(team) == "organization.created"

    def test_gives_a_second_team_of_a_name_an_address_of_its_own(self):
        first, second = make.team("Acme"), make.team("Acme")
        assert first.slug == "acme"
        assert second.slug.startswith("acme-")

    @pytest.mark.parametrize("name", ["", "   ", "x" * 121, "bell\x07", "null\x00"])
    def test_refuses_a_name_that_is_none(self, name):
        with transaction.atomic(), pytest.raises(ValidationError) as refused:
            organizations.create(name=name, owner=make.user(), by=SYSTEM)
        assert set(refused.value.details) == {"name"}

    def test_needs_a_transaction_of_its_caller(self, transactional_db):
        with pytest.raises(transaction.TransactionManagementError):
            organizations.create(name="Acme", owner=make.user(), by=SYSTEM)

    def test_keeps_an_id_that_was_given_elsewhere_once(self):
        owner = make.user()
        with transaction.atomic():
            given = {"owner": owner, "by": SYSTEM, "public_id": "org_E41e-9b6f"}
            made = organizations.create(name="Acme", currency="EUR", **given)
            assert (made.public_id, made.currency) == ("org_E41e-9b6f", "EUR")
            with pytest.raises(AlreadyExists):
                organizations.create(name="Other", **given)
            for wrong in ("acme", "org_", "org_" + "x" * 61, "org_a/b", "org_é"):
                with pytest.raises(ValidationError):
                    organizations.create(name="Acme", **given | {"public_id": wrong})
        assert Membership.objects.filter(organization=made).count() == 1

    @pytest.mark.parametrize("name", ["日本語", "new", "!!!"])
    def test_finds_an_address_where_the_name_gives_none(self, name):
        assert make.team(name).slug not in {"", "new"}


class TestUpdate:
    def test_records_what_changed_and_only_that(self):
        team = make.team()
        with transaction.atomic():
            organizations.update(
                organization=team, changes={"name": "Acme", "time_zone": "Asia/Tokyo"}, by=SYSTEM
            )
        event = AuditEvent.objects.filter(organization=team.public_id).latest("sequence")
        assert (event.before, event.after) == ({"time_zone": "UTC"}, {"time_zone": "Asia/Tokyo"})

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("time_zone", "Mars/Olympus"),
            ("time_zone", "../../etc/passwd"),
            ("billing_email", "nobody"),
            ("shared_spending", "sometimes"),
            ("unpriced", "sometimes"),
            *[
                ("unpriced_credits", bad)
                for bad in ("", "-1", "1e3", "NaN", "0.0000001", "1000000000.1", "\uff11")
            ],
            ("currency", "EUR"),
            ("status", "active"),
            ("kind", "personal"),
            ("name", ""),
        ],
    )
    def test_refuses_by_field(self, field, value):
        with transaction.atomic(), pytest.raises(ValidationError) as refused:
            organizations.update(organization=make.team(), changes={field: value}, by=SYSTEM)
        assert set(refused.value.details) == {field}

    def test_chooses_what_the_unpriced_costs_and_keeps_it_when_only_the_amount_changes(self):
        team = make.team()
        with transaction.atomic():
            changes = {"unpriced": "flat", "unpriced_credits": "2.5"}
            organizations.update(organization=team, changes=changes, by=SYSTEM)
            organizations.update(organization=team, changes={"unpriced_credits": "3.000000"}, by=SYSTEM)
        team.refresh_from_db()
        assert (team.unpriced, team.unpriced_credits) == ("flat", 3)
        event = AuditEvent.objects.filter(organization=team.public_id).latest("sequence")
        assert (event.before, event.after) == (
            {"unpriced_credits": "2.500000"},
            {"unpriced_credits": "3.000000"},
        )

    @pytest.mark.parametrize(
        ("before", "changes"),
        [
            ({}, {"unpriced": "flat"}),
            ({}, {"unpriced": "flat", "unpriced_credits": "0"}),
            ({"unpriced": "flat", "unpriced_credits": 1}, {"unpriced_credits": "0.000000"}),
        ],
    )
    def test_judges_the_choice_and_the_amount_as_they_will_stand(self, before, changes):
        team = make.team()
        Organization.objects.filter(pk=team.pk).update(**before)
        with transaction.atomic(), pytest.raises(ValidationError) as refused:
            organizations.update(organization=team, changes=changes, by=SYSTEM)
        assert set(refused.value.details) == {"unpriced_credits"}


class TestStatus:
    def test_suspends_and_resumes(self):
        team = make.team()
        with transaction.atomic():
            assert organizations.suspend(organization=team, reason="unpaid", by=SYSTEM).status == "suspended"
            assert last_action(team) == "organization.suspended"
            assert organizations.resume(organization=team, by=SYSTEM).status == "active"

    def test_does_not_archive_what_staff_suspended(self):
        team = make.team()
        with transaction.atomic():
            organizations.suspend(organization=team, reason="fraud", by=SYSTEM)
            with pytest.raises(Conflict):
                organizations.archive(organization=team, by=SYSTEM)

    def test_hides_an_archived_team_from_its_owner(self):
        owner = make.user()
        team = make.team(owner=owner)
        with transaction.atomic():
            organizations.archive(organization=team, by=SYSTEM)
        assert not Organization.objects.visible_to(owner).filter(pk=team.pk).exists()
        with transaction.atomic(), pytest.raises(NotFound):
            organizations.update(organization=team, changes={"name": "x"}, by=SYSTEM)

    def test_never_archives_a_personal_organization(self):
        with transaction.atomic(), pytest.raises(Conflict):
            organizations.archive(organization=organizations.personal_for(user=make.user()), by=SYSTEM)


class TestActiveFor:
    """The order of product.md §6: active, default, earliest joined team, personal."""

    def test_follows_the_order_as_each_choice_falls_away(self):
        user = make.user()
        earliest, default, active = make.team("A", owner=user), make.team("B"), make.team("C")
        in_default, in_active = make.member(default, who=user), make.member(active, who=user)
        with transaction.atomic():
            organizations.set_default(user=user, organization=default, by=SYSTEM)
            organizations.switch(user=user, organization=active, by=SYSTEM)
        assert organizations.active_for(user=user) == active
        with transaction.atomic():
            memberships.remove(membership=in_active, by=SYSTEM, acting_as="owner")
        assert organizations.active_for(user=user) == default
        with transaction.atomic():
            memberships.remove(membership=in_default, by=SYSTEM, acting_as="owner")
        assert organizations.active_for(user=user) == earliest
        with transaction.atomic():
            organizations.archive(organization=earliest, by=SYSTEM)
        assert organizations.active_for(user=user).kind == "personal"

    def test_makes_the_personal_organization_once(self):
        user = make.user()
        assert organizations.active_for(user=user) == organizations.active_for(user=user)
        assert Organization.objects.filter(personal_of=user).count() == 1

    def test_prefers_a_team_to_the_personal_organization_made_before(self):
        user = make.user()
        organizations.active_for(user=user)
        assert organizations.active_for(user=make.member(make.team(), who=user).user).kind == "team"

    def test_refuses_to_switch_to_what_is_not_mine(self):
        admin = make.system_admin()
        with transaction.atomic(), pytest.raises(NotFound):
            organizations.switch(user=admin, organization=make.team(), by=SYSTEM)


class TestVisibleTo:
    def test_is_own_live_organizations_for_people_and_all_for_system_admins(self):
        user, other = make.user(), make.team("Other")
        mine = make.team("Mine", owner=user)
        left = make.member(make.team("Left"), who=user)
        with transaction.atomic():
            memberships.remove(membership=left, by=SYSTEM, acting_as="owner")
        assert set(Organization.objects.visible_to(user)) == {mine}
        assert {mine, other} <= set(Organization.objects.visible_to(make.system_admin()))


class TestDatabase:
    """Each rule with Python taken out of the way."""

    @pytest.mark.parametrize(
        ("constraint", "sql"),
        [
            ("organization_status_is_known", "UPDATE orgs_organization SET status = 'gone'"),
            (
                "organization_shared_spending_is_known",
                "UPDATE orgs_organization SET shared_spending = 'maybe'",
            ),
            (
                "organization_is_personal_of_somebody_or_a_team",
                "UPDATE orgs_organization SET kind = 'personal'",
            ),
            ("membership_role_is_known", "UPDATE orgs_membership SET role = 'king'"),
            ("user_has_an_email_unless_a_service", "UPDATE orgs_user SET email = NULL"),
            (
                "membership_once_per_organization",
                DUPLICATE_MEMBERS,
            ),
        ],
    )
    def test_refuses(self, constraint, sql):
        make.team()
        with (
            pytest.raises(IntegrityError, match=constraint),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)

    def test_refuses_the_same_address_in_another_case(self):
        make.user(email="anna@example.com")
        with pytest.raises(IntegrityError, match="user_email_once_whatever_its_case"), transaction.atomic():
            make.user().__class__.objects.filter(name="Somebody").exclude(email="anna@example.com").update(
                email="ANNA@example.com"
            )

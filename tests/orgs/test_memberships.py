"""Memberships: roles, seats, leaving, departments."""

import pytest
from django.db import IntegrityError, connection, transaction

from kit.errors import AlreadyExists, Conflict, NotFound
from orgs import departments, memberships, organizations, signals, subscriptions
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Department, Membership
from orgs.models.plans import NO_PLAN
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _verbs_run_in_a_transaction():
    with transaction.atomic():
        yield


class TestAdd:
    def test_counts_people_against_the_seats_of_the_plan(self):
        team = make.team()
        for _ in range(4):
            make.member(team)
        with pytest.raises(memberships.NoSeatLeft) as refused:
            make.member(team)
        assert refused.value.details == {"seats": 5}
        assert subscriptions.plan_of(organization=team).code == NO_PLAN

    def test_seats_no_service_member(self):
        team = make.team()
        for number in range(6):
            made = memberships.add_service_member(organization=team, name=f"Agent {number}", by=SYSTEM)
            assert not made.user.has_usable_password()
            assert made.user.email is None

    def test_opens_the_same_row_again_for_somebody_who_comes_back(self):
        team, user = make.team(), make.user()
        first = make.member(team, who=user)
        memberships.remove(membership=first, by=SYSTEM, acting_as="owner")
        assert make.member(team, "admin", who=user).pk == first.pk

    def test_refuses_a_member(self):
        membership = make.member(make.team())
        with pytest.raises(AlreadyExists):
            make.member(membership.organization, who=membership.user)

    def test_refuses_a_role_above_the_giver_s_own(self):
        with pytest.raises(memberships.RoleAboveOwn):
            memberships.add(
                organization=make.team(), user=make.user(), by=SYSTEM, acting_as="admin", role="owner"
            )

    def test_refuses_a_second_member_of_a_personal_organization(self):
        personal = organizations.personal_for(user=make.user())
        with pytest.raises(Conflict):
            memberships.add(organization=personal, user=make.user(), by=SYSTEM, acting_as="owner")

    def test_refuses_a_department_of_another_organization(self):
        foreign = make.department(make.team("Other"))
        with pytest.raises(NotFound):
            make.member(make.team(), department=foreign)


class TestChangeRole:
    def test_writes_the_role_before_and_after(self):
        membership = make.member(make.team())
        memberships.change_role(membership=membership, role="admin", by=SYSTEM, acting_as="owner")
        event = AuditEvent.objects.filter(organization=membership.organization.public_id).latest("sequence")
        assert (event.action, event.target) == ("member.role_changed", membership.user.public_id)
        assert (event.before["role"], event.after["role"]) == ("member", "admin")

    @pytest.mark.parametrize(
        ("acting_as", "present", "wanted"),
        [("admin", "member", "owner"), ("admin", "owner", "member"), ("billing_admin", "member", "admin")],
    )
    def test_reaches_no_role_above_the_giver_s_own(self, acting_as, present, wanted):
        membership = make.member(make.team(), present)
        with pytest.raises(memberships.RoleAboveOwn):
            memberships.change_role(membership=membership, role=wanted, by=SYSTEM, acting_as=acting_as)

    def test_keeps_the_last_owner(self):
        owner = Membership.objects.get(organization=make.team())
        with pytest.raises(memberships.LastOwner):
            memberships.change_role(membership=owner, role="admin", by=SYSTEM, acting_as="owner")

    def test_counts_no_owner_who_left(self):
        team = make.team()
        second = make.member(team, "owner")
        first = Membership.objects.exclude(pk=second.pk).get(organization=team)
        memberships.remove(membership=first, by=SYSTEM, acting_as="owner")
        with pytest.raises(memberships.LastOwner):
            memberships.change_role(membership=second, role="member", by=SYSTEM, acting_as="owner")


class TestRemove:
    def test_announces_it_inside_the_transaction(self):
        heard = []
        membership = make.member(make.team())

        def listen(sender, membership, by, **rest):
            heard.append((membership.pk, membership.ended_at is not None, connection.in_atomic_block))

        signals.membership_ended.connect(listen)
        try:
            memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        finally:
            signals.membership_ended.disconnect(listen)
        assert heard == [(membership.pk, True, True)]

    def test_takes_keys_management_and_choice_away_for_good(self):
        team, user = make.team(), make.user()
        membership = make.member(team, who=user)
        department = make.department(team, manager=membership)
        issued = make.membership_key(membership)
        organizations.switch(user=user, organization=team, by=SYSTEM)
        memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        make.member(team, who=user)
        user.refresh_from_db()
        assert keys.find(issued.text) is None
        assert not department.managers.exists()
        assert user.active_organization is None

    def test_keeps_the_last_owner(self):
        owner = Membership.objects.get(organization=make.team())
        with pytest.raises(memberships.LastOwner):
            memberships.remove(membership=owner, by=SYSTEM, acting_as="owner")

    def test_reaches_nobody_above(self):
        owner = make.member(make.team(), "owner")
        with pytest.raises(memberships.RoleAboveOwn):
            memberships.remove(membership=owner, by=SYSTEM, acting_as="admin")

    def test_happens_once(self):
        membership = make.member(make.team())
        memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        with pytest.raises(NotFound):
            memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")


class TestDepartments:
    def test_move_announces_once_who_moved_and_writes_where_from(self):
        team = make.team()
        department = make.department(team)
        one, two = make.member(team), make.member(team)
        there = make.member(team, department=department)
        heard = []

        def listen(sender, memberships, by, **rest):
            heard.append([(each.pk, each.department) for each in memberships])

        signals.memberships_moved.connect(listen)
        try:
            memberships.move_all(memberships=[two, there, one], department=department, by=SYSTEM)
            memberships.move(membership=one, department=department, by=SYSTEM)
        finally:
            signals.memberships_moved.disconnect(listen)
        assert heard == [[(one.pk, department), (two.pk, department)]]
        moved = AuditEvent.objects.filter(action="member.moved")
        assert {event.target for event in moved} == {one.user.public_id, two.user.public_id}
        assert moved[0].before["department"] is None
        assert moved[0].after["department"] == department.public_id

    def test_move_moves_all_or_nobody(self):
        team = make.team()
        department, stays, left = make.department(team), make.member(team), make.member(team)
        memberships.remove(membership=left, by=SYSTEM, acting_as="owner")
        with pytest.raises(NotFound):
            memberships.move_all(memberships=[stays, left], department=department, by=SYSTEM)
        stays.refresh_from_db()
        assert stays.department is None

    def test_refuse_a_name_twice_in_whatever_case_until_archived(self):
        team = make.team()
        first = make.department(team, "Sales")
        with pytest.raises(departments.NameTaken):
            make.department(team, "SALES")
        departments.archive(department=first, by=SYSTEM)
        assert make.department(team, "sales").pk != first.pk

    def test_rename(self):
        renamed = departments.rename(department=make.department(make.team()), name=" R&D ", by=SYSTEM)
        assert renamed.name == "R&D"

    def test_archive_moves_everybody_out_and_tells_once(self):
        team = make.team()
        department = make.department(team)
        members = [make.member(team, department=department) for _ in range(2)]
        departments.add_manager(department=department, membership=members[0], by=SYSTEM)
        heard = []

        def listen(sender, department, members, by, **rest):
            heard.append([member.pk for member in members])

        signals.department_archived.connect(listen)
        try:
            departments.archive(department=department, by=SYSTEM)
        finally:
            signals.department_archived.disconnect(listen)
        assert heard == [[member.pk for member in members]]
        assert not Membership.objects.filter(department=department).exists()
        assert not Department.objects.managed_by(members[0].user).exists()

    def test_take_no_member_once_archived(self):
        team = make.team()
        department = make.department(team)
        departments.archive(department=department, by=SYSTEM)
        with pytest.raises(NotFound):
            memberships.move(membership=make.member(team), department=department, by=SYSTEM)

    def test_take_no_manager_of_another_organization(self):
        department, stranger = make.department(make.team("Other")), make.member(make.team())
        with pytest.raises(NotFound):
            departments.add_manager(department=department, membership=stranger, by=SYSTEM)

    def test_are_not_for_personal_organizations(self):
        with pytest.raises(Conflict):
            make.department(organizations.personal_for(user=make.user()))


class TestDatabase:
    def test_refuses_a_member_in_another_organization_s_department(self):
        foreign = make.department(make.team("Other"))
        membership = make.member(make.team())
        Membership.objects.filter(pk=membership.pk).update(department=foreign)
        with pytest.raises(IntegrityError, match="membership_department_of_same_organization"):
            connection.check_constraints()
        transaction.set_rollback(True)

    def test_refuses_two_live_departments_of_one_name(self):
        team = make.team()
        make.department(team, "Sales")
        other = make.department(team, "Support")
        with (
            pytest.raises(IntegrityError, match="department_name_once_per_organization"),
            transaction.atomic(),
        ):
            Department.objects.filter(pk=other.pk).update(name="sALES")

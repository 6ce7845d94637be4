"""The table of product.md §10, cell by cell, as it is printed there."""

import pytest

from orgs.access import capabilities
from orgs.access.capabilities import Capability
from orgs.models import Membership
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db

# owner, admin, billing admin, department manager, member; "own" reaches the manager's own department.
PRINTED = {
    Capability.SEE_OWN: "yes yes yes yes yes",
    Capability.SEE_FIGURES: "yes yes yes own no",
    Capability.SEE_EVERYONES_USAGE: "yes yes yes own no",
    Capability.ALLOCATE: "yes yes yes own no",
    Capability.BUY: "yes yes yes no no",
    Capability.ADMINISTER: "yes yes no no no",
    Capability.CHANGE_ROLES: "yes yes no no no",
    Capability.ARCHIVE: "yes no no no no",
}
COLUMNS = ("owner", "admin", "billing_admin", "manager", "member")


@pytest.fixture
def world():
    team = make.team()
    people = {role: make.member(team, role).user for role in ("admin", "billing_admin", "member")}
    people["owner"] = Membership.objects.get(organization=team, role="owner").user
    manager = make.member(team)
    own = make.department(team, "Own", manager=manager)
    return team, people | {"manager": manager.user}, own, make.department(team, "Other")


def test_prints_every_capability():
    assert set(PRINTED) == set(Capability) == set(capabilities.TABLE)


@pytest.mark.parametrize("capability", Capability)
@pytest.mark.parametrize("column", COLUMNS)
def test_allows_what_is_printed(world, capability, column):
    team, people, own, other = world
    cell = PRINTED[capability].split()[COLUMNS.index(column)]

    def allowed(department=None):
        return capabilities.allows(
            user=people[column], organization=team, capability=capability, department=department
        )

    assert allowed() is (cell == "yes")
    assert allowed(own) is (cell in {"yes", "own"})
    assert allowed(other) is (cell == "yes" and (column != "manager" or capability is Capability.SEE_OWN))


@pytest.mark.parametrize("capability", Capability)
def test_allows_nobody_from_outside_and_system_admins_everything(world, capability):
    team, _, own, _ = world
    outsider = Membership.objects.get(organization=make.team("Globex")).user
    for department in (None, own):
        asked = {"organization": team, "capability": capability, "department": department}
        assert not capabilities.allows(user=outsider, **asked)
        assert capabilities.allows(user=make.system_admin(), **asked)


def test_a_department_elsewhere_lends_no_power_here(world):
    team, people, _, _ = world
    elsewhere = make.team("Elsewhere")
    manager = make.member(elsewhere, who=people["member"])
    foreign = make.department(elsewhere, manager=manager)
    assert not capabilities.allows(
        user=people["member"], organization=team, capability=Capability.ALLOCATE, department=foreign
    )


def test_names_the_departments_that_a_manager_may_allocate_in(world):
    team, people, own, _ = world
    asked = {"user": people["manager"], "organization": team}
    assert capabilities.managed_departments(**asked, capability=Capability.ALLOCATE) == [own]
    assert capabilities.managed_departments(**asked, capability=Capability.BUY) == []


def test_a_system_admin_who_was_locked_out_may_nothing(world):
    admin = make.system_admin()
    admin.is_active = False
    assert not capabilities.allows(user=admin, organization=world[0], capability=Capability.SEE_OWN)

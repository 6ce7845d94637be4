"""Which payer, the whole order of product.md §6: every kind of key, every mode, department and allocation, by a table.

The table is written from the product's sentences; the requests go through the API, and `check` must foretell each hold.
"""

import itertools

import pytest

from credits.models import Hold
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.models import Department, Membership, Organization, User
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused
from tests.factories.remembered import Remembered

pytestmark = pytest.mark.django_db

DEPARTMENTS = ("unfunded", "funded", "poor")
"""No pool of its own, one with 200 credits, one with 5."""
ALLOCATIONS = ("none", "open", "too small", "exhausted", "revoked", "opened to pool")
"""Never had one; 50 left; 5 left; none left; taken back; taken back and let spend from the pool."""

ORDER = {
    #                                  unfunded          funded         poor
    ("never", "none"):                ("402 allocation", "402 allocation", "402 allocation"),
    ("never", "open"):                ("allocation",     "allocation",     "allocation"),
    ("never", "too small"):           ("402 allocation", "402 allocation", "402 allocation"),
    ("never", "exhausted"):           ("402 allocation", "402 allocation", "402 allocation"),
    ("never", "revoked"):             ("402 allocation", "402 allocation", "402 allocation"),
    ("never", "opened to pool"):      ("402 allocation", "402 allocation", "402 allocation"),
    ("without_allocation", "none"):           ("organization",   "department",     "402 pool"),
    ("without_allocation", "open"):           ("allocation",     "allocation",     "allocation"),
    ("without_allocation", "too small"):      ("402 allocation", "402 allocation", "402 allocation"),
    ("without_allocation", "exhausted"):      ("402 allocation", "402 allocation", "402 allocation"),
    ("without_allocation", "revoked"):        ("402 allocation", "402 allocation", "402 allocation"),
    ("without_allocation", "opened to pool"): ("organization",   "department",     "402 pool"),
    ("always", "none"):               ("organization",   "department",     "organization"),
    ("always", "open"):               ("allocation",     "allocation",     "allocation"),
    ("always", "too small"):          ("organization",   "department",     "organization"),
    ("always", "exhausted"):          ("organization",   "department",     "organization"),
    ("always", "revoked"):            ("402 allocation", "402 allocation", "402 allocation"),
    ("always", "opened to pool"):     ("organization",   "department",     "organization"),
}  # fmt: skip
"""A hold of 10 for a member: who pays, or which limit refuses it."""

MODES = ("never", "without_allocation", "always")
_numbers = itertools.count(1)


class Office:
    """A team with somebody in every department with every kind of allocation."""

    def __init__(self):
        self.team = make.team(5000)
        self.members = {}
        for state in DEPARTMENTS:
            self._add(state)

    def _add(self, state):
        department = make.department(self.team)
        for allocation in ALLOCATIONS:
            membership = orgs.member(self.team)
            self._share(membership.user, allocation)
            Membership.objects.filter(pk=membership.pk).update(department=department)
            self.members[state, allocation] = membership
        if state != "unfunded":
            make.fund(department, 200 if state == "funded" else 5)

    def _share(self, user, allocation):
        if allocation == "none":
            return
        make.allocate(self.team, user, 5 if allocation in ("too small", "exhausted") else 50)
        if allocation == "exhausted":
            make.charged(self.team, user, 5)
        elif allocation in ("revoked", "opened to pool"):
            make.revoke(self.team, user, limited=allocation == "revoked")

    def client(self, kind, membership):
        """Return a client of this kind, and what its requests must name."""
        if kind in ("membership", "service member"):
            return Http(key=orgs.membership_key(membership).text), {}
        if kind == "personal":
            return Http(key=orgs.personal_key(membership.user).text), {"org_id": self.team.public_id}
        if kind == "session":
            return Http(user=membership.user), {}
        named = {"user_id": membership.user.public_id}
        if kind == "organization":
            return Http(key=orgs.organization_key(self.team).text), named
        return Http(key=orgs.platform_key().text), named | {"org_id": self.team.public_id}

    def share(self, mode):
        Organization.objects.filter(pk=self.team.pk).update(shared_spending=mode)


_office = Remembered(Office)


@pytest.fixture
def office(db):
    keys.forget_cached()
    yield _office.get()
    keys.forget_cached()


def payer_of(client, named):
    """Ask whether 10 could be held, hold them, and return who pays, or the limit that refuses both."""
    told = done(client.post("/usage/check", {"credits": "10", **named}))
    body = {"transaction_id": f"t{next(_numbers)}", "credits": "10", **named}
    answer = client.post("/usage/holds", body)
    if answer.status_code == 402:
        limit = refused(answer, 402, "insufficient_credits")["limit"]
        assert told["error"]["details"]["limit"] == limit
        return f"402 {limit['kind']}"
    held = done(answer, 201)
    hold = Hold.objects.select_related("pool").get(pk=held["hold"]["id"])
    kind = "allocation" if hold.pool is None else "department" if hold.pool.department_id else "organization"
    assert held["payer"]["kind"] == told["payer"]["kind"] == ("allocation" if hold.pool is None else "pool")
    assert float(told["payer"]["remaining"]) == float(held["payer"]["remaining"]) + 10
    return kind


@pytest.mark.parametrize(
    "kind", ["membership", "service member", "personal", "organization", "platform", "session"]
)
def test_a_members_payer_is_the_tables_whatever_key_asks(office, kind):
    found = {}
    User.objects.filter(memberships__organization=office.team).update(is_service=kind == "service member")
    for state, allocation in itertools.product(DEPARTMENTS, ALLOCATIONS):
        client, named = office.client(kind, office.members[state, allocation])
        for mode in MODES:
            office.share(mode)
            found[mode, allocation, state] = payer_of(client, named)
    expected = {
        (mode, allocation, state): who
        for (mode, allocation), row in ORDER.items()
        for state, who in zip(DEPARTMENTS, row, strict=True)
    }
    assert found == expected


@pytest.mark.parametrize("kind", ["organization", "platform"])
def test_a_key_that_names_no_member_spends_the_organizations_own_pool_in_every_mode(office, kind):
    membership = office.members["funded", "open"]
    client, named = office.client(kind, membership)
    del named["user_id"]
    for mode in MODES:
        office.share(mode)
        assert payer_of(client, named) == "organization"


def test_the_table_has_every_row():
    assert set(ORDER) == set(itertools.product(MODES, ALLOCATIONS))


def test_a_limit_that_is_a_pool_nobody_filled_is_named_as_the_pools():
    team = make.team(0)
    user = make.member(team)
    [outcome] = make.settle(make.hold(team, user, 1))
    assert outcome.details["limit"]["kind"] == "pool"


def test_archiving_a_funded_department_makes_the_organizations_pool_pay_for_its_members(office):
    from kit import transactions
    from orgs import departments

    member = office.members["funded", "none"]
    department = Department.objects.get(memberships=member)
    client, named = office.client("membership", member)
    assert payer_of(client, named) == "department"
    with transactions.durable():
        departments.archive(department=department, by=SYSTEM)
    assert payer_of(client, named) == "organization"

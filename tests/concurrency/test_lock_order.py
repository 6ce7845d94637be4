"""One order of locks for all: every verb's locking statements, collected as PostgreSQL gets them, and compared with it."""

import re
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from credits.ledger import charging
from credits.limits import budgets
from credits.reports import proposals
from credits.reports.proposals import Accepted
from credits.sharing import previews, resets
from credits.sharing.reach import Reach
from credits.sharing.sheets import Line
from kit import transactions
from orgs import departments, memberships, subscriptions
from orgs.audit.events import SYSTEM
from orgs.clock import read
from orgs.models import Plan
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

ORDER = [
    ("membership", r'FROM "orgs_membership".*FOR NO KEY UPDATE'),
    ("department", r'FROM "orgs_department".*FOR NO KEY UPDATE'),
    ("transaction keys", r"INSERT INTO credits_transactionkey"),
    ("pools", r'FROM "credits_creditpool".*FOR NO KEY UPDATE'),
    ("allocations", r'FROM "credits_allocation".*FOR NO KEY UPDATE'),
    ("holds", r'FROM "credits_hold".*FOR NO KEY UPDATE'),
    ("quotas", r"INSERT INTO credits_quotausage"),
    (
        "budgets",
        r'INSERT INTO (credits_budgetusage|"credits_budget" )|FROM "credits_budget".*FOR NO KEY UPDATE',
    ),
    ("shortfalls", r'FROM "credits_shortfall".*FOR NO KEY UPDATE'),
    ("grants", r'FROM "credits_grantbalance".*FOR NO KEY UPDATE'),
    ("rollups", r"INSERT INTO credits_dailyusage"),
    ("audit head", r"audit_audithead.*(FOR NO KEY UPDATE|ON CONFLICT)"),
]
"""architecture.md «Locks», as far as it is built."""


@contextmanager
def statements(monkeypatch):
    seen = []
    execute = psycopg.Cursor.execute

    def listen(self, query, *args, **kwargs):
        seen.append(str(query))
        return execute(self, query, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", listen)
        yield seen


def locks_of(monkeypatch, act):
    """Return what each transaction of the act locks, in order of first need."""
    with statements(monkeypatch) as seen:
        act()
    rounds, locks = [], []
    for query in seen:
        if re.match(r"(RELEASE )?SAVEPOINT|BEGIN|COMMIT", query) and locks:
            if query.startswith("RELEASE"):
                rounds.append(locks)
                locks = []
            continue
        kind = next((name for name, pattern in ORDER if re.search(pattern, query, re.DOTALL)), None)
        if kind is not None:
            locks.append(kind)
    return [*rounds, locks] if locks else rounds


def check_order(monkeypatch, act, *needed):
    ranks = {name: rank for rank, (name, _) in enumerate(ORDER)}
    rounds = locks_of(monkeypatch, act)
    for locks in rounds:
        assert [ranks[one] for one in locks] == sorted(ranks[one] for one in locks), locks
    found = {one for locks in rounds for one in locks}
    assert found >= set(needed), f"{found} was locked"


@pytest.fixture
def team():
    made = make.team(100, unlimited=False)
    make.limit_calls(made, day=100, month=100)
    return made


def settle(*commands):
    return lambda: charging.settle(commands)


def test_a_charge(monkeypatch, team):
    user = make.member(team, 10)
    check_order(
        monkeypatch, settle(make.charge(team, user)), "transaction keys", "allocations", "quotas", "rollups"
    )


def test_a_batch_of_everything(monkeypatch, team):
    user = make.member(team, 40)
    holds = [make.held(team, who, 1) for who in (user, user, None)]
    commands = [
        make.charge(team, user),
        make.hold(team, None),
        make.capture(holds[0], 2),
        make.release(holds[1]),
        make.capture(holds[2], 1),
    ]
    check_order(
        monkeypatch,
        settle(*commands),
        "transaction keys",
        "pools",
        "allocations",
        "holds",
        "quotas",
        "rollups",
    )


def test_a_batch_under_hard_budgets_that_settles_a_debt_too(monkeypatch, team):
    user = make.member(team, 40)
    make.budget(team, 1000)
    make.budget(team, 1000, period="day", user=user)
    hold = make.held(team, user, 1)
    refund = make.held(team, user, 10)
    make.captured(make.held(team, None, 60), 65)
    make.revoke(team, user)
    check_order(
        monkeypatch,
        settle(make.capture(hold, 2), make.release(refund)),
        "pools",
        "allocations",
        "holds",
        "budgets",
        "shortfalls",
        "rollups",
    )


def test_corrections_under_a_hard_budget(monkeypatch, team):
    charge = make.charged(team, make.member(team, 20), 10)
    make.budget(team, 1000)
    make.captured(make.held(team, None, 10), 100)
    check_order(
        monkeypatch, lambda: make.reversal(charge), "pools", "budgets", "shortfalls", "grants", "rollups"
    )
    make.captured(make.held(team, None, make.pool(team).available), 1000)
    check_order(
        monkeypatch, lambda: make.grant(team, 500), "pools", "budgets", "shortfalls", "grants", "rollups"
    )


def test_making_a_hard_budget(monkeypatch, team):
    make.member(team, 20)
    check_order(monkeypatch, lambda: make.budget(team, 10), "pools", "allocations", "budgets", "audit head")


def test_making_a_budget_hard(monkeypatch, team):
    budget = make.budget(team, 10, is_hard=False)
    check_order(monkeypatch, lambda: _harden(budget), "pools", "budgets", "audit head")


def _harden(budget):
    with transactions.durable():
        budgets.change(budget=budget, credits=budget.credits, is_hard=True, by=SYSTEM)


def test_applying_proposals_while_a_debt_is_open(monkeypatch, team):
    user, part, other = make.member(team, 40), make.department(team), make.department(team)
    make.captured(make.held(team, None, 60), 65)
    make.budget(team, 10, is_hard=False, department=part)
    accepted = Accepted(
        members={user.public_id: make.Decimal(20)},
        departments={one.public_id: make.Decimal(50) for one in (part, other)},
    )

    def apply():
        with transactions.durable():
            proposals.apply(organization=team, accepted=accepted, by=SYSTEM)

    check_order(
        monkeypatch,
        apply,
        "membership",
        "pools",
        "allocations",
        "budgets",
        "shortfalls",
        "rollups",
        "audit head",
    )


def test_a_capture_on_a_closed_allocation(monkeypatch, team):
    user = make.member(team, 40)
    hold = make.held(team, user, 10)
    make.revoke(team, user)
    check_order(monkeypatch, settle(make.capture(hold, 5)), "pools", "allocations", "holds", "rollups")


def test_a_charge_that_settles_a_debt(monkeypatch, team):
    make.captured(make.held(team, None, 100), 150)
    check_order(
        monkeypatch,
        lambda: make.grant(team, 500),
        "pools",
        "grants",
        "shortfalls",
        "rollups",
        "audit head",
    )


def test_allocating_while_a_debt_is_open(monkeypatch, team):
    user = make.member(team, 20)
    other = make.member(team, 10)
    make.captured(make.held(team, None, 70), 75)
    make.charged(team, other, 10)

    def allocate():
        with transactions.durable():
            make.allocations.assign_all(
                organization=team, shares=[make.Share(user=user, credits=make.Decimal(5))], by=SYSTEM
            )

    check_order(
        monkeypatch, allocate, "membership", "pools", "allocations", "shortfalls", "rollups", "audit head"
    )


def test_allocating_while_others_are_due_and_over(monkeypatch, team):
    others = _due_and_over(team)
    with make.later("2 days"):
        check_order(
            monkeypatch,
            lambda: make.allocate(team, others[0], 4),
            "membership",
            "pools",
            "allocations",
            "shortfalls",
            "audit head",
        )


def test_an_import_while_others_are_due_and_over(monkeypatch, team):
    others = _due_and_over(team)
    lines = [Line(number=2, user_id=others[1].public_id, credits=make.Decimal(5))]
    within = Reach(organization=team, managed=None)

    def apply():
        digest = previews.preview(reach=within, lines=lines).digest
        with transactions.durable():
            previews.apply(reach=within, lines=lines, digest=digest, by=SYSTEM)

    with make.later("2 days"):
        check_order(monkeypatch, apply, "membership", "pools", "allocations", "audit head")
    assert make.allocation(team, others[1]).allocated == 5


def test_a_look_that_resets_and_ends(monkeypatch, team):
    _due_and_over(team)
    with make.later("2 days"):
        check_order(
            monkeypatch,
            lambda: resets.refresh(team),
            "pools",
            "allocations",
            "shortfalls",
            "rollups",
            "audit head",
        )


def _due_and_over(team):
    """Make three who reset each day, of whom the last ends tomorrow, and a debt."""
    users = [make.member(team) for _ in range(3)]
    for user in users:
        make.allocate(team, user, 10, reset_period="daily")
        make.charged(team, user, 5)
    make.allocate(team, users[-1], 10, expires_at=read() + timedelta(days=1))
    make.captured(make.held(team, None, 70), 82)
    return users


def test_revoking_while_a_debt_is_open(monkeypatch, team):
    user = make.member(team, 20)
    make.captured(make.held(team, None, 80), 85)
    check_order(
        monkeypatch,
        lambda: make.revoke(team, user),
        "pools",
        "allocations",
        "shortfalls",
        "rollups",
        "audit head",
    )


def test_a_reversal_of_what_has_expired_meanwhile(monkeypatch, team):
    make.grant(team, 50, source="promotion", priority=1, lives=timedelta(days=1))
    charge = make.charged(team, make.member(team, 20), 10)
    with make.later("2 days"):
        make.expire_grants(team)
        check_order(
            monkeypatch,
            lambda: make.reversal(charge),
            "pools",
            "allocations",
            "grants",
            "rollups",
            "audit head",
        )


def test_an_expiry_that_needs_allocations(monkeypatch, team):
    make.grant(team, 50, lives=timedelta(days=1))
    make.fund(make.department(team), 30)
    make.member(team, 110)
    with make.later("2 days"):
        check_order(
            monkeypatch,
            lambda: make.expire_grants(team),
            "pools",
            "allocations",
            "grants",
            "audit head",
        )


def test_a_renewal_that_needs_allocations(monkeypatch, team):
    start = read() - timedelta(days=30)
    _pay(team, 4900, start)
    make.member(team, 6090)
    make.captured(make.held(team, None, 10), 20)
    check_order(
        monkeypatch,
        lambda: _pay(team, 2450, start + timedelta(days=30)),
        "pools",
        "allocations",
        "grants",
        "shortfalls",
        "rollups",
        "audit head",
    )


def _pay(team, cents, start):
    with transactions.durable():
        subscriptions.fee_paid(
            subscription=make.subscribe(team, "professional"),
            plan=Plan.objects.get(code="professional"),
            period_start=start,
            period_end=start + timedelta(days=30),
            amount_cents=cents,
            full_amount_cents=4900,
            currency="USD",
            reference=f"INV {start}",
            by=SYSTEM,
        )


def test_a_transfer(monkeypatch, team):
    department = make.department(team, 10)
    check_order(monkeypatch, lambda: make.fund(department, 5), "pools", "audit head")


def test_a_reversal(monkeypatch, team):
    charge = make.charged(team, make.member(team, 20), 10)
    check_order(monkeypatch, lambda: make.reversal(charge), "pools", "allocations", "grants", "rollups")


def test_removing_a_member(monkeypatch, team):
    user = make.member(team, 20)
    membership = make.membership(team, user)
    check_order(
        monkeypatch,
        lambda: memberships.remove(membership=membership, by=SYSTEM, acting_as="owner"),
        "membership",
        "pools",
        "allocations",
        "audit head",
    )


def test_archiving_a_department(monkeypatch, team):
    department = make.department(team)
    make.member(team, 10, department=department)
    make.fund(department, 20)
    make.member(team, 10, department=department)
    check_order(
        monkeypatch,
        lambda: departments.archive(department=department, by=SYSTEM),
        "membership",
        "department",
        "pools",
        "allocations",
        "audit head",
    )


def test_pools_are_locked_organization_first_then_by_key(monkeypatch, team):
    make.department(team, 10)
    with statements(monkeypatch) as seen:
        make.fund(make.department(team), 5)
    [query] = [one for one in seen if re.search(ORDER[3][1], one)]
    assert re.search(
        r'ORDER BY "credits_creditpool"."department_id" ASC NULLS FIRST, 2 ASC|NULLS FIRST', query
    )


def test_a_wrong_order_is_seen(monkeypatch, team):
    """Negative control: take the audit head first, and the check fails."""
    from orgs.audit import events

    user = make.member(team, 20)

    def backwards():
        events.record(organization=team.public_id, by=SYSTEM, action="test", target="")
        make.revoke(team, user)

    with pytest.raises(AssertionError):
        check_order(monkeypatch, backwards)

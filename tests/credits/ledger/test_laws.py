"""The checks are checked: each law finds the violation that is planted for it, and an untouched ledger breaks none.

Violations are planted by SQL, inside a transaction that is rolled back, with the triggers that would refuse them off.
"""

import json

import pytest
from django.core.management import call_command
from django.db import connection

from credits.ledger import reconcile
from credits.models import UsageRecord
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db]

OWN = "(SELECT id FROM credits_allocation LIMIT 1)"
POOL = "(SELECT id FROM credits_creditpool WHERE department_id IS NULL LIMIT 1)"
A_CHARGE = "(SELECT id FROM credits_usagerecord WHERE kind = 'charge' AND allocation_id IS NOT NULL LIMIT 1)"
THE_DEBT = "(SELECT charge_id FROM credits_shortfall)"

PLANTED = [
    ("conservation", f"UPDATE credits_creditpool SET available = available + 0.000001 WHERE id = {POOL}"),
    ("conservation", f"UPDATE credits_allocation SET remaining = remaining + 1 WHERE id = {OWN}"),
    ("conservation", "UPDATE credits_ledgerentry SET amount = amount + 1 WHERE kind = 'grant'"),
    (
        "conservation",
        f"UPDATE credits_usagerecord SET credits = credits + 1, cost = cost + 1 WHERE id = {A_CHARGE}",
    ),
    ("conservation", "UPDATE credits_hold SET credits = credits + 1 WHERE status = 'active'"),
    ("conservation", "DELETE FROM credits_ledgerentry WHERE kind = 'grant'"),
    (
        "pool balances",
        f"UPDATE credits_creditpool SET held = held + 1 WHERE id = {POOL}",
    ),
    ("pool balances", f"UPDATE credits_creditpool SET spent = spent + 1 WHERE id = {POOL}"),
    (
        "pool balances",
        (
            "UPDATE credits_creditpool SET available = available - 1 WHERE department_id IS NOT NULL;"
            f"UPDATE credits_creditpool SET available = available + 1 WHERE id = {POOL}"
        ),
    ),
    ("pool balances", "DELETE FROM credits_ledgerentry WHERE kind = 'transfer'"),
    (
        "allocation balances",
        f"UPDATE credits_allocation SET held = held + 1, remaining = remaining - 1 WHERE id = {OWN}",
    ),
    ("allocation balances", f"UPDATE credits_allocation SET spent = spent + 1 WHERE id = {OWN}"),
    ("allocation balances", "UPDATE credits_ledgerentry SET amount = amount + 1 WHERE kind = 'allocate'"),
    (
        "allocation balances",
        f"UPDATE credits_usagerecord SET allocation_id = NULL, pool_id = {POOL} WHERE id = {A_CHARGE}",
    ),
    ("allocation periods", f"UPDATE credits_allocation SET used = used + 1 WHERE id = {OWN}"),
    (
        "allocation periods",
        f"UPDATE credits_allocation SET opened_at = now() + interval '1 day' WHERE id = {OWN}",
    ),
    ("grants enter once", "UPDATE credits_grant SET credits = credits + 1"),
    ("grants enter once", "DELETE FROM credits_ledgerentry WHERE kind = 'grant'"),
    (
        "holds end once",
        "UPDATE credits_hold SET status = 'captured', ended_at = now() WHERE status = 'active'",
    ),
    ("holds end once", "UPDATE credits_hold SET status = 'released' WHERE status = 'captured'"),
    (
        "holds end once",
        "UPDATE credits_hold SET status = 'active', ended_at = NULL WHERE status = 'captured'",
    ),
    ("holds end once", "UPDATE credits_hold SET status = 'expired' WHERE status = 'captured'"),
    ("one key per hold and charge", "DELETE FROM credits_transactionkey WHERE kind = 'hold'"),
    ("one key per hold and charge", "DELETE FROM credits_transactionkey WHERE kind = 'charge'"),
    ("one key per hold and charge", "UPDATE credits_transactionkey SET subject = gen_random_uuid()"),
    (
        "one key per hold and charge",
        "UPDATE credits_transactionkey SET transaction_id = transaction_id || 'x'",
    ),
    (
        "one key per hold and charge",
        (
            "INSERT INTO credits_transactionkey (organization_id, transaction_id, kind, subject, content)"
            " SELECT organization_id, 'no such', kind, gen_random_uuid(), content"
            " FROM credits_transactionkey LIMIT 1"
        ),
    ),
    ("rollups equal a recount", "UPDATE credits_dailyusage SET credits = credits + 0.000001"),
    ("rollups equal a recount", "UPDATE credits_dailyusage SET requests = requests + 1"),
    ("rollups equal a recount", "UPDATE credits_dailyusage SET tokens = tokens + 1"),
    ("rollups equal a recount", "UPDATE credits_dailyusage SET day = day - 1"),
    ("rollups equal a recount", "UPDATE credits_dailyusage SET department_id = 7"),
    ("rollups equal a recount", "DELETE FROM credits_dailyusage"),
    ("shortfalls are owed or paid", "UPDATE credits_shortfall SET amount = amount + 1"),
    ("shortfalls are owed or paid", "UPDATE credits_shortfall SET settled = settled + 1"),
    ("shortfalls are owed or paid", "UPDATE credits_shortfall SET forgiven = forgiven + 1"),
    ("shortfalls are owed or paid", "UPDATE credits_shortfall SET charge_id = gen_random_uuid()"),
    ("shortfalls are owed or paid", "DELETE FROM credits_shortfall"),
    (
        "corrections stay within what they correct",
        "UPDATE credits_usagerecord SET credits = 1000, cost = 1000 WHERE kind = 'reversal'",
    ),
    (
        "corrections stay within what they correct",
        "UPDATE credits_usagerecord SET corrects = gen_random_uuid() WHERE kind = 'reversal'",
    ),
    (
        "corrections stay within what they correct",
        f"UPDATE credits_usagerecord SET corrects = {A_CHARGE} WHERE kind = 'settlement'",
    ),
    (
        "no balance below its floor",
        (
            "ALTER TABLE credits_creditpool DROP CONSTRAINT credit_pool_not_below_its_overdraft;"
            f"UPDATE credits_creditpool SET available = -1 WHERE id = {POOL}"
        ),
    ),
    (
        "no balance below its floor",
        (
            "ALTER TABLE credits_creditpool DROP CONSTRAINT credit_pool_held_not_negative;"
            f"UPDATE credits_creditpool SET held = 'NaN' WHERE id = {POOL}"
        ),
    ),
    (
        "no balance below its floor",
        (
            "ALTER TABLE credits_allocation DROP CONSTRAINT allocation_used_not_negative;"
            f"UPDATE credits_allocation SET used = 'NaN' WHERE id = {OWN}"
        ),
    ),
]


@pytest.fixture
def team():
    """Books with everything in them: grants, transfers, shares, holds in every state, a debt, a reversal."""
    team = make.team(500)
    make.department(team, 50)
    user = make.member(team, 100)
    for end in (make.capture, make.release):
        make.settled(end(make.held(team, user, 5)))
    make.held(team, user, 5)
    make.held(team, None, 5)
    make.charged(team, user, 7, service="rag")
    make.reversal(make.charged(team, None, 9), 3)
    poor = make.pool(team).available
    make.captured(make.held(team, None, 1), poor + 20)
    make.grant(team, 5)
    return team


def plant(sql):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for table, trigger in (
            ("credits_ledgerentry", "append_only"),
            ("credits_usagerecord", "append_only"),
            ("credits_grant", "append_only"),
            ("credits_hold", "hold_ends_once"),
        ):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        for statement in sql.split(";"):
            cursor.execute(statement)
            assert cursor.rowcount, f"nothing was planted by {statement}"


def test_books_nobody_touched_break_no_law(team):
    assert UsageRecord.objects.filter(kind="settlement").exists()
    assert list(reconcile.prove_all()) == []


def test_every_law_has_a_violation_planted_for_it():
    assert {law for law, _ in PLANTED} == set(reconcile.laws())


@pytest.mark.breaks_the_ledger("violations are planted")
@pytest.mark.parametrize("law", sorted({law for law, _ in PLANTED}))
def test_a_planted_violation_is_found(team, law):
    for sql in [sql for of, sql in PLANTED if of == law]:
        _execute("SAVEPOINT planted")
        plant(sql)
        found = reconcile.prove(organization=team)
        assert law in {one.law for one in found}, sql
        assert {one.organization for one in found} == {team.public_id}
        _execute("ROLLBACK TO SAVEPOINT planted")


@pytest.mark.breaks_the_ledger("credits of one organization are moved to another")
def test_credits_that_cross_organizations_break_the_law_of_both(team):
    other = make.team(100)
    plant(
        f"UPDATE credits_creditpool SET available = available + 50 WHERE organization_id = {team.pk} AND department_id IS NULL;"
        f"UPDATE credits_creditpool SET available = available - 50 WHERE organization_id = {other.pk};"
        "INSERT INTO credits_ledgerentry (id, organization_id, kind, amount, source_pool_id, target_pool_id, reason, made_by, created_at)"
        f" SELECT gen_random_uuid(), {team.pk}, 'transfer', 50, a.id, b.id, '', 'me', now()"
        f" FROM credits_creditpool a, credits_creditpool b WHERE a.organization_id = {other.pk}"
        f" AND b.organization_id = {team.pk} AND b.department_id IS NULL"
    )
    assert {one.organization for one in reconcile.prove_all()} == {team.public_id, other.public_id}


class TestCommand:
    """`manage.py reconcile_credits`: 0 when all hold, 1 with a line per violation."""

    def test_says_how_much_it_proved(self, team, capsys):
        call_command("reconcile_credits")
        assert f"1 organizations, {len(reconcile.laws())} laws, 0 violations" in capsys.readouterr().out

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_names_every_violation_and_ends_with_1(self, team, capsys):
        plant("UPDATE credits_dailyusage SET requests = requests + 1")
        with pytest.raises(SystemExit) as ended:
            call_command("reconcile_credits", organization=team.public_id)
        assert ended.value.code == 1
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith(f"{team.public_id}: rollups equal a recount:") for line in lines[:-1])
        assert len(lines) > 1

    @pytest.mark.breaks_the_ledger("violations are planted")
    def test_tells_it_as_json(self, team, capsys):
        plant("UPDATE credits_grant SET credits = credits + 1")
        with pytest.raises(SystemExit):
            call_command("reconcile_credits", json=True)
        told = json.loads(capsys.readouterr().out)
        assert {one["law"] for one in told["violations"]} == {"grants enter once"}


def _execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)

"""The checks are checked: each law finds the violation that is planted for it, and an untouched ledger breaks none.

Violations are planted by SQL, inside a transaction that is rolled back, with the triggers that would refuse them off.
"""

import pytest
from django.db import connection

from credits.ledger import reconcile
from credits.models import UsageRecord
from tests.factories import books
from tests.factories import credits as make
from tests.factories.books import plant

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
    ("budget usage", "UPDATE credits_budgetusage SET used = used + 0.000001"),
    ("budget usage", "UPDATE credits_budgetusage SET held = 0"),
    ("budget usage", "UPDATE credits_budgetusage SET starts_on = starts_on + 31"),
    ("budget usage", "DELETE FROM credits_budgetusage"),
    ("allocation periods", f"UPDATE credits_allocation SET used = used + 1 WHERE id = {OWN}"),
    (
        "allocation periods",
        f"UPDATE credits_allocation SET opened_at = now() + interval '1 day' WHERE id = {OWN}",
    ),
    (
        "resets restore the amount",
        "UPDATE credits_allocationreset SET topped_up = 0, short = topped_up WHERE topped_up > 0",
    ),
    ("resets restore the amount", "UPDATE credits_ledgerentry SET amount = amount + 1 WHERE kind = 'reset'"),
    (
        "resets restore the amount",
        (
            "UPDATE credits_ledgerentry SET source_pool_id = NULL, source_allocation_id = target_allocation_id,"
            " target_pool_id = source_pool_id, target_allocation_id = NULL WHERE kind = 'reset' AND source_pool_id IS NOT NULL"
        ),
    ),
    (
        "resets restore the amount",
        (
            "UPDATE credits_ledgerentry SET source_allocation_id = (SELECT min(id) FROM credits_allocation)"
            " WHERE kind = 'reset' AND source_pool_id IS NULL"
        ),
    ),
    ("resets restore the amount", "UPDATE credits_allocationreset SET used = used + 1"),
    ("resets restore the amount", "UPDATE credits_allocationreset SET used = used - 1"),
    ("resets restore the amount", "UPDATE credits_allocationreset SET due_at = began_at"),
    (
        "resets restore the amount",
        "UPDATE credits_allocationreset SET began_at = began_at - interval '1 minute' WHERE returned > 0",
    ),
    (
        "resets restore the amount",
        "UPDATE credits_allocation SET opened_at = opened_at - interval '1 minute' WHERE resets_at IS NOT NULL",
    ),
    ("resets restore the amount", f"UPDATE credits_allocation SET amount = 2 WHERE id = {OWN}"),
    ("grants enter once", "UPDATE credits_grant SET credits = credits + 1"),
    ("grants enter once", "DELETE FROM credits_ledgerentry WHERE kind = 'grant'"),
    (
        "grants are used by what was spent",
        (
            "UPDATE credits_grantbalance SET consumed = consumed + 1 WHERE credits > consumed + expired + withdrawn;"
            "UPDATE credits_creditpool SET spent = 0"
        ),
    ),
    ("grants balances", "UPDATE credits_grantbalance SET withdrawn = 39 WHERE withdrawn = 40"),
    ("grants balances", "UPDATE credits_grantbalance SET withdrawn = 39, expired = 1 WHERE withdrawn = 40"),
    ("grants balances", "UPDATE credits_grantbalance SET credits = credits + 1"),
    ("grants balances", "DELETE FROM credits_grantbalance"),
    ("grants balances", "UPDATE credits_ledgerentry SET amount = 39 WHERE kind = 'withdraw'"),
    ("withdrawals are taken or owed", "UPDATE credits_ledgerentry SET amount = 39 WHERE kind = 'withdraw'"),
    ("withdrawals are taken or owed", "DELETE FROM credits_ledgerentry WHERE kind = 'withdraw'"),
    (
        "withdrawals are taken or owed",
        "UPDATE credits_withdrawal SET withdrawn = 30, owed = 10",
    ),
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
    return books.everything()


def test_books_nobody_touched_break_no_law(team):
    assert UsageRecord.objects.filter(kind="settlement").exists()
    assert list(reconcile.prove_all()) == []


def test_every_law_has_a_violation_planted_for_it():
    assert {law for law, _ in PLANTED} == set(reconcile.laws())


@pytest.mark.breaks_the_ledger("violations are planted")
@pytest.mark.parametrize("law", sorted({law for law, _ in PLANTED}))
def test_a_planted_violation_is_found_and_its_row_is_named(team, law):
    for sql in [sql for of, sql in PLANTED if of == law]:
        _execute("SAVEPOINT planted")
        plant(sql)
        found = reconcile.prove(organization=team)
        assert law in {one.law for one in found}, sql
        assert all(one.subject and one.expected != one.found for one in found), sql
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


def _execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


class TestNaming:
    """A violation names the very row, so that somebody can look at it."""

    @pytest.mark.breaks_the_ledger("violations are planted")
    @pytest.mark.parametrize(
        ("law", "subject", "sql"),
        [
            ("pool balances", f"SELECT 'pool ' || {POOL}", f"UPDATE credits_creditpool SET held = 7 WHERE id = {POOL}"),
            ("allocation balances", f"SELECT 'allocation ' || {OWN}", f"UPDATE credits_allocation SET held = 7 WHERE id = {OWN}"),
            ("allocation periods", f"SELECT 'allocation ' || {OWN}", f"UPDATE credits_allocation SET used = 7 WHERE id = {OWN}"),
            ("grants enter once", "SELECT 'grant ' || id FROM credits_grant", "UPDATE credits_grant SET credits = credits + 1"),
            ("grants balances", "SELECT 'grant ' || grant_id FROM credits_grantbalance WHERE withdrawn = 40", "UPDATE credits_grantbalance SET withdrawn = 39 WHERE withdrawn = 40"),
            ("holds end once", "SELECT 'hold ' || id FROM credits_hold WHERE status = 'captured'", "UPDATE credits_hold SET status = 'released' WHERE status = 'captured'"),
            ("one key per hold and charge", "SELECT 'hold ' || subject FROM credits_transactionkey WHERE kind = 'hold'", "DELETE FROM credits_transactionkey WHERE kind = 'hold'"),
            ("shortfalls are owed or paid", f"SELECT 'charge ' || {THE_DEBT}", "UPDATE credits_shortfall SET settled = 1"),
            ("corrections stay within what they correct", "SELECT 'reversal ' || id FROM credits_usagerecord WHERE kind = 'reversal'", "UPDATE credits_usagerecord SET credits = 1000, cost = 1000 WHERE kind = 'reversal'"),
            ("rollups equal a recount", "SELECT concat_ws(' ', day, service, provider, model) FROM credits_dailyusage WHERE service = 'rag'", "UPDATE credits_dailyusage SET tokens = 7 WHERE service = 'rag'"),
        ],
    )  # fmt: skip
    def test_the_row_is_named(self, team, law, subject, sql):
        rows = _rows(subject)
        plant(sql)
        named = {one.subject for one in reconcile.prove(organization=team) if one.law == law}
        assert named == {row for (row,) in rows}


def _rows(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()

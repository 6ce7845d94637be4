"""`manage.py rebuild_balances`: figures that are wrong become what the books say, and sound ones stay to the byte."""

from decimal import Decimal

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from credits.ledger import rebuilding, reconcile
from kit import transactions
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import books
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

CACHES = (
    "credits_creditpool",
    "credits_allocation",
    "credits_grantbalance",
    "credits_shortfall",
    "credits_budgetusage",
    "credits_dailyusage",
)

KEYED = ("credits_shortfall", "credits_budgetusage", "credits_dailyusage")
"""Those whose rows have a key that says nothing."""

BROKEN = {
    "a pool's available": ("UPDATE credits_creditpool SET available = available + 7", "pool balances"),
    "a pool's held": ("UPDATE credits_creditpool SET held = 99", "pool balances"),
    "a pool's spent": (
        "UPDATE credits_creditpool SET spent = 0 WHERE department_id IS NULL",
        "pool balances",
    ),
    "an allocation's remaining": (
        "UPDATE credits_allocation SET remaining = remaining - 1",
        "allocation balances",
    ),
    "an allocation's used": ("UPDATE credits_allocation SET used = used + 1", "allocation periods"),
    "an allocation's spent": ("UPDATE credits_allocation SET spent = spent * 2", "allocation balances"),
    "a debt's settled": ("UPDATE credits_shortfall SET settled = 1", "shortfalls are owed or paid"),
    "a missing debt": ("DELETE FROM credits_shortfall", "shortfalls are owed or paid"),
    "a debt of nothing": (
        "UPDATE credits_shortfall SET charge_id = gen_random_uuid()",
        "shortfalls are owed or paid",
    ),
    "a budget's use": ("UPDATE credits_budgetusage SET used = used + 1, held = 99", "budget usage"),
    "missing budget usage": ("DELETE FROM credits_budgetusage", "budget usage"),
    "a rollup's credits": (
        "UPDATE credits_dailyusage SET credits = credits + 0.000001",
        "rollups equal a recount",
    ),
    "a rollup's requests": ("UPDATE credits_dailyusage SET requests = 0", "rollups equal a recount"),
    "missing rollups": ("DELETE FROM credits_dailyusage", "rollups equal a recount"),
    "rollups of another day": ("UPDATE credits_dailyusage SET day = day - 1", "rollups equal a recount"),
}


@pytest.fixture
def team():
    return books.everything()


def bytes_of_caches():
    with connection.cursor() as cursor:
        found = {}
        for table in CACHES:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


def figures_of_caches():
    """Return the rows without the surrogate keys that rows made anew get."""
    with connection.cursor() as cursor:
        found = {}
        for table in CACHES:
            surrogate = "id" if table in KEYED else ""
            cursor.execute(f"SELECT (to_jsonb(t) - '{surrogate}')::text FROM {table} t ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


def laws_broken():
    return {one.law for one in reconcile.prove_all()}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_figure_is_named_then_rebuilt_and_all_laws_hold(team, what, capsys):
    before = figures_of_caches()
    sql, law = BROKEN[what]
    books.plant(sql)
    assert law in laws_broken()
    with pytest.raises(SystemExit) as ended:
        call_command("rebuild_balances")
    assert ended.value.code == 1
    assert law in laws_broken(), "without --execute nothing is written"
    call_command("rebuild_balances", execute=True)
    assert laws_broken() == set()
    assert figures_of_caches() == before
    assert f"{team.public_id}: " in capsys.readouterr().out


def test_sound_books_are_not_changed_by_a_byte(team):
    before = bytes_of_caches()
    events = AuditEvent.objects.count()
    with transactions.durable():
        assert rebuilding.rebuild(organization=team, by=SYSTEM) == []
    call_command("rebuild_balances", execute=True)
    assert bytes_of_caches() == before
    assert AuditEvent.objects.count() == events


def test_rebuilding_again_writes_nothing(team, capsys):
    books.plant("UPDATE credits_creditpool SET held = 99")
    call_command("rebuild_balances", execute=True)
    assert "2 differences, 2 written" in capsys.readouterr().out
    call_command("rebuild_balances", execute=True)
    assert "0 differences, 0 written" in capsys.readouterr().out


def test_a_difference_says_what_stood_there_and_what_the_books_say(team, capsys):
    held = make.pool(team).held
    books.plant("UPDATE credits_creditpool SET held = 99.5 WHERE department_id IS NULL")
    with pytest.raises(SystemExit):
        call_command("rebuild_balances", organization=team.public_id)
    line = f"{team.public_id}: pool {make.pool(team).pk}: held 99.500000 → {held}"
    assert line in capsys.readouterr().out
    call_command("rebuild_balances", execute=True)
    assert line in capsys.readouterr().out


def test_the_audit_log_says_what_was_and_what_is(team):
    books.plant("UPDATE credits_creditpool SET held = 99 WHERE department_id IS NULL")
    call_command("rebuild_balances", execute=True)
    event = AuditEvent.objects.get(action="balances.rebuilt")
    subject = f"pool {make.pool(team).pk}"
    assert Decimal(event.before[subject]["held"]) == 99
    assert Decimal(event.after[subject]["held"]) == make.pool(team).held
    assert event.after["differences"] == 1
    assert event.organization == team.public_id


def test_only_the_named_organization_is_rebuilt(team):
    other = make.team(10)
    books.plant("UPDATE credits_creditpool SET held = 99")
    call_command("rebuild_balances", organization=other.slug, execute=True)
    assert {one.organization for one in reconcile.prove_all()} == {team.public_id}
    call_command("rebuild_balances", organization=team.slug, execute=True)


def test_an_organization_that_is_not_there_is_refused():
    with pytest.raises(CommandError, match="There is no organization"):
        call_command("rebuild_balances", organization="org_none")


class TestGrants:
    """Which grant was burned was decided when it was; only what cannot be true is taken back."""

    def burn(self, grant, credits):
        books.plant(f"UPDATE credits_grantbalance SET consumed = {credits} WHERE grant_id = '{grant.pk}'")

    def test_what_was_burned_stays_while_it_can_be_true(self):
        team = make.team()
        first, second = make.grant(team, 10), make.grant(team, 10)
        make.charged(team, None, 5)
        self.burn(second, 5)
        before = bytes_of_caches()
        call_command("rebuild_balances", execute=True)
        assert bytes_of_caches() == before
        self.burn(first, 0)

    def test_what_was_never_spent_is_taken_back_from_the_last(self):
        team = make.team()
        first, second = make.grant(team, 10), make.grant(team, 10)
        make.charged(team, None, 12)
        self.burn(first, 10)
        self.burn(second, 6)
        call_command("rebuild_balances", execute=True)
        assert [grant.balance.consumed for grant in self.fresh(first, second)] == [10, 2]

    def test_a_missing_balance_is_made_again(self):
        team = make.team()
        grant = make.grant(team, 10)
        books.plant("DELETE FROM credits_grantbalance")
        call_command("rebuild_balances", execute=True)
        [fresh] = self.fresh(grant)
        assert (fresh.balance.credits, fresh.balance.left) == (10, 10)

    def fresh(self, *grants):
        return [type(grant).objects.get(pk=grant.pk) for grant in grants]


@pytest.mark.breaks_the_ledger("the entries themselves are changed")
def test_books_that_contradict_themselves_are_said_to_and_nothing_is_written(team, capsys):
    books.plant("UPDATE credits_ledgerentry SET amount = 1 WHERE kind = 'grant'")
    before = bytes_of_caches()
    with pytest.raises(SystemExit) as ended:
        call_command("rebuild_balances", execute=True)
    assert ended.value.code == 1
    assert "nothing was written" in capsys.readouterr().err
    assert bytes_of_caches() == before

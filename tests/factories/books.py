"""Makes books with everything in them, and breaks them: by SQL, with the triggers that would refuse it put aside."""

from django.db import connection, transaction

from credits.ledger import withdrawals
from credits.models import Allocation
from credits.sharing import resets
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import credits as make

_TRIGGERS = (
    ("credits_ledgerentry", "append_only"),
    ("credits_usagerecord", "append_only"),
    ("credits_grant", "append_only"),
    ("credits_withdrawal", "append_only"),
    ("credits_allocationreset", "append_only"),
    ("credits_hold", "hold_ends_once"),
)


def everything() -> Organization:
    """Make a team with grants that were used, withdrawn and burned, transfers, shares, holds in every state, a debt,
    a settlement, a reversal, hard budgets, and resets of an allocation."""
    team = make.team(500)
    make.grant(team, 40, source="purchase", reference="bought")
    with transaction.atomic():
        withdrawals.withdraw(
            organization=team,
            grant_source="purchase",
            grant_reference="bought",
            credits=None,
            reference="refund",
            reason="refunded",
            by=SYSTEM,
        )
    make.department(team, 50)
    user = make.member(team, 100)
    _reset_twice(team)
    make.budget(team, 100, period="week", user=user)
    for end in (make.capture, make.release):
        make.settled(end(make.held(team, user, 5)))
    make.held(team, user, 5)
    make.held(team, None, 5)
    make.charged(team, user, 7, service="rag")
    make.reversal(make.charged(team, None, 9), 3)
    poor = make.pool(team).available
    make.captured(make.held(team, None, 1), poor + 20)
    make.budget(team, 10_000)
    make.grant(team, 5)
    make.burn(team)
    return team


def _reset_twice(team: Organization) -> None:
    """Let a member have had credits each day, two resets ago: the first one topped up, the second returned."""
    with make.later("-40 days"):
        make.grant(team, 50)
        user = make.member(team)
        make.allocate(team, user, 20, reset_period="daily")
        make.charged(team, user, 8)
    with make.later("-39 days"):
        resets.run_due()
        make.charged(team, user, 3)
        Allocation.objects.filter(user=user).update(amount=15)
    with make.later("-38 days"):
        resets.run_due()
        make.charged(team, user, 1)


def plant(sql: str) -> None:
    """Run statements that the ledger would never send, inside the test's transaction; each must change something."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for table, trigger in _TRIGGERS:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        for statement in sql.split(";"):
            cursor.execute(statement)
            assert cursor.rowcount, f"nothing was planted by {statement}"

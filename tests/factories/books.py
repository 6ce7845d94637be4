"""Makes books with everything in them, and breaks them: by SQL, with the triggers that would refuse it put aside."""

from django.db import connection, transaction

from credits.ledger import withdrawals
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import credits as make

_TRIGGERS = (
    ("credits_ledgerentry", "append_only"),
    ("credits_usagerecord", "append_only"),
    ("credits_grant", "append_only"),
    ("credits_withdrawal", "append_only"),
    ("credits_hold", "hold_ends_once"),
)


def everything() -> Organization:
    """Make a team with grants that were used, withdrawn and burned, transfers, shares, holds in every state, a debt,
    a settlement and a reversal."""
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
    for end in (make.capture, make.release):
        make.settled(end(make.held(team, user, 5)))
    make.held(team, user, 5)
    make.held(team, None, 5)
    make.charged(team, user, 7, service="rag")
    make.reversal(make.charged(team, None, 9), 3)
    poor = make.pool(team).available
    make.captured(make.held(team, None, 1), poor + 20)
    make.grant(team, 5)
    make.burn(team)
    return team


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

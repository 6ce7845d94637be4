"""Who opens a transaction and who only asserts one.

Entry points (views, tasks, commands) open `durable()`; the verbs that they call assert `require()` and open none, so a
verb can never commit half of what its caller does.
"""

from contextlib import AbstractContextManager

from django.db import connection, transaction


def durable() -> AbstractContextManager[None]:
    """Open the outermost transaction; raises RuntimeError inside another one, which could undo what this one commits."""
    return transaction.atomic(durable=True)


def require() -> None:
    """Raise unless the caller has a transaction open (`select_for_update` outside of one locks nothing)."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "This verb moves balances: call it inside kit.transactions.durable()."
        )

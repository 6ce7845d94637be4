"""Who opens a transaction and who only asserts one.

Entry points (views, tasks, commands) open `durable()`; the verbs that they call assert `require()` and open none, so a
verb can never commit half of what its caller does.
"""

from contextlib import AbstractContextManager
from typing import Final

from django.db import connection, transaction

_BUSY_STATES: Final = frozenset(
    {"40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53100", "53300", "25P03"}
)
"""SQLSTATEs after which nothing was decided and the same request may be sent again (PostgreSQL manual, appendix A)."""


def durable() -> AbstractContextManager[None]:
    """Open the outermost transaction; raises RuntimeError inside another one, which could undo what this one commits."""
    return transaction.atomic(durable=True)


def require() -> None:
    """Raise unless the caller has a transaction open (`select_for_update` outside of one locks nothing)."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "This verb moves balances: call it inside kit.transactions.durable()."
        )


def is_busy(error: Exception) -> bool:
    """Tell whether a database error means "not now": lock or statement timeout, deadlock, connection gone."""
    cause = error.__cause__ if error.__cause__ is not None else error
    state = getattr(cause, "sqlstate", None)
    return state in _BUSY_STATES or (
        state is None and type(error).__name__ in {"OperationalError", "InterfaceError"}
    )

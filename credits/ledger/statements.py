"""How the ledger sends its own SQL: prepared once per connection, since planning these joins costs more than running them.

Django's cursors bind on the client and never prepare; these go straight to the psycopg connection that Django holds, in
the same transaction. A whole set of rows is one JSON parameter, opened by `json_to_recordset`.
"""

from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from django.db.utils import DatabaseErrorWrapper


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement of the ledger and return its rows; raises Django's database errors."""
    with _errors(), psycopg.Cursor(_raw()) as cursor:
        cursor.execute(sql, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def run(sql: str, *parameters: Any) -> int:
    """Run a statement of the ledger and return how many rows it wrote."""
    with _errors(), psycopg.Cursor(_raw()) as cursor:
        cursor.execute(sql, parameters, prepare=True)
        return cursor.rowcount


def _raw() -> "psycopg.Connection[tuple[Any, ...]]":
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    return connection.connection  # type: ignore[no-any-return]


def _errors() -> DatabaseErrorWrapper:
    return connection.wrap_database_errors


def clock() -> datetime:
    """Return the ledger's time: the database's wall clock, which tests may move."""
    [[now]] = rows("SELECT portal_clock()")
    assert isinstance(now, datetime)  # noqa: S101 - narrows for the type checker
    return now

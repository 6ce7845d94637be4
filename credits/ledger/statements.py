"""How the ledger sends its own SQL: prepared once per connection, since planning these joins costs more than running them.

Django's cursors bind on the client and never prepare; these go straight to the psycopg connection that Django holds, in
the same transaction. A set of rows that is compared with others is one JSON parameter, opened by `json_to_recordset`;
a set that is only inserted goes by COPY (measured: half the cost of JSON on both sides; docs/performance.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from django.db.utils import DatabaseErrorWrapper


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement of the ledger and return its rows; raises Django's database errors."""
    with _errors(), psycopg.Cursor(_raw()) as cursor:
        cursor.execute(sql, parameters, prepare=True, binary=True)
        return cursor.fetchall() if cursor.description else []


def run(sql: str, *parameters: Any) -> int:
    """Run a statement of the ledger and return how many rows it wrote."""
    with _errors(), psycopg.Cursor(_raw()) as cursor:
        cursor.execute(sql, parameters, prepare=True)
        return cursor.rowcount


def insert(table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows, their values in the order of `columns` (name to PostgreSQL type); constraints hold as for INSERT."""
    copy_in = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with _errors(), psycopg.Cursor(_raw()) as cursor, cursor.copy(copy_in) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


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
